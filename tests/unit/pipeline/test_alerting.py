"""A person is told once per cause, when it has lasted; when it is over; and again when it comes back."""

import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tracked_shop import CAMPAIGN, SENT_AT, make_shop, opened

from engine import ledger, pipeline
from engine.model import CampaignState
from engine.pipeline import Mailer

CAUSE = f"paused:{CAMPAIGN}"


class Webhook:
    """A server that keeps what is posted to it; `answer` is its status, `wait` how long it takes."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, Any]] = []
        self.calls = 0
        self.answer, self.wait = 200, 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls += 1
                time.sleep(outer.wait)
                if outer.answer == 200:
                    outer.bodies.append(json.loads(body))
                self.send_response(outer.answer)
                if outer.answer == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?secret=s3cret"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def told(self) -> list[tuple[str, str]]:
        return [(one["cause"], one["state"]) for body in self.bodies for one in body["alerts"]]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    one = Webhook()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "shop"
    folder.mkdir()
    make_shop(folder, 1)
    return folder


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(made, tmp_path / "shop"))


def configured(shop: Path, lines: str, clock: str = "") -> Iterator[Mailer]:
    with (shop / "config.toml").open("a") as config:
        config.write(f"{clock}\n[alerts]\n{lines}\n")
    with opened(shop) as mailer:
        ledger.beat(mailer.store, "on-another-machine", "worker")
        ledger.set_state(mailer.store, CAMPAIGN, CampaignState.RUNNING, "", SENT_AT)
        yield mailer


@pytest.fixture
def mailer(shop: Path, webhook: Webhook) -> Iterator[Mailer]:
    """A shop whose alerts go to the webhook; nothing is wrong yet, and its clock runs as the real one does."""
    yield from configured(shop, f'webhook = "{webhook.url}"', clock="speed = 1")


def pause(mailer: Mailer, reason: str = "the server refuses our mail") -> None:
    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.PAUSED, reason, SENT_AT)


def go_on(mailer: Mailer) -> None:
    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.RUNNING, "", SENT_AT)


def alert(mailer: Mailer, seconds: float) -> None:
    pipeline.alert(mailer, SENT_AT + timedelta(seconds=seconds))


def test_a_cause_is_told_once_when_it_has_lasted_half_a_minute(mailer: Mailer, webhook: Webhook) -> None:
    pause(mailer)
    for seconds in (0, 10, 29):
        alert(mailer, seconds)
    assert [] == webhook.bodies

    for seconds in (30, 40, 3600):
        alert(mailer, seconds)

    (body,) = webhook.bodies
    began = SENT_AT.isoformat()
    text = "tour is paused: the server refuses our mail"
    told = {"cause": CAUSE, "state": "open", "text": text, "began_at": began, "over_at": None}
    assert {"shop": "Harbour & Hill", "text": text, "alerts": [told]} == body


def test_it_is_told_when_it_is_over_and_again_when_it_comes_back(mailer: Mailer, webhook: Webhook) -> None:
    pause(mailer)
    alert(mailer, 0), alert(mailer, 30)
    go_on(mailer)
    alert(mailer, 100), alert(mailer, 110), alert(mailer, 130), alert(mailer, 140)
    pause(mailer)
    alert(mailer, 200), alert(mailer, 230)

    assert [(CAUSE, "open"), (CAUSE, "over"), (CAUSE, "open")] == webhook.told()


def test_what_comes_and_goes_within_half_a_minute_is_no_news(mailer: Mailer, webhook: Webhook) -> None:
    pause(mailer)
    alert(mailer, 0)
    go_on(mailer)
    alert(mailer, 10)
    pause(mailer)
    alert(mailer, 20), alert(mailer, 45)
    assert [] == webhook.told(), "it began anew"

    alert(mailer, 50)
    go_on(mailer)
    alert(mailer, 60)
    pause(mailer)
    alert(mailer, 70), alert(mailer, 300)
    assert [(CAUSE, "open")] == webhook.told(), "it was never over for long"


def test_the_same_thing_in_other_numbers_is_not_told_again(mailer: Mailer, webhook: Webhook) -> None:
    pause(mailer, "5 of 100 refused")
    alert(mailer, 0), alert(mailer, 30)
    go_on(mailer), pause(mailer, "9 of 100 refused")
    alert(mailer, 60), alert(mailer, 90)

    assert [(CAUSE, "open")] == webhook.told()


def test_status_shows_what_is_open(mailer: Mailer) -> None:
    pause(mailer)
    alert(mailer, 0)
    assert [(CAUSE, None)] == open_ones(mailer)

    alert(mailer, 30)
    assert [(CAUSE, SENT_AT + timedelta(seconds=30))] == open_ones(mailer)

    go_on(mailer)
    alert(mailer, 60)
    assert [] == open_ones(mailer)


def open_ones(mailer: Mailer) -> list[tuple[str, datetime | None]]:
    return [(one["cause"], one["told_at"]) for one in pipeline.status(mailer, SENT_AT)["alerts"]]


@pytest.mark.parametrize("answer", [500, 302])
def test_an_alert_that_nobody_got_is_logged_without_the_address_and_tried_again(
    mailer: Mailer, webhook: Webhook, answer: int, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.answer = answer
    pause(mailer)
    alert(mailer, 0), alert(mailer, 30), alert(mailer, 40)
    assert 1 == webhook.calls, "a minute lies between two tries, and no redirect is followed"
    assert f"alert_failed way=webhook causes=1 reason='the webhook does not take it: HTTP {answer}'" in caplog.text
    assert "s3cret" not in caplog.text

    webhook.answer = 200
    let_go(mailer)
    alert(mailer, 100)
    assert [(CAUSE, "open")] == webhook.told()


def let_go(mailer: Mailer) -> None:
    """A minute of the database's clock is over."""
    ledger.note_untold(mailer.store, ledger.open_alerts(mailer.store), -1)


