"""The SMTP client against real servers: what is certain, what is not, and what never goes out."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mail_servers import Inbox, Line, certificate, scripted
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.delivery import hand_over
from engine.delivery.smtp import SmtpTransport
from engine.delivery.wire import Waits, waits
from engine.errors import TransportUnavailable
from engine.model import Mail, MessageState, Outcome

DATA = b"From: a@shop.test\r\nSubject: hi\r\n\r\nhello\r\n"
Make = Callable[..., SmtpTransport]


def mail(recipient: str = "ann@example.test", data: bytes = DATA, envelope_from: str = "b+d1@bounce.test") -> Mail:
    return Mail(delivery_id="d1", envelope_from=envelope_from, recipient=recipient, data=data, digest="x")


def never() -> Outcome | None:
    raise AssertionError("nothing may be handed over")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    server.start()
    yield server
    if server._thread.is_alive():
        server.stop()


@pytest.fixture
def transport() -> Iterator[Make]:
    made: list[SmtpTransport] = []

    def make(port: int, pauses: tuple[float, ...] = (0.0, 0.0), **changes: object) -> SmtpTransport:
        values = {"host": "127.0.0.1", "port": port, "tls": "off", "bounce_domain": "b.test", "timeout": 5} | changes
        made.append(SmtpTransport("relay", TransportSettings.model_validate(values), pauses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not happened():
        assert time.monotonic() < end


def as_word(outcome: Outcome) -> tuple[str, str, str]:
    return outcome.state.value, outcome.reason, outcome.stage


# ---------------------------------------------------------------- the plain path


@pytest.mark.parametrize("pipelining", [True, False])
def test_the_envelope_is_the_mails_own(inbox: Inbox, transport: Make, pipelining: bool) -> None:
    inbox.pipelining = pipelining

    outcome = hand_over(transport(inbox.port), mail())

    assert ("sent", "", ".") == as_word(outcome)
    assert "250 2.0.0 stored" == outcome.reply
    assert [("b+d1@bounce.test", ("ann@example.test",), DATA)] == [
        (one.sender, one.recipients, one.data) for one in inbox.received
    ]


def test_one_connection_carries_many_mails(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)

    for _ in range(100):
        hand_over(relay, mail())

    assert 1 == inbox.connections
    assert [] == inbox.commands


def test_after_a_hundred_mails_comes_a_new_connection(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)

    for _ in range(101):
        hand_over(relay, mail())

    assert 2 == inbox.connections
    assert ["QUIT"] == inbox.commands


def test_an_idle_connection_is_left_for_a_new_one(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)
    relay.idle_seconds = 0

    for _ in range(2):
        hand_over(relay, mail())

    assert 2 == inbox.connections


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.text("ab.\t ", max_size=5), max_size=6))
def test_dots_survive(inbox: Inbox, transport: Make, lines: list[str]) -> None:
    data = b"Subject: hi\r\n\r\n" + "".join(f"{line}\r\n" for line in lines).encode()

    hand_over(transport(inbox.port), mail(data=data))

    assert data == inbox.received[-1].data


def test_a_mail_that_begins_with_a_dot_or_lacks_its_last_line_end_arrives_whole(inbox: Inbox, transport: Make) -> None:
    hand_over(transport(inbox.port), mail(data=b".odd: 1\r\n\r\nend"))

    assert b".odd: 1\r\n\r\nend\r\n" == inbox.received[0].data


# ---------------------------------------------------------------- encryption and login


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[Inbox, Path]]:
    authority, context = certificate(tmp_path)
    server = Inbox(tls=context, password="s3cret")
    server.start()
    yield server, authority
    server.stop()


def test_required_encrypts_though_nobody_vouches_for_the_certificate(
    secure: tuple[Inbox, Path], transport: Make
) -> None:
    inbox, _ = secure

    hand_over(transport(inbox.port, tls="required"), mail())

    assert [True] == [one.encrypted for one in inbox.received]


def test_a_large_mail_arrives_whole_under_tls(secure: tuple[Inbox, Path], transport: Make) -> None:
    data = DATA + (b"x" * 70 + b"\r\n") * 20_000

    hand_over(transport(secure[0].port, tls="required"), mail(data=data))

    assert [data] == [one.data for one in secure[0].received]


def test_verify_refuses_a_certificate_that_nobody_vouches_for(secure: tuple[Inbox, Path], transport: Make) -> None:
    outcome = hand_over(transport(secure[0].port, tls="verify"), mail(), never)

    assert ("deferred", "configuration", "") == as_word(outcome)
    assert re.search(r"127\.0\.0\.1:\d+: the certificate is not valid .*; check host", outcome.reply)


def test_verify_accepts_a_certificate_of_a_known_authority(
    secure: tuple[Inbox, Path], transport: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, authority = secure
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    hand_over(transport(inbox.port, tls="verify"), mail())

    assert [True] == [one.encrypted for one in inbox.received]


def test_implicit_tls_encrypts_from_the_first_byte_and_verifies(
    tmp_path: Path, transport: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = certificate(tmp_path)
    inbox = Inbox(tls=context, implicit=True)
    inbox.start()
    unknown = hand_over(transport(inbox.port, tls="implicit"), mail(), never)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    outcome = hand_over(transport(inbox.port, tls="implicit"), mail())
    inbox.stop()

    assert "the certificate is not valid" in unknown.reply
    assert "sent" == outcome.state.value


def test_a_server_without_starttls_gets_no_mail(inbox: Inbox, transport: Make) -> None:
    outcome = hand_over(transport(inbox.port, tls="required"), mail(), never)

    assert ("deferred", "configuration", "") == as_word(outcome)
    assert "offers no STARTTLS" in outcome.reply
    assert 1 == inbox.connections  # trying again would not help


def test_a_login_goes_with_the_mail(secure: tuple[Inbox, Path], transport: Make) -> None:
    inbox, _ = secure

    hand_over(transport(inbox.port, tls="required", username="shop", password=SecretStr("s3cret")), mail())

    assert ["shop"] == [one.login for one in inbox.received]


def test_a_wrong_password_stops_at_once_and_is_not_repeated_to_anybody(
    secure: tuple[Inbox, Path], transport: Make
) -> None:
    inbox, _ = secure
    relay = transport(inbox.port, tls="required", username="shop", password=SecretStr("wr0ng"))

    with pytest.raises(TransportUnavailable, match=r"refuses the login \(535.*check username and password") as caught:
        relay.check()
    assert "wr0ng" not in str(caught.value)
    assert 1 == inbox.connections


def test_a_username_without_password_is_told_with_its_cure(secure: tuple[Inbox, Path], transport: Make) -> None:
    with pytest.raises(TransportUnavailable, match="set password_env or password_file"):
        transport(secure[0].port, tls="required", username="shop").check()


def test_login_by_the_older_way_when_it_is_the_only_one(transport: Make) -> None:
    def old(line: Line) -> None:
        line.greet("AUTH=LOGIN")
        for answer in ("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 welcome", "221 bye"):
            line.hear()
            line.say(answer)

    with scripted(old) as server:
        transport(server.port, username="shop", password=SecretStr("s3cret")).check()

        assert ["AUTH LOGIN", "c2hvcA==", "czNjcmV0", "QUIT"] == server._lines[0].heard[1:]


def test_words_slipped_in_before_encryption_end_the_connection(transport: Make) -> None:
    def injected(line: Line) -> None:
        line.greet("STARTTLS")
        line.hear()
        line.say("220 go", "250 injected")
        line.hear()

    with scripted(injected) as server, pytest.raises(TransportUnavailable, match="before TLS began"):
        hand_over(transport(server.port, tls="required"), mail(), never)


# ---------------------------------------------------------------- before the dot: certain


def test_a_kept_connection_that_the_server_closed_is_renewed_without_a_pause(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port, pauses=(60.0,))
    hand_over(relay, mail())
    inbox.stop()
    inbox.start()

    outcome = hand_over(relay, mail())

    assert "sent" == outcome.state.value
    assert 2 == len(inbox.received)


def test_an_unreachable_server_is_told_after_all_tries(transport: Make) -> None:
    with scripted(lambda line: None) as server:
        port = server.port
    relay = transport(port)

    with pytest.raises(TransportUnavailable, match=rf"transport 'relay': 127.0.0.1:{port} can't be used: .*refused"):
        hand_over(relay, mail(), never)


@pytest.mark.parametrize("host", ["smtp..shop.test", f"{'x' * 64}.test", "."])
def test_a_host_that_is_no_name_is_told_with_its_cure(transport: Make, host: str) -> None:
    with pytest.raises(TransportUnavailable, match="that is no host name; check host and port"):
        transport(25, host=host, tls="required").check()


@pytest.mark.parametrize(("tls", "port"), [("implicit", 587), ("required", 465), ("verify", 465)])
def test_a_port_that_does_not_go_with_tls_is_told(transport: Make, tls: str, port: int) -> None:
    with pytest.raises(
        TransportUnavailable, match='tls = "implicit" belongs to port 465, "required" and "verify" to 587'
    ):
        transport(port, (), host="127.99.0.1", tls=tls, timeout=0.5).check()


def test_busy_at_connect_is_tried_again(transport: Make) -> None:
    def busy(line: Line) -> None:
        line.say("421 4.7.0 too many connections")

    def ready(line: Line) -> None:
        line.greet()
        line.take_envelope()
        line.take_body()
        line.say("250 ok")
        line.hear()

    with scripted(busy, busy, ready) as server:
        outcome = hand_over(transport(server.port), mail())

        assert ("sent", 3) == (outcome.state.value, server.connections)


def test_busy_for_good_is_unavailable_and_says_so(transport: Make) -> None:
    with (
        scripted(lambda line: line.say("421 4.7.0 too many connections")) as server,
        pytest.raises(TransportUnavailable, match=r"421 4\.7\.0 too many connections"),
    ):
        hand_over(transport(server.port), mail(), never)


def test_a_connection_lost_within_the_body_is_made_anew_and_the_mail_goes_once(inbox: Inbox, transport: Make) -> None:
    asked = []

    def torn(line: Line) -> None:
        line.greet()
        line.take_envelope()
        line.hear()

    def whole(line: Line) -> None:
        line.greet()
        line.take_envelope()
        line.take_body()
        line.say("250 ok")
        line.hear()

    with scripted(torn, whole) as server:
        # 8 MB do not fit into the buffers of loopback, so the client feels the loss while it writes.
        outcome = hand_over(
            transport(server.port), mail(data=DATA + (b"x" * 70 + b"\r\n") * 120_000), lambda: asked.append(1)
        )

        assert ("sent", 2, [1]) == (outcome.state.value, server.connections, asked)


def test_a_server_that_drops_one_mail_each_time_defers_that_mail_and_does_not_stop_the_rest(transport: Make) -> None:
    def drop_after_mail(line: Line) -> None:
        line.greet()
        line.hear()

    with scripted(drop_after_mail) as server:
        outcome = hand_over(transport(server.port), mail(), never)

        assert ("deferred", "connection_lost", "MAIL") == as_word(outcome)
        assert 3 == server.connections


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("421 shutting down", ("deferred", "connection_lost", "DATA")),
        ("552 5.3.4 too big", ("refused", "content", "DATA")),
        ("250 got it", ("uncertain", "reply_lost", ".")),  # nobody knows what this server took for the end
    ],
)
def test_what_a_server_says_before_the_dot_is_heard_before_the_dot(
    transport: Make, said: str, expected: tuple[str, str, str]
) -> None:
    def early(line: Line) -> None:
        line.greet()
        line.hear()
        line.say("250 ok")
        line.hear()
        line.say("250 ok")
        line.hear()
        line.say("354 go on", said)
        line.take_body()

    with scripted(early) as server:
        assert expected == as_word(hand_over(transport(server.port, pauses=()), mail(), never))
        assert "." not in server._lines[0].heard


@pytest.mark.parametrize("features", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("552 5.3.4 too big", ("refused", "content", "DATA")),
        ("421 4.3.2 shutting down", ("deferred", "connection_lost", "DATA")),
    ],
)
def test_why_a_server_hung_up_within_a_body_is_heard(
    transport: Make, features: tuple[str, ...], said: str, expected: tuple[str, str, str]
) -> None:
    def impatient(line: Line) -> None:
        line.greet(*features)
        for answer in ("250 ok", "250 ok", "250 a chunk" if "CHUNKING" in features else "354 go on"):
            line.hear()
            line.say(answer)
        line.take(100_000)
        line.say(said)  # and closes with most of the mail unread

    large = DATA + (b"x" * 76 + b"\r\n") * 200_000
    with scripted(impatient) as server:
        assert expected == as_word(hand_over(transport(server.port, pauses=()), mail(data=large), never))
        assert 1 == server.connections


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("stage", "reply", "expected"),
    [
        ("MAIL", "450 4.7.1 too much mail", ("deferred", "throttled", "MAIL")),
        ("MAIL", "530 5.7.0 log in first", ("deferred", "configuration", "MAIL")),
        ("RCPT", "450 4.2.1 try later", ("deferred", "mailbox_unavailable", "RCPT")),
        ("RCPT", "550 5.1.1 no such user", ("refused", "unknown_address", "RCPT")),
    ],
)
def test_a_refusal_is_about_one_mail_and_the_connection_goes_on(
    inbox: Inbox, transport: Make, pipelining: bool, stage: str, reply: str, expected: tuple[str, str, str]
) -> None:
    inbox.pipelining = pipelining
    inbox.replies[stage] = reply
    relay = transport(inbox.port)

    refused = hand_over(relay, mail(), never)
    inbox.replies.clear()
    sent = hand_over(relay, mail())

    assert expected == as_word(refused)
    assert "sent" == sent.state.value
    assert 1 == inbox.connections


def test_a_server_that_waits_for_a_body_without_recipient_gets_none(transport: Make) -> None:
    seen = []

    def eager(line: Line) -> None:
        line.greet("PIPELINING")
        for answer in ("250 ok", "550 5.1.1 unknown", "354 go on"):
            line.hear()
            line.say(answer)
        try:
            seen.append(line.hear())
        except ConnectionError:
            seen.append("hung up")

    with scripted(eager) as server:
        outcome = hand_over(transport(server.port), mail(), never)
        until(lambda: bool(seen))

    assert ("refused", "unknown_address", "RCPT") == as_word(outcome)
    assert ["hung up"] == seen


@pytest.mark.parametrize("answers", [["250 ok"], ["250 ok", "503 bad sequence", "503 bad sequence"]])
def test_a_server_that_offers_pipelining_and_cannot_do_it_is_served_step_by_step(
    transport: Make, answers: list[str]
) -> None:
    def liar(line: Line) -> None:
        line.greet("PIPELINING")
        line.hear()
        line.buffer = b""  # what came in the same packet is lost on it
        line.say(*answers)
        line.hear()

    def careful(line: Line) -> None:
        line.greet("PIPELINING")
        for answer in ("250 ok", "250 ok", "354 go on"):
            line.hear()
            assert b"" == line.buffer
            line.say(answer)
        line.take_body()
        line.say("250 stored")
        line.hear()

    with scripted(liar, careful) as server:
        outcome = hand_over(transport(server.port, timeout=1), mail())

        assert ("sent", 2) == (outcome.state.value, server.connections)


def refuse(line: Line, *answers: str) -> None:
    """Answer these, then say goodbye to whatever comes."""
    for answer in answers:
        line.hear()
        line.say(answer)
    line.hear()
    line.say("250 ok")


def take(line: Line) -> None:
    line.greet("PIPELINING")
    line.take_envelope()
    line.take_body()
    line.say("250 stored")
    line.hear()


def test_without_pipelining_nothing_is_asked_after_a_refusal(transport: Make) -> None:
    def strict(line: Line) -> None:
        line.greet()
        refuse(line, "250 ok", "550 5.1.1 unknown")
        line.hear()

    with scripted(strict) as server:
        hand_over(transport(server.port), mail(), never)

        assert ["RCPT TO:<ann@example.test>", "RSET"] == server._lines[0].heard[2:4]


@pytest.mark.parametrize("features", [["PIPELINING"], []])
def test_421_to_a_kept_connection_is_only_its_age_and_to_a_fresh_one_an_answer(
    transport: Make, features: list[str]
) -> None:
    def aged(line: Line) -> None:
        line.greet(*features)
        line.take_envelope()
        line.take_body()
        line.say("250 stored")
        line.hear()
        line.say("421 4.4.2 you were silent for too long")

    def busy(line: Line) -> None:
        line.greet(*features)
        line.hear()
        line.say("421 4.7.0 too many messages")

    with scripted(aged, take, busy) as server:
        relay = transport(server.port, pauses=(60.0,))
        hand_over(relay, mail())
        renewed = hand_over(relay, mail())
        relay.close()
        throttled = hand_over(relay, mail(), never)

        assert "sent" == renewed.state.value
        assert ("deferred", "throttled", "MAIL") == as_word(throttled)
        assert 3 == server.connections


@pytest.mark.parametrize("ending", ["skip", "fault"])
def test_a_mail_that_is_not_to_go_is_torn_off_at_once(transport: Make, ending: str) -> None:
    ends: list[str] = []

    def listening(line: Line) -> None:
        line.greet()
        line.take_envelope()
        try:
            ends.append(line.take_body()[-1])
        except ConnectionResetError:
            ends.append("reset")

    def before_dot() -> Outcome | None:
        if ending == "fault":
            raise ZeroDivisionError
        return Outcome(state=MessageState.SKIPPED, reason="opted_out")

    with scripted(listening) as server:
        relay = transport(server.port)
        with suppress(ZeroDivisionError):
            assert ("skipped", "opted_out", "") == as_word(hand_over(relay, mail(), before_dot))
        until(lambda: bool(ends))

    assert ["reset"] == ends


def test_a_skip_at_the_dot_leaves_the_server_without_the_mail(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)
    skip = Outcome(state=MessageState.SKIPPED, reason="opted_out")

    assert skip == hand_over(relay, mail("ann@example.test"), lambda: skip)
    hand_over(relay, mail("bob@example.test"))

    assert [("bob@example.test",)] == [one.recipients for one in inbox.received]
    assert 2 == inbox.connections


# ---------------------------------------------------------------- what is never said


@pytest.mark.parametrize(
    "address",
    [
        "a@y.test,c@d",
        "b@y.test>\r\nRCPT TO:<evil@z",
        "b@y.test\nDATA",
        "a@y.test\0",
        "<a@b.test>",
        "a b@y.test",
        "a@y.test ",
        "a@@y.test",
        "a@",
        "@y.test",
        "a\u2028@y.test",
        "a\u0085@y.test",
        "a@y.test\u3000",
        "\ud800@y.test",
        '"a b"@y.test',
        "x" * 65 + "@y.test",
        "a@" + "y" * 260,
        "",
    ],
)
def test_an_address_that_could_say_more_never_reaches_the_wire(inbox: Inbox, transport: Make, address: str) -> None:
    relay = transport(inbox.port)

    assert ("refused", "bad_address", "RCPT") == as_word(hand_over(relay, mail(address), never))
    assert ("deferred", "configuration", "MAIL") == as_word(hand_over(relay, mail(envelope_from=address), never))
    assert 0 == inbox.connections


@pytest.mark.parametrize(
    "data", [b"a: b\n\r\nx\r\n", b"a: b\r\n\r\nx\n.\r\nMAIL FROM:<evil@z>\r\n", b"a: b\r\n\r\nx\r\r\n"]
)
def test_a_bare_line_end_never_reaches_the_wire(inbox: Inbox, transport: Make, data: bytes) -> None:
    assert ("refused", "malformed", "DATA") == as_word(hand_over(transport(inbox.port), mail(data=data), never))
    assert 0 == inbox.connections


def test_a_local_part_beyond_ascii_goes_to_a_server_that_takes_it(inbox: Inbox, transport: Make) -> None:
    hand_over(transport(inbox.port), mail("jörg@example.test"))

    assert [("jörg@example.test",)] == [one.recipients for one in inbox.received]
    assert {"SMTPUTF8", f"SIZE={len(DATA)}"} == set(inbox.received[0].options)


def test_a_local_part_beyond_ascii_is_refused_where_the_server_does_not_take_it(inbox: Inbox, transport: Make) -> None:
    inbox.smtputf8 = False

    assert ("refused", "needs_smtputf8", "MAIL") == as_word(
        hand_over(transport(inbox.port), mail("jörg@example.test"), never)
    )


# ---------------------------------------------------------------- after the dot: perhaps


def test_a_connection_lost_after_the_dot_is_uncertain_for_the_server_has_the_mail(
    inbox: Inbox, transport: Make
) -> None:
    inbox.after_storing = "abort"

    outcome = hand_over(transport(inbox.port), mail())

    assert ("uncertain", "reply_lost", ".") == as_word(outcome)
    assert 1 == len(inbox.received)
    assert 1 == inbox.connections  # never tried again


def test_an_answer_that_comes_too_late_is_uncertain(inbox: Inbox, transport: Make) -> None:
    inbox.after_storing = "hang"
    relay = transport(inbox.port)
    relay._waits = replace(relay._waits, dot=0.1)

    outcome = hand_over(relay, mail())

    assert ("uncertain", "reply_lost", ".") == as_word(outcome)
    assert 1 == len(inbox.received)


def test_421_after_the_dot_is_uncertain_and_the_next_mail_gets_a_new_connection(inbox: Inbox, transport: Make) -> None:
    relay = transport(inbox.port)
    inbox.after_storing = "421 4.3.2 shutting down"

    first = hand_over(relay, mail())
    inbox.after_storing = ""
    second = hand_over(relay, mail())

    assert ("uncertain", "reply_lost", ".") == as_word(first)
    assert "421 4.3.2 shutting down" == first.reply
    assert "sent" == second.state.value
    assert 2 == inbox.connections


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("451 4.3.0 try again", ("deferred", "temporary", ".")),
        ("452 4.2.2 mailbox full", ("deferred", "mailbox_full", ".")),
        ("554 5.6.0 not this", ("refused", "content", ".")),
    ],
)
def test_a_refusal_after_the_dot_is_certain(
    inbox: Inbox, transport: Make, reply: str, expected: tuple[str, str, str]
) -> None:
    inbox.replies["."] = reply
    relay = transport(inbox.port)

    assert expected == as_word(hand_over(relay, mail()))
    inbox.replies.clear()
    assert "sent" == hand_over(relay, mail()).state.value
    assert 1 == inbox.connections


def test_a_signal_while_the_answer_is_awaited_ends_the_wait(transport: Make) -> None:
    def silent(line: Line) -> None:
        line.greet()
        line.take_envelope()
        line.take_body()
        os.kill(os.getpid(), signal.SIGUSR1)
        line.hear()

    with scripted(silent) as server:
        relay = transport(server.port, timeout=60)
        before = signal.signal(signal.SIGUSR1, lambda *_: relay.give_up_after(0))
        began = time.monotonic()
        outcome = hand_over(relay, mail())
        signal.signal(signal.SIGUSR1, before)

    assert ("uncertain", "reply_lost", ".") == as_word(outcome)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("tls", ["off", "implicit"])
def test_a_signal_while_a_greeting_is_awaited_ends_the_wait(transport: Make, tls: str) -> None:
    def silent(line: Line) -> None:
        os.kill(os.getpid(), signal.SIGUSR1)
        line.socket.recv(1)
        line.hear()

    with scripted(silent) as server:
        relay = transport(server.port, timeout=60, tls=tls)
        before = signal.signal(signal.SIGUSR1, lambda *_: relay.give_up_after(0))
        began = time.monotonic()
        outcome = hand_over(relay, mail(), never)
        signal.signal(signal.SIGUSR1, before)

    assert ("deferred", "stopped", "CONNECT") == as_word(outcome)
    assert time.monotonic() - began < 5


def test_an_answer_within_the_grace_still_counts(transport: Make) -> None:
    def slow(line: Line) -> None:
        line.greet()
        line.take_envelope()
        line.take_body()
        relay.give_up_after(10)
        line.say("250 ok")
        line.hear()

    with scripted(slow) as server:
        relay = transport(server.port)
        outcome = hand_over(relay, mail())

    assert "sent" == outcome.state.value


def test_giving_up_before_the_dot_hands_nothing_over(transport: Make) -> None:
    def stopping(line: Line) -> None:
        line.greet()
        relay.give_up_after(10)
        line.take_envelope()
        line.take_body()

    with scripted(stopping) as server:
        relay = transport(server.port)
        outcome = hand_over(relay, mail(), never)

    assert ("deferred", "stopped", "DATA") == as_word(outcome)


# ---------------------------------------------------------------- waits


def test_the_answer_to_the_dot_may_take_ten_minutes_unless_the_owner_says_otherwise() -> None:
    silent = TransportSettings(host="h", bounce_domain="b.test")
    spoken = TransportSettings(host="h", bounce_domain="b.test", timeout=20)

    assert Waits(connect=30, greeting=60, command=60, data=60, block=60, dot=600) == waits(silent)
    assert Waits(connect=20, greeting=20, command=20, data=20, block=20, dot=20) == waits(spoken)


def test_a_long_timeout_never_goes_beyond_the_standard() -> None:
    assert Waits(dot=1000) == waits(TransportSettings(host="h", bounce_domain="b.test", timeout=1000))


@pytest.mark.parametrize("said", ["HTTP/1.1 400 Bad Request", "22", "220_odd", "\ufeff220 x"])
def test_what_does_not_speak_smtp_is_unavailable(transport: Make, said: str) -> None:
    with scripted(lambda line: line.say(said)) as server, pytest.raises(TransportUnavailable, match="not speak SMTP"):
        transport(server.port).check()


@pytest.mark.parametrize("flood", [["220-more"] * 100_000, ["220 " + "x" * 1_000_000]])
def test_an_answer_without_end_is_cut_off(transport: Make, flood: list[str]) -> None:
    with scripted(lambda line: line.say(*flood)) as server, pytest.raises(TransportUnavailable, match="has no end"):
        transport(server.port).check()
