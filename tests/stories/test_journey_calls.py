"""Webhooks of journeys, against a real server on loopback: at least once, the same key, never an address."""

import hashlib
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sqlalchemy as sa
from journey_shop import contacts, let_in, write_journey
from story_shop import Shop, address

from engine import journeys, ledger, pipeline
from engine.pipeline import Mailer
from engine.store.tables import call

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Hook(ThreadingHTTPServer):
    """Remembers what it was told, and answers as it was asked to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.told: list[tuple[str, str, bytes]] = []
        self.answers = [200]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Answers(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.append((self.path, self.headers["Idempotency-Key"], body))
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        self.send_response(answer)
        if answer == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def mailer(shop: Shop, hook: Hook) -> Mailer:
    """A journey that calls the hook, and somebody who came to that step."""
    write_journey(shop, f'[[step]]\nid = "tell"\nwebhook = "{hook.url}"\n')
    opened = shop.open()
    journeys.start(opened, "story", AT)
    let_in(opened, "story", contacts(opened, 1), AT)
    journeys.advance(opened, AT)
    return opened


def due_at(mailer: Mailer) -> datetime | None:
    with mailer.store.read() as db:
        found: datetime | None = db.execute(sa.select(call.c.due_at)).scalar_one()
    return found


def test_the_hook_hears_journey_step_and_who_by_a_hash_of_her_address(mailer: Mailer, hook: Hook) -> None:
    journeys.call_out(mailer, AT)
    journeys.call_out(mailer, AT + timedelta(days=1))

    ((path, key, body),) = hook.told
    said = json.loads(body)
    assert ("/hook", 24) == (path, len(key))
    assert ("story", "tell") == (said["journey"], said["step"])
    assert hashlib.sha256(address(0).encode()).hexdigest() == said["email_sha256"]
    assert b"@" not in body
    assert due_at(mailer) is None


def test_what_fails_is_called_again_later_under_the_same_key(mailer: Mailer, hook: Hook) -> None:
    hook.answers = [500, 200]

    journeys.call_out(mailer, AT)
    assert "HTTP 500" == ledger.troubled_calls(mailer.store, AT)[0].trouble
    journeys.call_out(mailer, AT + timedelta(seconds=59))
    assert 1 == len(hook.told)
    journeys.call_out(mailer, AT + timedelta(minutes=1))

    assert 2 == len(hook.told)
    assert 1 == len({key for _, key, _ in hook.told})
    assert [] == ledger.troubled_calls(mailer.store, AT)


def test_a_redirect_is_not_followed(mailer: Mailer, hook: Hook) -> None:
    hook.answers = [302]

    journeys.call_out(mailer, AT)

    assert ["/hook"] == [path for path, _, _ in hook.told]
    assert "HTTP 302" == ledger.troubled_calls(mailer.store, AT)[0].trouble


def test_after_three_days_a_call_is_given_up_and_told(mailer: Mailer, hook: Hook) -> None:
    hook.answers = [503]
    at = AT
    while (due := due_at(mailer)) is not None:
        at = due
        journeys.call_out(mailer, at)

    assert AT + timedelta(days=2, hours=12) < at <= AT + timedelta(days=3)
    (told,) = ledger.troubled_calls(mailer.store, AT)
    assert (None, "HTTP 503") == (told.due_at, told.trouble)
    told_of = {one.cause: one.text for one in pipeline.worries(mailer, at)}
    assert "a webhook of a journey fails: HTTP 503" == told_of["webhooks"]


def test_a_caller_that_dies_leaves_the_call_to_others_after_a_while(mailer: Mailer, hook: Hook) -> None:
    assert ledger.take_call(mailer.store, AT, AT + timedelta(minutes=5)) is not None

    journeys.call_out(mailer, AT)
    assert [] == hook.told
    journeys.call_out(mailer, AT + timedelta(minutes=5))
    assert 1 == len(hook.told)