def test_a_webhook_that_is_gone_is_named_without_its_address(
    mailer: Mailer, webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    webhook.server.shutdown()
    webhook.server.server_close()
    pause(mailer)
    alert(mailer, 0), alert(mailer, 30)

    assert "reason='the webhook does not take it: ConnectionError'" in caplog.text
    assert "s3cret" not in caplog.text


def test_two_who_look_at_once_tell_it_once(mailer: Mailer, webhook: Webhook) -> None:
    webhook.wait = 0.3
    pause(mailer)
    alert(mailer, 0)
    threads = [threading.Thread(target=alert, args=(mailer, 30)) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert 1 == webhook.calls


def test_several_causes_are_one_post(mailer: Mailer, webhook: Webhook) -> None:
    pause(mailer)
    ledger.leave(mailer.store, "on-another-machine")
    alert(mailer, 0), alert(mailer, 30)

    assert [("no sender", "open"), (CAUSE, "open")] == sorted(webhook.told())
    assert 1 == webhook.calls


# ---------------------------------------------------------------- by mail


def test_an_alert_goes_by_mail_over_the_first_transport_and_counts_as_no_message(shop: Path) -> None:
    for mailer in configured(shop, 'email = "owner@shop.test"'):
        before = pipeline.status(mailer, SENT_AT)["campaigns"]
        pause(mailer)
        pipeline.alert(mailer, SENT_AT)

        (mail,) = mails_to(shop / "outbox", "owner@shop.test")
        assert "[Harbour & Hill] tour is paused: the server refuses our mail" == mail["Subject"]
        assert "tour is paused: the server refuses our mail" in mail.get_body(("plain",)).get_content()
        assert None is mail["List-Unsubscribe"]
        assert [one["sent"] for one in before] == [one["sent"] for one in pipeline.status(mailer, SENT_AT)["campaigns"]]

        go_on(mailer)
        pipeline.alert(mailer, SENT_AT)
        assert "[Harbour & Hill] all clear: tour is paused: the server refuses our mail" in [
            one["Subject"] for one in mails_to(shop / "outbox", "owner@shop.test")
        ]


def test_an_alert_goes_over_the_transport_that_the_owner_names(shop: Path) -> None:
    lines = 'email = "owner@shop.test"\ntransport = "second"\n[transport.second]\nkind = "outbox"\nfolder = "other"'
    for mailer in configured(shop, lines):
        pause(mailer)
        pipeline.alert(mailer, SENT_AT)

    assert [] == mails_to(shop / "outbox", "owner@shop.test")
    assert 1 == len(mails_to(shop / "other", "owner@shop.test"))


def mails_to(folder: Path, address: str) -> list[Any]:
    files = sorted(folder.rglob("*.eml")) if folder.exists() else []
    found = [message_from_bytes(one.read_bytes(), policy=policy.default) for one in files]
    return [one for one in found if address in str(one["To"])]


def test_one_way_that_gets_through_is_enough(shop: Path, webhook: Webhook, caplog: pytest.LogCaptureFixture) -> None:
    webhook.answer = 500
    for mailer in configured(shop, f'email = "owner@shop.test"\nwebhook = "{webhook.url}"'):
        pause(mailer)
        with caplog.at_level(logging.INFO):
            pipeline.alert(mailer, SENT_AT)
            let_go(mailer)
            pipeline.alert(mailer, SENT_AT)

    assert 1 == webhook.calls
    assert 1 == len(mails_to(shop / "outbox", "owner@shop.test"))


def test_the_rows_of_alerts_are_the_same_on_both_databases(store: Any, at: datetime) -> None:
    def minutes(n: int) -> datetime:
        return at + timedelta(minutes=n)

    ledger.note_causes(store, {"a": "one", "b": "two"}, at)
    first = ledger.claim_untold(store, minutes(1), timedelta(seconds=30))
    assert (["a", "b"], []) == ([one.cause for one in first], ledger.claim_untold(store, minutes(1), timedelta(0)))
    ledger.note_told(store, first, minutes(1))
    ledger.note_causes(store, {"b": "two"}, minutes(2))
    (over,) = ledger.claim_untold(store, minutes(3), timedelta(seconds=30))
    assert ("a", minutes(2)) == (over.cause, over.over_at)
    ledger.note_told(store, [over], minutes(3))

    assert [] == ledger.claim_untold(store, minutes(4), timedelta(0))
    assert ["b"] == [one.cause for one in ledger.open_alerts(store)]
