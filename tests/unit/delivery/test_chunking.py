"""Mail by BDAT: chunks ahead of their answers, refusals in between, servers that only say they know it."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_servers import Chunks, Line, scripted

from engine.config import TransportSettings
from engine.delivery import Offer
from engine.delivery.smtp import SmtpTransport
from engine.model import Mail, MessageState, Outcome

BODY = b"Subject: hi\r\n\r\n.\r\n..two\r\nRCPT TO:<evil@example.test>\r\nlast\r\n"
OPTED_OUT = Outcome(state=MessageState.SKIPPED, reason="opted_out")
Make = Callable[..., SmtpTransport]


def to(name: str, data: bytes = BODY, says: Outcome | None = None) -> Offer:
    mail = Mail(delivery_id=name, envelope_from="b@b.test", recipient=f"{name}@a.test", data=data, digest="x")
    return Offer(ord(name[0]), mail, lambda: says)


def ends(transport: SmtpTransport, *offers: Offer) -> list[tuple[str, str, str]]:
    """Who ended how, in the order of the answers."""
    return [(chr(n), one.state.value, one.reason) for n, one in transport.deliver(iter(offers))]


def hears_the_first(line: Line) -> None:
    """All of the first mail; a chunk of one line comes before the rest."""
    line.greet("PIPELINING", "CHUNKING")
    line.hear(), line.hear(), line.hear(), line.take(13)
    line.say("250 ok", "250 ok", "250 13 octets")
    line.hear()
    line.take(47)


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


def test_mails_arrive_byte_for_byte_over_one_connection(transport: Make) -> None:
    chunks = Chunks()
    with scripted(chunks) as server:
        answers = ends(transport(server.port), to("a"), to("b"), to("c"))

        assert [("a", "sent", ""), ("b", "sent", ""), ("c", "sent", "")] == answers
        assert [("a@a.test", BODY), ("b@a.test", BODY), ("c@a.test", BODY)] == chunks.received
        assert ["BDAT 13", "BDAT 47 LAST"] == [one for one in server._lines[0].heard if "BDAT" in one][:2]
        assert 4 == sum("BDAT" in one for one in server._lines[0].heard)  # only the first mail asks


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text("ab.\t ", max_size=5), max_size=6))
def test_both_ways_say_the_same(transport: Make, lines: list[str]) -> None:
    chunks = Chunks()
    data = b"Subject: hi\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode()

    with scripted(chunks) as server:
        for chunking, names in (True, "ab"), (False, "cd"):
            relay = transport(server.port, chunking=chunking)
            ends(relay, *(to(name, data) for name in names))
            relay.close()

    assert [(f"{name}@a.test", data) for name in "abcd"] == chunks.received


@pytest.mark.parametrize(
    ("features", "chunking", "said"),
    [
        (("PIPELINING", "CHUNKING"), True, "BDAT"),
        (("PIPELINING", "CHUNKING"), False, "DATA"),
        (("CHUNKING",), True, "DATA"),
        (("PIPELINING",), True, "DATA"),
    ],
)
def test_chunks_go_where_they_are_wanted_and_offered_with_pipelining(
    transport: Make, features: tuple[str, ...], chunking: bool, said: str
) -> None:
    with scripted(Chunks(features=features)) as server:
        ends(transport(server.port, chunking=chunking), to("a"))

        assert {said} == {one[:4] for one in server._lines[0].heard} & {"BDAT", "DATA"}


def test_the_next_chunk_is_under_way_but_not_complete_until_the_last_is_answered(transport: Make) -> None:
    seen: list[object] = []

    def slow(line: Line) -> None:
        hears_the_first(line)
        seen.extend((line.hear(), line.hear(), line.hear(), line.take(58)))  # all this before the answer
        line.socket.settimeout(0.2)
        with pytest.raises(TimeoutError):
            line.take(1)
        line.socket.settimeout(10)
        line.say("250 stored")
        line.say("250 ok", "250 ok")
        seen.append(line.take(2))
        line.say("250 stored")
        line.hear()

    with scripted(slow) as server:
        answers = ends(transport(server.port), to("a"), to("b"))

    assert [("a", "sent", ""), ("b", "sent", "")] == answers
    assert ["MAIL FROM:<b@b.test>", "RCPT TO:<b@a.test>", "BDAT 60 LAST", BODY[:-2], b"\r\n"] == seen


@pytest.mark.parametrize("refused", ["a", "b", "c", "ab", "abc"])
def test_a_refused_recipient_is_about_her_alone_and_nothing_is_in_doubt(transport: Make, refused: str) -> None:
    chunks = Chunks(refused={f"{name}@a.test": "550 5.1.1 no such user" for name in refused})
    asked: list[str] = []

    def offer(name: str) -> Offer:
        return Offer(ord(name), to(name).mail, lambda: asked.append(name))

    with scripted(chunks) as server:
        answers = ends(transport(server.port), *map(offer, "abc"))

        assert 1 == server.connections
    given = [(name, "refused", "unknown_address") if name in refused else (name, "sent", "") for name in "abc"]
    assert given == answers
    assert [f"{name}@a.test" for name in "abc" if name not in refused] == [name for name, _ in chunks.received]
    assert [name for name in "abc" if name not in refused] == asked  # her refusal is heard before the last step


def test_a_recipient_whose_syntax_is_refused_leaves_the_connection_in_order(transport: Make) -> None:
    chunks = Chunks(refused={"b@a.test": "501 5.1.3 bad recipient address syntax"})
    with scripted(chunks) as server:
        answers = ends(transport(server.port), *map(to, "abc"))

        assert 1 == server.connections
    assert [("a", "sent", ""), ("b", "refused", "unknown_address"), ("c", "sent", "")] == answers


def test_a_mail_whose_sender_alone_is_refused_is_never_completed(transport: Make) -> None:
    seen: list[bytes] = []

    def strange(line: Line) -> None:
        hears_the_first(line)
        line.say("250 stored")
        line.hear(), line.hear(), line.hear()
        seen.append(line.take(58))
        line.say("452 4.3.1 no room", "250 ok all the same")
        seen.append(line.take(1))

    with scripted(strange) as server:
        assert [("a", "sent", ""), ("b", "deferred", "temporary")] == ends(transport(server.port), to("a"), to("b"))
    assert [BODY[:-2]] == seen


def test_a_connection_lost_on_the_chunk_of_a_refused_recipient_leaves_her_refused(transport: Make) -> None:
    def torn(line: Line) -> None:
        hears_the_first(line)
        line.say("250 stored")
        line.hear(), line.hear()
        line.say("250 ok", "550 5.1.1 no such user")

    with scripted(torn) as server:
        assert [("a", "sent", ""), ("b", "refused", "unknown_address")] == ends(
            transport(server.port), to("a"), to("b")
        )


def test_a_skip_hands_nothing_over_and_the_rest_goes_on(transport: Make) -> None:
    chunks = Chunks()
    with scripted(chunks) as server:
        answers = ends(transport(server.port), to("a"), to("b", says=OPTED_OUT), to("c"))

    assert [("a", "sent", ""), ("b", "skipped", "opted_out"), ("c", "sent", "")] == answers
    assert ["a@a.test", "c@a.test"] == [name for name, _ in chunks.received]


@pytest.mark.parametrize("lie", ["500 what?", "502 5.5.1 not implemented", "504 not here"])
@pytest.mark.parametrize("about", ["BDAT", "BDAT 47 LAST"])
def test_a_server_that_offers_chunking_and_cannot_do_it_gets_each_mail_once_by_data(
    transport: Make, about: str, lie: str
) -> None:
    chunks = Chunks(lies={about: lie})
    with scripted(chunks) as server:
        relay = transport(server.port, messages_per_connection=2)
        answers = ends(relay, to("a"), to("b"), to("c"), to("d"))
        lied = [line.heard for line in server._lines if any("BDAT" in one for one in line.heard)]

    assert [(name, "sent", "") for name in "abcd"] == answers
    assert [(f"{name}@a.test", BODY) for name in "abcd"] == chunks.received
    assert 1 == len(lied)  # it is not asked again
    if about == "BDAT":
        assert not any("evil" in one for one in lied[0])  # no line of a body is ever taken for a command


def test_a_lie_told_after_the_last_byte_costs_nobody_and_repeats_nobody(transport: Make) -> None:
    asked: list[str] = []

    def late(line: Line) -> None:
        hears_the_first(line)
        line.say("502 5.5.1 what was that?")
        line.hear()

    def offer(name: str) -> Offer:
        return Offer(ord(name), to(name).mail, lambda: asked.append(name))

    chunks = Chunks()
    with scripted(late, chunks) as server:
        answers = ends(transport(server.port), *map(offer, "abc"))

    assert [(name, "sent", "") for name in "abc"] == answers
    assert ["a@a.test", "b@a.test", "c@a.test"] == [name for name, _ in chunks.received]
    assert ["a", "a", "b", "c"] == asked  # once for each try


@pytest.mark.parametrize("answer", ["", "421 4.3.2 shutting down"])
def test_a_lost_answer_leaves_that_mail_in_doubt_and_the_begun_one_goes_once(transport: Make, answer: str) -> None:
    chunks = Chunks(answers={"b@a.test": answer})
    with scripted(chunks) as server:
        answers = ends(transport(server.port), to("a"), to("b"), to("c"))

        assert 2 == server.connections
    assert [("a", "sent", ""), ("b", "uncertain", "reply_lost"), ("c", "sent", "")] == answers
    assert 1 == sum(name == "c@a.test" for name, _ in chunks.received)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [("451 4.3.0 later", ("b", "deferred", "temporary")), ("554 5.6.0 not this", ("b", "refused", "content"))],
)
def test_a_refused_chunk_is_about_its_mail_alone(transport: Make, answer: str, expected: tuple[str, str, str]) -> None:
    with scripted(Chunks(answers={"b@a.test": answer})) as server:
        answers = ends(transport(server.port), to("a"), to("b"), to("c"))

        assert 1 == server.connections
    assert [("a", "sent", ""), expected, ("c", "sent", "")] == answers


def test_a_chunk_that_the_server_does_not_read_holds_up_no_answer(transport: Make) -> None:
    answered_at: list[float] = []
    large = BODY + (b"x" * 70 + b"\r\n") * 120_000  # 8 MB do not fit into the buffers of loopback

    def deaf(line: Line) -> None:
        line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        hears_the_first(line)
        line.say("250 stored")
        while not answered_at:
            time.sleep(0.01)  # reads nothing before the sender has heard
        line.hear(), line.hear(), line.hear()
        line.say("250 ok", "250 ok")
        line.take(len(large))
        line.say("250 stored")
        line.hear()

    with scripted(deaf) as server:
        answers = transport(server.port).deliver(iter([to("a"), to("b", large)]))
        first = next(answers)
        answered_at.append(time.monotonic())
        second = next(answers)
        assert [] == list(answers)

    assert [MessageState.SENT, MessageState.SENT] == [first[1].state, second[1].state]
