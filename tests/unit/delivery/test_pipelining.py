"""Many mails over SMTP: what overlaps, what is answered once, what ends it, and servers that lie about it."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_servers import Inbox, Line, scripted

from engine.config import TransportSettings
from engine.delivery import Offer
from engine.delivery.dialogue import receipt
from engine.delivery.smtp import SmtpTransport
from engine.delivery.wire import Reply
from engine.model import Mail, MessageState, Outcome
from engine.replies import DOT, classify

DATA = b"Subject: hi\r\n\r\nhello\r\n"
Make = Callable[..., SmtpTransport]


def to(name: str, says: Callable[[], Outcome | None] = lambda: None, data: bytes = DATA) -> Offer:
    mail = Mail(delivery_id=name, envelope_from="b@b.test", recipient=f"{name}@a.test", data=data, digest="x")
    return Offer(ord(name), mail, says)


def ends(transport: SmtpTransport, *offers: Offer) -> list[tuple[str, str, str]]:
    """Who ended how, in the order of the answers."""
    return [(chr(n), one.state.value, one.reason) for n, one in transport.deliver(iter(offers))]


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def transport() -> Iterator[Make]:
    made: list[SmtpTransport] = []

    def make(port: int, pauses: tuple[float, ...] = (0.0,), **changes: object) -> SmtpTransport:
        values = {"host": "127.0.0.1", "port": port, "tls": "off", "bounce_domain": "b.test", "timeout": 5} | changes
        made.append(SmtpTransport("relay", TransportSettings.model_validate(values), pauses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def take_mail(line: Line, answer: str = "250 stored") -> None:
    line.take_envelope()
    line.take_body()
    line.say(answer)


def taking(mails: int) -> Callable[[Line], None]:
    """A server that takes so many mails, and hears the goodbye."""

    def whole(line: Line) -> None:
        line.greet("PIPELINING")
        for _ in range(mails):
            take_mail(line)
        line.hear()

    return whole


# ---------------------------------------------------------------- what overlaps


@pytest.mark.parametrize("features", [["PIPELINING"], []])
def test_the_next_mail_is_built_while_the_server_works_on_the_last(transport: Make, features: list[str]) -> None:
    built = threading.Event()

    def working(line: Line) -> None:
        line.greet(*features)
        line.take_envelope()
        line.take_body()
        assert built.wait(5)  # the answer waits for the building, not the other way round
        line.say("250 stored")
        take_mail(line)
        line.hear()

    def offers() -> Iterator[Offer]:
        yield to("a")
        built.set()
        yield to("b")

    with scripted(working) as server:
        answers = [(chr(n), one.state.value) for n, one in transport(server.port).deliver(offers())]

    assert [("a", "sent"), ("b", "sent")] == answers


def test_the_next_envelope_is_on_the_wire_before_the_last_answer_and_the_dot_before_it(transport: Make) -> None:
    seen: list[str] = []

    def slow(line: Line) -> None:
        line.greet("PIPELINING")
        line.take_envelope()
        line.take_body()
        seen.extend((line.hear(), line.hear(), line.hear()))
        line.say("250 stored", "250 ok", "250 ok", "354 go on")
        line.take_body()
        line.say("250 stored")
        line.hear()

    with scripted(slow) as server:
        answers = ends(transport(server.port), to("a"), to("b"))

    assert [("a", "sent", ""), ("b", "sent", "")] == answers
    assert ["MAIL FROM:<b@b.test>", "RCPT TO:<b@a.test>", "DATA"] == seen


def test_an_answer_comes_back_before_the_next_mail_goes_beyond_its_envelope(transport: Make) -> None:
    story: list[str] = []

    def offers() -> Iterator[Offer]:
        for name in "abc":
            story.append(f"take {name}")
            yield to(name, lambda name=name: story.append(f"dot {name}"))  # type: ignore[misc]

    def endless(line: Line) -> None:
        line.greet("PIPELINING")
        while True:
            take_mail(line)

    with scripted(endless) as server:
        for n, _ in transport(server.port).deliver(offers()):
            story.append(f"answer {chr(n)}")

    assert "take a, dot a, take b, take c, answer a, dot b, answer b, dot c, answer c" == ", ".join(story)


def test_the_next_envelope_goes_in_one_write_with_the_dot(transport: Make) -> None:
    together: list[bytes] = []

    def waiting(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.take_envelope()
        line.take_body()
        together.append(line.buffer)
        line.say("250 stored")
        take_mail(line)
        line.hear()

    with scripted(waiting) as server:
        assert [("a", "sent", ""), ("b", "sent", ""), ("c", "sent", "")] == ends(
            transport(server.port), *map(to, "abc")
        )

    assert [b"MAIL FROM:<b@b.test>\r\nRCPT TO:<c@a.test>\r\nDATA\r\n"] == together


def test_who_says_no_at_the_dot_leaves_the_next_one_unsaid(transport: Make) -> None:
    heard: list[str] = []
    skip = Outcome(state=MessageState.SKIPPED, reason="opted_out")

    def first(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.take_envelope()
        while (said := line.hear()) != "":
            heard.append(said)

    with scripted(first, taking(1)) as server:
        answers = ends(transport(server.port), to("a"), to("b", lambda: skip), to("c"))

    assert [("a", "sent", ""), ("b", "skipped", "opted_out"), ("c", "sent", "")] == answers
    assert not any("c@a.test" in one or one == "." for one in heard)


# ---------------------------------------------------------------- in one write, or not


def large(name: str, says: Callable[[], Outcome | None] = lambda: None) -> Offer:
    """A mail that a narrow wire takes only in part."""
    return to(name, says, DATA + (b"x" * 70 + b"\r\n") * 6_000)


def narrowed(relay: SmtpTransport) -> None:
    """Have the kernel take less at once than it said."""
    assert relay._session is not None
    connection = relay._session.connection
    assert connection.has_room(len(large("x").mail.data))
    connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)


def test_nothing_of_a_mail_is_on_the_wire_before_the_last_look(transport: Make) -> None:
    waited = threading.Event()

    def waiting(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.take_envelope()
        line.socket.settimeout(0.2)
        with suppress(TimeoutError):
            early.append(line.socket.recv(1))
        line.socket.settimeout(10)
        waited.set()
        line.take_body()
        line.say("250 stored")
        line.hear()

    early: list[bytes] = []

    def look() -> None:
        assert waited.wait(5)

    with scripted(waiting) as server:
        answers = ends(transport(server.port), to("a"), large("b", look))

    assert [("a", "sent", ""), ("b", "sent", "")] == answers
    assert [] == early


@pytest.mark.parametrize("features", [["PIPELINING"], []])
def test_what_the_wire_took_in_part_is_looked_at_again_and_arrives_whole(transport: Make, features: list[str]) -> None:
    asked: list[str] = []
    bodies: list[str] = []

    def slow(line: Line) -> None:
        line.greet(*features)
        take_mail(line)
        for _ in range(2):
            line.take_envelope()
            bodies.append("\r\n".join([*line.take_body(), ""]))
            line.say("250 stored")
        line.hear()

    with scripted(slow) as server:
        relay = transport(server.port)
        ends(relay, to("a"))
        narrowed(relay)
        answers = ends(relay, *(large(name, lambda name=name: asked.append(name)) for name in "bc"))  # type: ignore[misc]

        assert 1 == server.connections
    assert [("b", "sent", ""), ("c", "sent", "")] == answers
    assert [large("b").mail.data.decode()] * 2 == bodies
    assert ["b", "b", "c"] == asked  # the connection is known for it then


def test_who_opted_out_while_the_rest_was_on_its_way_gets_no_dot(transport: Make) -> None:
    heard: list[str] = []
    said: list[Outcome | None] = [None, Outcome(state=MessageState.SKIPPED, reason="opted_out")]

    def slow(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.take_envelope()
        try:
            while (one := line.hear()) or True:
                heard.append(one)
        except OSError:
            heard.append("hung up")

    with scripted(slow, taking(1)) as server:
        relay = transport(server.port)
        ends(relay, to("a"))
        narrowed(relay)
        answers = ends(relay, large("b", lambda: said.pop(0)), to("c"))

    assert [("b", "skipped", "opted_out"), ("c", "sent", "")] == answers
    assert "hung up" == heard[-1]
    assert "." not in heard
    assert not any("c@a.test" in one for one in heard)


def test_a_connection_lost_while_the_wire_holds_a_mail_in_part_is_no_doubt(transport: Make) -> None:
    def torn(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        take_mail(line)
        line.take_envelope()
        line.hear()

    with scripted(torn, taking(2)) as server:
        relay = transport(server.port)
        ends(relay, to("a"))
        narrowed(relay)
        answers = ends(relay, to("b"), large("c"), to("d"))

        assert 2 == server.connections
        envelopes = [one for one in server._lines[1].heard if one.startswith("RCPT")]
    assert [("b", "sent", ""), ("c", "sent", ""), ("d", "sent", "")] == answers
    assert ["RCPT TO:<c@a.test>", "RCPT TO:<d@a.test>"] == envelopes


def test_a_connection_lost_before_any_of_a_mail_was_taken_is_no_doubt(transport: Make) -> None:
    asked, gone = threading.Event(), threading.Event()

    def torn(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.take_envelope()
        assert asked.wait(5)
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.socket.close()
        gone.set()

    def look() -> None:
        asked.set()
        assert gone.wait(5)

    with scripted(torn, taking(1)) as server:
        answers = ends(transport(server.port), to("a"), to("b", look))

        assert 2 == server.connections
    assert [("a", "sent", ""), ("b", "sent", "")] == answers


# ---------------------------------------------------------------- exactly one answer for each


@pytest.mark.parametrize("pipelining", [True, False])
def test_refused_ones_between_sent_ones_are_answered_in_their_turn(
    inbox: Inbox, transport: Make, pipelining: bool
) -> None:
    inbox.pipelining = pipelining

    def refuse() -> None:
        inbox.replies["RCPT"] = "550 5.1.1 no such user"

    answers = []
    for n, one in transport(inbox.port).deliver(iter([to("a", refuse), to("b"), to("c")])):
        answers.append((chr(n), one.state.value))
        if chr(n) == "b":
            inbox.replies.clear()

    assert [("a", "sent"), ("b", "refused"), ("c", "sent")] == answers
    assert 1 == inbox.connections


@pytest.mark.parametrize("last_word", ["", "421 4.3.2 shutting down"])
def test_a_lost_answer_leaves_one_in_doubt_and_the_begun_one_goes_once_over_a_new_connection(
    transport: Make, last_word: str
) -> None:
    def lost(line: Line) -> None:
        line.greet("PIPELINING")
        line.take_envelope()
        line.take_body()
        assert "RCPT TO:<b@a.test>" == (line.hear(), line.hear(), line.hear())[1]
        if last_word:
            line.say(last_word)

    with scripted(lost, taking(2)) as server:
        answers = ends(transport(server.port), to("a"), to("b"), to("c"))

        assert 2 == server.connections
    assert [("a", "uncertain", "reply_lost"), ("b", "sent", ""), ("c", "sent", "")] == answers


def test_a_skip_is_answered_and_the_rest_goes_on(inbox: Inbox, transport: Make) -> None:
    skip = Outcome(state=MessageState.SKIPPED, reason="opted_out")

    answers = ends(transport(inbox.port), to("a"), to("b", lambda: skip), to("c"))

    assert [("a", "sent", ""), ("b", "skipped", "opted_out"), ("c", "sent", "")] == answers
    assert [("a@a.test",), ("c@a.test",)] == [one.recipients for one in inbox.received]


# ---------------------------------------------------------------- what ends it


def counted(names: str, taken: list[str]) -> Iterator[Offer]:
    for name in names:
        taken.append(name)
        yield to(name)


def test_when_no_mail_goes_through_the_begun_one_is_answered_so_too_and_no_more_is_taken(transport: Make) -> None:
    taken: list[str] = []

    def ours(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line, "550 5.1.8 bad sender")
        line.hear()

    with scripted(ours) as server:
        answers = [(chr(n), one.reason) for n, one in transport(server.port).deliver(counted("abcd", taken))]

    assert [("a", "configuration"), ("b", "configuration"), ("c", "configuration")] == answers
    assert ["a", "b", "c"] == taken


def test_without_connection_one_mail_is_answered_and_no_more_is_taken(transport: Make) -> None:
    with scripted(lambda line: None) as server:
        port = server.port
    taken: list[str] = []

    answers = list(transport(port).deliver(counted("abc", taken)))

    assert [(ord("a"), MessageState.DEFERRED, "unavailable")] == [(n, one.state, one.reason) for n, one in answers]
    assert f"transport 'relay': 127.0.0.1:{port} can't be used" in answers[0][1].reply
    assert ["a"] == taken


def test_a_stop_while_an_answer_is_awaited_lets_it_come_and_hands_nothing_more_over(transport: Make) -> None:
    bodies: list[list[str]] = []

    def stopping(line: Line) -> None:
        line.greet("PIPELINING")
        line.take_envelope()
        bodies.append(line.take_body())
        line.hear(), line.hear(), line.hear()  # the next one's envelope
        relay.give_up_after(5)
        line.say("250 stored", "250 ok", "250 ok", "354 go on")
        bodies.append(line.take_body())

    with scripted(stopping) as server:
        relay = transport(server.port)
        answers = ends(relay, to("a"), to("b"), to("c"))

    assert [("a", "sent", ""), ("b", "deferred", "stopped"), ("c", "deferred", "stopped")] == answers
    assert 1 == len(bodies)


def test_a_fault_at_the_last_step_leaves_the_transport_usable(inbox: Inbox, transport: Make) -> None:
    def fail() -> Outcome | None:
        raise ZeroDivisionError

    relay = transport(inbox.port)
    answers = relay.deliver(iter([to("a"), to("b", fail), to("c")]))
    assert MessageState.SENT == next(answers)[1].state
    with pytest.raises(ZeroDivisionError):
        next(answers)

    assert [("d", "sent", "")] == ends(relay, to("d"))
    assert [("a@a.test",), ("d@a.test",)] == [one.recipients for one in inbox.received]


def test_who_stops_listening_leaves_nothing_half_said(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)
    answers = relay.deliver(iter([to("a"), to("b"), to("c")]))
    next(answers)
    answers.close()  # type: ignore[attr-defined]

    assert [("d", "sent", "")] == ends(relay, to("d"))
    assert [("a@a.test",), ("d@a.test",)] == [one.recipients for one in inbox.received]


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize(("most", "connections"), [(1, 5), (2, 3), (5, 1)])
def test_a_connection_carries_as_many_mails_as_the_owner_allows(
    inbox: Inbox, transport: Make, most: int, connections: int
) -> None:
    answers = ends(transport(inbox.port, messages_per_connection=most), *map(to, "abcde"))

    assert [(name, "sent", "") for name in "abcde"] == answers
    assert connections == inbox.connections
    assert ["QUIT"] * (connections - 1) == inbox.commands


# ---------------------------------------------------------------- servers that lie


def test_a_server_that_forgets_what_came_with_the_dot_is_served_step_by_step(transport: Make) -> None:
    def forgetful(line: Line) -> None:
        line.greet("PIPELINING")
        line.take_envelope()
        line.take_body()
        line.hear(), line.hear(), line.hear()
        line.say("250 stored")
        line.hear()

    def careful(line: Line) -> None:
        line.greet("PIPELINING")
        for _ in range(2):
            for answer in ("250 ok", "250 ok", "354 go on"):
                line.hear()
                assert b"" == line.buffer
                line.say(answer)
            line.take_body()
            line.say("250 stored")
        line.hear()

    with scripted(forgetful, careful) as server:
        answers = ends(transport(server.port, timeout=0.3), to("a"), to("b"), to("c"))

        assert 2 == server.connections
    assert [("a", "sent", ""), ("b", "sent", ""), ("c", "sent", "")] == answers


@pytest.mark.parametrize("mixed", [("354 go on", "250 ok", "250 ok"), ("250 ok", "250 ok", "250 ok")])
def test_answers_out_of_order_are_not_believed_and_the_mail_goes_step_by_step(
    transport: Make, mixed: tuple[str, str, str]
) -> None:
    bodies: list[str] = []

    def liar(line: Line) -> None:
        line.greet("PIPELINING")
        line.hear(), line.hear(), line.hear()
        line.say(*mixed)
        bodies.append(line.hear())

    def careful(line: Line) -> None:
        line.greet("PIPELINING")
        take_mail(line)
        line.hear()

    with scripted(liar, careful) as server:
        answers = ends(transport(server.port, pauses=()), to("a"))

    assert [("a", "sent", "")] == answers
    assert [] == bodies


# ---------------------------------------------------------------- the short cut


@given(code=st.integers(200, 299), text=st.text(max_size=250))
def test_a_plain_yes_means_what_the_table_says(code: int, text: str) -> None:
    reply = Reply(code, (text.encode("utf-8", "replace"),))

    assert classify(code, reply.text, DOT) == receipt(reply)


@given(code=st.integers(200, 599), text=st.sampled_from(["2.0.0 Ok", "4.2.2 full", "5.7.1 spam", "a@b.test", ""]))
def test_any_answer_to_the_dot_means_what_the_table_says(code: int, text: str) -> None:
    assert classify(code, text, DOT) == receipt(Reply(code, (text.encode(),)))
