"""The parent: what it makes of a fault in a tick, and of a child that dies again and again."""

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from tracked_shop import CAMPAIGN, make_shop, opened

from engine import ledger, scheduler
from engine.model import CampaignState
from engine.pipeline import Mailer
from engine.scheduler import Child
from engine.store.tables import message, plan


@pytest.fixture
def mailer(tmp_path: Path) -> Iterator[Mailer]:
    """A campaign to four people that is sent."""
    make_shop(tmp_path, 1)
    with opened(tmp_path) as mailer:
        yield mailer


def test_a_fault_in_a_step_is_told_once_and_keeps_no_other_step_from_its_work(
    mailer: Mailer, caplog: pytest.LogCaptureFixture
) -> None:
    night, bounces = (Child(name=one, command=one, folder=mailer.folder, once=True, wanted=False) for one in ("n", "b"))
    rounds = scheduler.Rounds(mailer, night, bounces)
    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.RUNNING, "", mailer.clock())
    with mailer.store.write() as db:  # one message of a plan that nobody understands any more
        db.execute(sa.insert(plan).values(damaged_plan(mailer)))
        db.execute(sa.update(message).where(message.c.id == 1).values(state="uncertain", plan_id=99))

    with caplog.at_level(logging.ERROR, "mailer.run"):
        rounds.tick()
        rounds.tick()

    assert ["settle_uncertain"] == [record.args[0] for record in caplog.records]  # type: ignore[index]
    standing = ledger.state_of(mailer.store, CAMPAIGN)
    assert standing is not None
    assert CampaignState.ENDED is standing.state


def test_whoever_waits_is_told_after_each_tick_and_when_campaigns_have_come_round(mailer: Mailer) -> None:
    night, bounces = (Child(name=one, command=one, folder=mailer.folder, once=True, wanted=False) for one in ("n", "b"))
    told: list[datetime] = []
    rounds = scheduler.Rounds(mailer, night, bounces, tell=[lambda _mailer, at: told.append(at)])

    rounds.tick()
    assert [mailer.clock()] == told

    rounds.repeats()
    assert 2 == len(told)


def damaged_plan(mailer: Mailer) -> dict[str, object]:
    with mailer.store.read() as db:
        row = db.execute(sa.select(plan)).mappings().one()
    return {**row, "id": 99, "campaign": "damaged", "definition": {}}


def test_a_child_that_keeps_dying_is_started_ever_more_rarely(tmp_path: Path) -> None:
    child = Child(name="web", command="serve", folder=tmp_path)
    waits = []
    for _ in range(7):
        child.process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
        child.process.wait()
        child.started = time.monotonic()
        child.look_after()
        assert child.process is None, "it is started again before its time"
        waits.append(round(child.not_before - time.monotonic()))

    assert [1, 2, 5, 10, 30, 60, 60] == waits


def test_a_child_that_was_well_for_a_minute_starts_anew(tmp_path: Path) -> None:
    child = Child(name="web", command="serve", folder=tmp_path, deaths=5)
    child.process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    child.process.wait()
    child.started = time.monotonic() - 61

    child.look_after()

    assert 1 == child.deaths
    assert 1 == round(child.not_before - time.monotonic())


def test_a_night_that_fails_after_an_hour_of_work_again_and_again_is_told(tmp_path: Path) -> None:
    night = Child(name="night", command="night", folder=tmp_path, once=True)
    for _ in range(3):
        night.process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"], stdin=subprocess.PIPE)
        night.process.wait()
        night.started = time.monotonic() - 3600
        night.look_after()

    assert "night dies again and again: see the log" == night.trouble
    assert 5 == round(night.not_before - time.monotonic())


def test_a_night_that_ends_well_is_not_begun_again_by_itself(tmp_path: Path) -> None:
    child = Child(name="night", command="night", folder=tmp_path, once=True)
    child.process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    child.process.wait()

    child.look_after()
    child.look_after()

    assert (None, False, 0) == (child.process, child.wanted, child.deaths)
