"""`mailer run` through days in minutes, its processes killed all the while: everybody once, and its log is in order."""

import json
import random
import re
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from running_shop import Run, campaign_at, running, until
from sink import Sink
from story_shop import Shop, agreed, quiet

from engine import pipeline
from engine.store.tables import contact

START = "2026-11-02T06:00:00+00:00"
# What may stand in the log of a run whose processes are killed, and nothing else that is grave.
EXPECTED = ("child_died", "parent_gone", "database is locked")


@pytest.fixture
def run(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> Iterator[Run]:
    """Two senders; the token for live rows is `t`."""
    with running(sqlite_shop, tmp_path, sink.port, connections=2) as run:
        (run.shop.folder / "token").write_text("t")
        yield run


def rehearse(run: Run, speed: int) -> pipeline.Mailer:
    with (run.shop.folder / "config.toml").open("a") as config:
        config.write(f'in_token_file = "token"\n[clock]\nfixed_at = {START}\nspeed = {speed}\n')
    mailer = run.shop.open()
    pipeline.night(mailer, mailer.clock())
    return mailer


def post(run: Run, number: int) -> bool:
    """One contact comes in live; False while the pages are down."""
    body = json.dumps({"email": f"live{number}@shop.test"}).encode()
    headers = {"Authorization": "Bearer t", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{run.web}/in/contacts", body, headers)
    with suppress(OSError), urllib.request.urlopen(request, timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def grave(run: Run) -> list[str]:
    lines = run.said().splitlines()
    return [one for one in lines if re.search(" (ERROR|WARNING) ", one) and not any(word in one for word in EXPECTED)]


def start(run: Run) -> None:
    """Back when it is up: before, a SIGTERM meets Python's own handler."""
    before = run.said().count("run_started") if run.log.exists() else 0
    run.start()
    until(lambda: run.said().count("run_started") > before, "it never came up")


def live_contacts(mailer: pipeline.Mailer) -> int:
    with mailer.store.read() as db:
        return db.scalar(sa.select(sa.func.count()).where(contact.c.email.like("live%"))) or 0


def through(run: Run, sink: Sink, *, speed: int, hours: int, kills: int) -> None:
    """A campaign every hour; every other one of them the parent is killed or stopped, or some child is killed."""
    mailer, chance = rehearse(run, speed), random.Random(speed)
    names = []
    for hour in range(1, hours + 1):
        due = (mailer.clock() + timedelta(hours=hour)).replace(microsecond=0)
        names.append(campaign_at(run.shop, "few", due, name=f"hour{hour}"))
        pipeline.send(mailer, names[-1], None, "once", mailer.clock(), agreed, quiet)
    start(run)
    posted = 0
    for n in range(kills):
        time.sleep(chance.uniform(1, 3))
        posted += post(run, n)
        if n % 3 == 2:
            run.signal(chance.choice((signal.SIGKILL, signal.SIGTERM)))
            run.wait()
            start(run)
        else:
            with suppress(ProcessLookupError):
                run.kill(chance.choice(("web", "sender-1", "sender-2")))
    until(lambda: len(sink.taken) + uncertain(mailer) >= 25 * hours, "somebody was lost", 60 + hours * 3600 / speed)
    run.signal(signal.SIGTERM)
    assert 0 == run.wait()

    by_message = Counter(one.message_id for one in sink.taken)
    assert {1} == set(by_message.values()), "nobody gets one twice"
    assert 25 * hours == len(by_message.keys() | lost_answers(mailer))
    assert posted == live_contacts(mailer)
    assert [] == grave(run)
    assert "@" not in run.said()


def lost_answers(mailer: pipeline.Mailer) -> set[str]:
    with mailer.store.read() as db:
        found = db.execute(sa.text("SELECT delivery_id FROM message WHERE state = 'uncertain'")).scalars()
        return {f"<{one}@shop.example>" for one in found}


def uncertain(mailer: pipeline.Mailer) -> int:
    return len(lost_answers(mailer))


def test_two_hours_at_1200_times_speed(run: Run, sink: Sink) -> None:
    through(run, sink, speed=1200, hours=2, kills=3)


@pytest.mark.soak
def test_two_days_at_600_times_speed(run: Run, sink: Sink) -> None:
    through(run, sink, speed=600, hours=48, kills=120)
