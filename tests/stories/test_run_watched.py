"""Who watches `mailer run`: systemd, a monitoring system, whoever reads its log; and none of them sees an address."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from running_shop import Run, running, until
from sink import Sink
from story_shop import Shop

from engine.store.tables import orders

TOKEN = "a-token-that-nobody-may-read-in-a-log"


@pytest.fixture
def run(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> Iterator[Run]:
    with running(sqlite_shop, tmp_path, sink.port) as run:
        (run.shop.folder / "token").write_text(TOKEN)
        with (run.shop.folder / "config.toml").open("a") as config:
            config.write('in_token_file = "token"\n')  # [web] is its last section
        yield run


def answer(run: Run, path: str, body: object = None) -> tuple[int, str]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{run.web}/{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.read().decode()


def test_the_log_of_a_whole_story_is_json_and_holds_no_address_and_no_secret(run: Run, sink: Sink) -> None:
    sink.answers = lambda stage, who: f"550 5.1.1 <{who}>: nobody here" if stage == "RCPT" and "p3@" in who else None
    run.shop.released("few")
    run.start("--log", "json")
    until(lambda: len(sink.taken) == 24, "it does not go out")
    until(run.is_answering, "the pages don't answer")
    order = {"order_id": "L1", "email": "p1@shop.test", "ordered_at": "2026-03-01", "product_id": "T1", "quantity": 1}
    assert answer(run, "in/orders", order | {"unit_price": "4.90"})[0] == 200
    assert answer(run, "in/contacts", [{"email": "p2@shop.test"}, {"email": "broken"}])[0] == 200
    until(lambda: answer(run, "ready")[0] == 200, "it never is ready")
    figures = answer(run, "metrics")[1]
    run.signal(signal.SIGTERM)
    assert 0 == run.wait()

    events = [json.loads(line) for line in run.said().splitlines()]
    told = {one["event"] for one in events}
    assert {"run_started", "child_started", "batch_taken", "message_not_sent", "in_taken", "run_stopped"} <= told
    assert 'mailer_messages{state="sent",transport="main",class="marketing"} 24.0' in figures
    assert 'mailer_processes{kind="worker"} 1.0' in figures
    everything = run.said() + figures
    for secret in ("@", "shop.test", TOKEN, (run.shop.folder / "secret.key").read_text().strip()):
        assert secret not in everything
    with run.shop.open().store.read() as db:
        assert db.scalar(sa.select(orders.c.id).where(orders.c.order_id == "L1"))


def test_systemd_hears_when_it_is_ready_that_it_lives_and_when_it_stops(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(40)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        run.start()
        assert {b"READY=1", b"WATCHDOG=1"} == {systemd.recv(100), systemd.recv(100)}

        run.signal(signal.SIGTERM)
        while (heard := systemd.recv(100)) == b"WATCHDOG=1":
            pass

        assert b"STOPPING=1" == heard
        assert 0 == run.wait()


def test_it_stops_within_seconds_though_a_request_is_open_and_an_alert_hangs(run: Run, sink: Sink) -> None:
    hanging = socket.create_server(("127.0.0.1", 0))  # takes the webhook's call and never answers
    with (run.shop.folder / "config.toml").open("a") as config:
        config.write(f'[alerts]\nwebhook = "http://127.0.0.1:{hanging.getsockname()[1]}/"\n')
    run.start()
    until(run.is_answering, "the pages don't answer")
    with socket.create_connection(("127.0.0.1", run.web)) as slow:
        slow.sendall(b"POST /in/contacts HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n")
        run.signal(signal.SIGTERM)
        began = time.monotonic()
        assert 0 == run.wait()

    hanging.close()
    assert time.monotonic() - began < 12, "five seconds, and what a loaded machine takes"
