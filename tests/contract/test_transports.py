"""What every transport promises, over real SMTP, a real folder and HTTP on loopback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from fake_providers import AWS_KEY, AWS_SECRET, RESEND_KEY, FakeResend, FakeSes, running
from mail_servers import Chunks, Inbox, certificate, scripted
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.delivery import ENDING, Offer, Transport, hand_over, open_transport
from engine.errors import TransportUnavailable
from engine.model import Mail, MessageState, Outcome

SMTP = ("smtp", "smtp in chunks", "smtp with TLS")
KINDS = (*SMTP, "outbox", "resend", "ses")
OPTED_OUT = Outcome(state=MessageState.SKIPPED, reason="opted_out")


@dataclass
class Way:
    """A transport with a look at the other side."""

    transport: Transport
    arrived: Callable[[], list[str]]  # the subjects of what came through
    block: Callable[[], None]  # from now on nothing gets through
    raw: Callable[[], list[bytes]] = list  # the bytes of it, where bytes come through


def mail(subject: str, body: bytes = b"hello\r\n") -> Mail:
    head = f"From: hello@shop.test\r\nTo: {subject}@people.test\r\nSubject: {subject}\r\n\r\n".encode()
    to = f"{subject}@people.test"
    return Mail(delivery_id=subject, envelope_from="hello@shop.test", recipient=to, data=head + body, digest="x")


def offers(names: str, says: dict[str, Outcome] | None = None, story: list[str] | None = None) -> Iterator[Offer]:
    """An offer for each letter; `says` are those who say no, `story` is told what happens."""

    def asked(name: str) -> Outcome | None:
        if story is not None:
            story.append(f"ask {name}")
        return (says or {}).get(name)

    for name in names:
        if story is not None:
            story.append(f"take {name}")
        yield Offer(ord(name), mail(name), lambda name=name: asked(name))  # type: ignore[misc]


def ends(way: Way, given: Iterator[Offer]) -> dict[str, tuple[str, str]]:
    """How each ended; twice the same is a fault."""
    found: dict[str, tuple[str, str]] = {}
    for n, outcome in way.transport.deliver(given):
        assert chr(n) not in found
        found[chr(n)] = outcome.state.value, outcome.reason
    return found


def subjects(found: list[bytes]) -> list[str]:
    return [one.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for one in found]


def outbox(opened: ExitStack, folder: Path) -> Way:
    out = folder / "out"

    def raw() -> list[bytes]:
        return [one.read_bytes() for one in sorted(out.glob("*.eml"))]

    settings = TransportSettings(kind="outbox", folder="out")
    # A file where the folder should be keeps it from being made.
    return Way(open_transport("folder", settings, folder), lambda: subjects(raw()), lambda: out.touch(), raw)


def relay(opened: ExitStack, folder: Path, kind: str) -> Way:
    raw: Callable[[], list[bytes]]
    if kind == "smtp in chunks":
        chunks = Chunks()
        server = opened.enter_context(scripted(chunks))
        port, block, raw = server.port, server.stop, lambda: [data for _, data in chunks.received]
    else:
        inbox = Inbox(tls=certificate(folder)[1] if kind == "smtp with TLS" else None)
        inbox.start()
        opened.callback(lambda: inbox.stop() if inbox._thread.is_alive() else None)
        port, block, raw = inbox.port, inbox.stop, lambda: [one.data for one in inbox.received]
    tls = "required" if kind == "smtp with TLS" else "off"
    settings = TransportSettings(host="127.0.0.1", port=port, tls=tls, bounce_domain="b.test", timeout=5)
    return Way(open_transport("relay", settings, folder), lambda: subjects(raw()), block, raw)


def provider(opened: ExitStack, folder: Path, kind: str) -> Way:
    fake = opened.enter_context(running(FakeResend() if kind == "resend" else FakeSes()))
    secret = SecretStr(RESEND_KEY if kind == "resend" else AWS_SECRET)
    values = {"kind": kind, "endpoint": fake.base, "username": AWS_KEY, "password": secret, "timeout": 5}
    transport = open_transport("api", TransportSettings.model_validate(values), folder)
    if kind == "resend":
        return Way(transport, lambda: [one["subject"] for one in fake.arrived], fake.stop)

    def raw() -> list[bytes]:
        return [one["raw"] for one in fake.arrived]

    return Way(transport, lambda: subjects(raw()), fake.stop, raw)


@pytest.fixture(params=KINDS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    kind = request.param
    with ExitStack() as opened:
        if kind == "outbox":
            made = outbox(opened, tmp_path)
        else:
            made = relay(opened, tmp_path, kind) if kind in SMTP else provider(opened, tmp_path, kind)
        opened.callback(made.transport.close)
        if kind != "outbox":
            made.transport._pauses = (0.0,)  # type: ignore[attr-defined]  # tests don't wait
        yield made


@pytest.mark.parametrize("way", [kind for kind in KINDS if kind != "resend"], indirect=True)
def test_a_mail_arrives_byte_for_byte(way: Way) -> None:
    one = mail("a", b".\r\n..two\r\n.three\r\n\r\nlast line\r\n")

    assert MessageState.SENT == hand_over(way.transport, one).state
    assert [one.data] == way.raw()


def test_each_mail_taken_is_answered_once_and_arrives_once(way: Way) -> None:
    assert dict.fromkeys("abcde", ("sent", "")) == ends(way, offers("abcde"))
    assert ["a", "b", "c", "d", "e"] == way.arrived()


def test_a_transport_may_be_used_again(way: Way) -> None:
    ends(way, offers("ab"))
    ends(way, offers("cd"))
    way.transport.close()
    ends(way, offers("e"))

    assert ["a", "b", "c", "d", "e"] == way.arrived()


def test_nothing_to_hand_over_is_nothing_to_answer(way: Way) -> None:
    assert {} == ends(way, offers(""))


def test_everybody_is_asked_before_her_mail_arrives(way: Way) -> None:
    seen: list[list[str]] = []

    hand_over(way.transport, mail("a"), lambda: seen.append(way.arrived()))

    assert [[]] == seen
    assert ["a"] == way.arrived()


def test_who_says_no_at_the_last_step_gets_nothing_and_the_others_do(way: Way) -> None:
    found = ends(way, offers("abc", says={"b": OPTED_OUT}))

    assert {"a": ("sent", ""), "b": ("skipped", "opted_out"), "c": ("sent", "")} == found
    assert ["a", "c"] == way.arrived()


def test_a_fault_at_the_last_step_hands_that_mail_not_over_and_leaves_the_transport_usable(way: Way) -> None:
    def fail() -> Outcome | None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        hand_over(way.transport, mail("a"), fail)
    assert MessageState.SENT == hand_over(way.transport, mail("b")).state
    assert ["b"] == way.arrived()


def test_what_cannot_be_reached_is_told_with_its_name_to_all_that_were_taken(way: Way) -> None:
    way.block()
    story: list[str] = []

    found = list(way.transport.deliver(offers("ab", story=story)))

    assert {(MessageState.DEFERRED, "unavailable")} == {(one.state, one.reason) for _, one in found}
    assert all(way.transport.name in one.reply for _, one in found)
    assert [one.removeprefix("take ") for one in story if one.startswith("take")] == [chr(n) for n, _ in found]
    with pytest.raises(TransportUnavailable, match=way.transport.name):
        way.transport.check()
    with pytest.raises(TransportUnavailable, match=way.transport.name):
        hand_over(way.transport, mail("a"))


def test_after_a_reason_that_ends_it_no_more_is_taken_and_what_was_taken_is_answered(way: Way) -> None:
    late = Outcome(state=MessageState.DEFERRED, reason="taken_over")
    story: list[str] = []

    found = ends(way, offers("a", says={"a": late}, story=story))
    found |= ends(way, offers("bc", says={"b": late}, story=story))

    assert "taken_over" in ENDING
    assert ("deferred", "taken_over") == found["a"] == found["b"]
    assert {one.removeprefix("take ") for one in story if one.startswith("take")} == set(found)
    assert [] == way.arrived()


def test_check_finds_nothing_wrong_and_sends_nothing(way: Way) -> None:
    way.transport.check()

    assert [] == way.arrived()


def test_after_a_stop_nothing_is_handed_over_until_the_transport_is_closed(way: Way) -> None:
    story: list[str] = []
    way.transport.give_up_after(0)

    stopped = ends(way, offers("a", story=story))
    way.transport.close()
    sent = ends(way, offers("b"))

    assert {"a": ("deferred", "stopped")} == stopped
    assert ["take a"] == story
    assert {"b": ("sent", "")} == sent
    assert ["b"] == way.arrived()


@pytest.mark.parametrize("way", SMTP, indirect=True)
def test_the_next_two_are_taken_before_the_answer_and_handed_over_after_it(way: Way) -> None:
    story: list[str] = []

    for n, _ in way.transport.deliver(offers("abc", story=story)):
        story.append(f"answer {chr(n)}")

    assert "take a, ask a, take b, take c, answer a, ask b, answer b, ask c, answer c" == ", ".join(story)
