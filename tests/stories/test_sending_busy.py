"""Two senders, the web and an importer on one SQLite file: all get through, and an unsubscribe never waits."""

import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Commands
from sender_host import SenderHost, Worker
from sink import Sink
from story_shop import PEOPLE, Shop, in_state, people, standings

from engine import audience, pipeline
from engine.model import MessageState

LONGEST = 1.0  # seconds that an unsubscribe may wait
_LINK = re.compile(rb"List-Unsubscribe: <https://mail\.shop\.example(/u/[\w-]+)>")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def wait_for_the_web(port: int) -> None:
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            time.sleep(0.05)  # it is loading
        else:
            return


def unsubscribe(port: int, data: bytes) -> float:
    """What a mail program does with a click on "unsubscribe" (RFC 8058); gives the seconds that it took."""
    unfolded = re.sub(rb"\r\n[ \t]", b" ", data)
    link = _LINK.search(unfolded)
    assert link is not None
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", link[1].decode(), "List-Unsubscribe=One-Click", form)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert 200 == answer.status
    return time.monotonic() - began


def who_leaves(sink: Sink, operator: Worker, every: int) -> Iterator[tuple[str, bytes]]:
    """Every so many-th of those who got a mail, as it comes, until all have."""
    seen = 0
    while operator.is_alive() or seen < len(sink.taken):
        for one in sink.taken[seen:]:
            seen += 1
            if seen % every == 0:
                yield one.recipient, one.data
        operator.rest(0.01)


def busy_day(
    host: SenderHost, commands: Commands, shop: Shop, sink: Sink, folder: Path, tag: str, every: int
) -> tuple[list[float], int]:
    """Send to everybody with this tag, all the others at work; gives the waits of those who left, and the imports."""
    web = free_port()
    shop.configure(sink.port, connections=2, web=web)
    shop.campaign(tag)
    commands.type(shop.folder, "serve")
    wait_for_the_web(web)
    (folder / "more.csv").write_text(people(20_000, 23_000))
    importer = host.start(
        "import_again_and_again", shop.folder, file=str(folder / "more.csv"), until=str(folder / "enough")
    )
    operator = host.start("send", shop.folder, campaign="story")

    left = {email: unsubscribe(web, data) for email, data in who_leaves(sink, operator, every)}

    sent = operator.wait()
    (folder / "enough").touch()
    imported = importer.wait()
    mailer = shop.open()
    found = standings(mailer, sent["plan"])
    assert set(found) == in_state(found, MessageState.SENT)
    assert dict.fromkeys(found, 1) == sink.recipients()
    ids = [audience.find(mailer.store, email) for email in left]
    assert {False} == {one.mailing_consent for one in audience.standings(mailer.store, mailer.keys, ids).values()}
    assert pipeline.contact_card(mailer, "p22999@shop.test")
    return list(left.values()), imported["times"]


def assert_nobody_waited(capsys: pytest.CaptureFixture[str], waits: list[float], times: int) -> None:
    with capsys.disabled():
        middle = sorted(waits)[len(waits) // 2]
        print(f"\n{len(waits)} unsubscribes, {times} imports of 3,000: {middle:.3f} s, at most {max(waits):.3f} s")
    assert times >= 1
    assert max(waits) <= LONGEST


def test_an_unsubscribe_never_waits_while_two_send_and_one_imports(
    host: SenderHost,
    commands: Commands,
    sqlite_shop: Shop,
    sink: Sink,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    waits, times = busy_day(host, commands, sqlite_shop, sink, tmp_path, "all", every=10)

    assert PEOPLE // 10 == len(waits)
    assert_nobody_waited(capsys, waits, times)


@pytest.mark.soak
def test_an_unsubscribe_never_waits_in_a_long_day(
    host: SenderHost,
    commands: Commands,
    sqlite_shop: Shop,
    sink: Sink,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sqlite_shop.import_text("contacts", people(PEOPLE, PEOPLE + 10_000))

    assert_nobody_waited(capsys, *busy_day(host, commands, sqlite_shop, sink, tmp_path, "more", every=10))
