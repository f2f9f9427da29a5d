"""What every transport promises, over real SMTP and a real folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mail_servers import Inbox, certificate

from engine.config import TransportSettings
from engine.delivery import Transport, open_transport
from engine.errors import TransportUnavailable
from engine.model import Mail, MessageState, Outcome


@dataclass
class Way:
    """A transport with a look at the other side."""

    transport: Transport
    arrived: Callable[[], list[bytes]]
    block: Callable[[], None]  # from now on nothing gets through


def mail(n: int = 1, data: bytes = b"Subject: hi\r\n\r\nhello\r\n") -> Mail:
    return Mail(delivery_id=f"d{n}", envelope_from="b@bounce.test", recipient=f"r{n}@shop.test", data=data, digest="x")


def go_ahead() -> None:
    return None


@pytest.fixture(params=["smtp", "smtp with TLS", "outbox"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    if request.param == "outbox":
        folder = tmp_path / "out"
        transport = open_transport("folder", TransportSettings(kind="outbox", folder="out"), tmp_path)
        yield Way(
            transport,
            lambda: [one.read_bytes() for one in sorted(folder.glob("*.eml"))],
            lambda: folder.touch(),  # a file where the folder should be
        )
        return
    encrypted = request.param == "smtp with TLS"
    inbox = Inbox(tls=certificate(tmp_path)[1] if encrypted else None)
    inbox.start()
    tls = "required" if encrypted else "off"
    settings = TransportSettings(host="127.0.0.1", port=inbox.port, tls=tls, bounce_domain="b.test", timeout=5)
    transport = open_transport("relay", settings, tmp_path)
    transport._pauses = (0.0,)  # type: ignore[attr-defined]  # tests don't wait
    yield Way(transport, lambda: [one.data for one in inbox.received], inbox.stop)
    transport.close()
    if inbox._thread.is_alive():
        inbox.stop()


def test_a_mail_arrives_byte_for_byte(way: Way) -> None:
    data = b"Subject: hi\r\n\r\n.\r\n..two\r\n.three\r\n\r\nlast line\r\n"

    outcome = way.transport.send(mail(data=data), go_ahead)

    assert MessageState.SENT == outcome.state
    assert [data] == way.arrived()


def test_mails_arrive_one_after_another(way: Way) -> None:
    outcomes = [way.transport.send(mail(n, b"Subject: %d\r\n\r\n\r\n" % n), go_ahead) for n in range(5)]

    assert [MessageState.SENT] * 5 == [one.state for one in outcomes]
    assert [b"Subject: %d" % n for n in range(5)] == [one.partition(b"\r\n")[0] for one in way.arrived()]


def test_before_the_dot_nothing_has_arrived(way: Way) -> None:
    seen = []

    way.transport.send(mail(), lambda: seen.append(way.arrived()))

    assert [[]] == seen
    assert 1 == len(way.arrived())


def test_a_skip_before_the_dot_hands_nothing_over_and_comes_back(way: Way) -> None:
    skip = Outcome(state=MessageState.SKIPPED, reason="opted_out")

    assert skip is way.transport.send(mail(1), lambda: skip)
    assert MessageState.SENT == way.transport.send(mail(2), go_ahead).state
    assert 1 == len(way.arrived())


def test_a_fault_before_the_dot_hands_nothing_over_and_leaves_the_transport_usable(way: Way) -> None:
    def fail() -> Outcome | None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        way.transport.send(mail(1), fail)
    assert MessageState.SENT == way.transport.send(mail(2), go_ahead).state
    assert 1 == len(way.arrived())


def test_what_cannot_be_reached_is_told_before_the_dot(way: Way) -> None:
    way.block()
    asked = []

    with pytest.raises(TransportUnavailable, match=way.transport.name):
        way.transport.send(mail(), lambda: asked.append(1))
    with pytest.raises(TransportUnavailable, match=way.transport.name):
        way.transport.check()
    assert [] == asked


def test_check_finds_nothing_wrong_and_sends_nothing(way: Way) -> None:
    way.transport.check()

    assert [] == way.arrived()


def test_after_a_stop_nothing_is_handed_over_until_the_transport_is_closed(way: Way) -> None:
    asked: list[int] = []
    way.transport.give_up_after(0)

    stopped = way.transport.send(mail(), lambda: asked.append(1))
    way.transport.close()
    sent = way.transport.send(mail(), go_ahead)

    assert (MessageState.DEFERRED, "stopped") == (stopped.state, stopped.reason)
    assert [] == asked
    assert MessageState.SENT == sent.state
