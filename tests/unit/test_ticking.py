"""What is done while nobody asks, at moments that a test chooses."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from tracked_shop import CAMPAIGN, SENT_AT, make_shop, moved, opened, quiet

from engine import delivery, ledger, pipeline
from engine.errors import UnknownPlan
from engine.model import CampaignState, EntryState, Hit, HitKind, MessageState, Outcome
from engine.pipeline import Mailer
from engine.store.tables import hit, message, process

UNCERTAIN = Outcome(state=MessageState.UNCERTAIN, reason="reply_lost")
DEFERRED = Outcome(state=MessageState.DEFERRED, reason="greylisted")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people, and a campaign for them that nobody has sent."""
    folder = tmp_path_factory.mktemp("made") / "shop"
    folder.mkdir()
    make_shop(folder, 1, send=False)
    return folder


@pytest.fixture
def mailer(made: Path, tmp_path: Path) -> Iterator[Mailer]:
    """A workspace of their own for each test."""
    with opened(Path(shutil.copytree(made, tmp_path / "shop"))) as mailer:
        yield mailer


def released(mailer: Mailer, more: str = "") -> int:
    path = mailer.campaign_file(CAMPAIGN)
    path.write_text(path.read_text() + more)
    made = pipeline.make_plan(mailer, CAMPAIGN, SENT_AT, "once", quiet)
    ledger.release(mailer.store, made.plan_id, SENT_AT, mailer.keys)
    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.RUNNING, "", SENT_AT)
    return made.plan_id


def ended(mailer: Mailer, at: datetime, outcome: Outcome) -> None:
    """Whatever is due ends so."""
    while claim := ledger.claim(mailer.store, "test", at):
        assert ledger.advance(mailer.store, claim, len(claim.items), [], at)
        assert ledger.finish(mailer.store, claim, [(one, outcome) for one in claim.items], at)


def later(mailer: Mailer, **by: float) -> Mailer:
    return moved(mailer, SENT_AT + timedelta(**by))


def states(mailer: Mailer) -> set[tuple[str, str]]:
    with mailer.store.read() as db:
        return {(row.state, row.reason) for row in db.execute(sa.select(message.c.state, message.c.reason))}


def standing(mailer: Mailer) -> CampaignState:
    found = ledger.state_of(mailer.store, CAMPAIGN)
    assert found is not None
    return found.state


# ---------------------------------------------------------------- every few seconds


@pytest.mark.parametrize(
    ("policy", "afterwards"),
    [
        ("assume-sent", ("uncertain", "assumed")),
        ("resend", ("planned", "")),
        ("ask", ("uncertain", "reply_lost")),
    ],
)
def test_an_uncertain_message_is_settled_as_its_campaign_says_after_half_an_hour(
    mailer: Mailer, policy: str, afterwards: tuple[str, str]
) -> None:
    released(mailer, f'uncertain = "{policy}"\n')
    ended(mailer, SENT_AT, UNCERTAIN)

    pipeline.tick(later(mailer, minutes=29))
    assert {("uncertain", "reply_lost")} == states(mailer)
    pipeline.tick(later(mailer, minutes=31))
    assert {afterwards} == states(mailer)


def test_a_deferred_message_is_tried_again_after_ever_longer_waits(mailer: Mailer) -> None:
    released(mailer)
    ended(mailer, SENT_AT, DEFERRED)

    pipeline.tick(later(mailer, minutes=29))
    assert {("deferred", "greylisted")} == states(mailer)
    pipeline.tick(later(mailer, minutes=31))
    assert {("planned", "")} == states(mailer)

    ended(mailer, SENT_AT + timedelta(minutes=31), DEFERRED)
    pipeline.tick(later(mailer, minutes=31 + 119))
    assert {("deferred", "greylisted")} == states(mailer)
    pipeline.tick(later(mailer, minutes=31 + 121))
    assert {("planned", "")} == states(mailer)


def test_a_message_deferred_five_times_is_refused_as_expired(mailer: Mailer) -> None:
    released(mailer)
    for day in range(5):
        ended(mailer, SENT_AT + timedelta(days=2 * day), DEFERRED)
        pipeline.tick(later(mailer, days=2 * day + 1, minutes=1))
    assert {("refused", "expired")} == states(mailer)
    assert CampaignState.ENDED == standing(mailer)


def test_a_paused_campaign_retries_nothing(mailer: Mailer) -> None:
    released(mailer)
    ended(mailer, SENT_AT, DEFERRED)
    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.PAUSED, "the server refuses our mail", SENT_AT)

    pipeline.tick(later(mailer, days=1))

    assert {("deferred", "greylisted")} == states(mailer)
    assert CampaignState.PAUSED == standing(mailer)


def test_a_campaign_ends_once_nobody_is_left_to_be_mailed(mailer: Mailer) -> None:
    released(mailer)
    pipeline.tick(mailer)
    assert CampaignState.RUNNING == standing(mailer)

    ended(mailer, SENT_AT, Outcome(state=MessageState.SENT))
    pipeline.tick(mailer)
    assert CampaignState.ENDED == standing(mailer)


def test_a_campaign_whose_doubts_are_assumed_away_ends(mailer: Mailer) -> None:
    released(mailer)
    ended(mailer, SENT_AT, UNCERTAIN)

    pipeline.tick(later(mailer, minutes=31))

    assert CampaignState.ENDED == standing(mailer)


def test_hits_that_a_dead_web_process_left_behind_are_brought_in(mailer: Mailer) -> None:
    released(mailer)
    ended(mailer, SENT_AT, Outcome(state=MessageState.SENT))
    with mailer.store.read() as db:
        anna = db.scalar(sa.select(message.c.delivery_id).where(message.c.contact_id == 1))
    left_behind = pipeline.spool_of(mailer)
    left_behind.append(Hit(kind=HitKind.CLICK, delivery_id=str(anna), site=0, occurrence=0, at=SENT_AT))
    left_behind.flush()

    pipeline.tick(later(mailer, hours=1))
    pipeline.tick(later(mailer, hours=1))

    with mailer.store.read() as db:
        assert 1 == db.scalar(sa.select(sa.func.count()).select_from(hit))


# ---------------------------------------------------------------- every night


def in_helsinki(mailer: Mailer) -> Mailer:
    shop = mailer.settings.shop.model_copy(update={"timezone": "Europe/Helsinki"})
    return replace(mailer, settings=mailer.settings.model_copy(update={"shop": shop}))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_the_very_first_start_makes_up_for_the_night(mailer: Mailer) -> None:
    assert pipeline.night_is_due(mailer, SENT_AT)
    assert pipeline.night(mailer, SENT_AT)
    assert not pipeline.night(mailer, SENT_AT)


@pytest.mark.parametrize(
    ("done", "moment", "is_due"),
    [
        ("2026-03-02T10:00", "2026-03-03T01:29", False),  # 03:29 on the shop's clock
        ("2026-03-02T10:00", "2026-03-03T01:30", True),
        ("2026-03-02T10:00", "2026-03-06T15:00", True),  # missed nights are made up for, at any hour
        ("2026-03-02T01:00", "2026-03-02T01:31", True),  # done before half past three: that was the night before
        # In spring the clock jumps from 03:00 to 04:00: the night comes at 04:00.
        ("2026-03-28T10:00", "2026-03-29T00:59", False),
        ("2026-03-28T10:00", "2026-03-29T01:00", True),
        # In autumn it shows 03:30 twice: once is enough, also while it shows 03:05 again.
        ("2026-10-24T10:00", "2026-10-25T00:30", True),
        ("2026-10-25T00:30", "2026-10-25T01:05", False),
        ("2026-10-25T00:30", "2026-10-25T01:30", False),
        ("2026-10-25T00:30", "2026-10-26T01:29", False),
        ("2026-10-25T00:30", "2026-10-26T01:30", True),
    ],
)
def test_the_night_comes_at_half_past_three_on_the_shops_clock(
    mailer: Mailer, done: str, moment: str, is_due: bool
) -> None:
    mailer = in_helsinki(mailer)
    pipeline.night(mailer, utc(done))

    assert is_due is pipeline.night_is_due(mailer, utc(moment))


def test_a_night_deletes_drafts_of_more_than_seven_days(mailer: Mailer) -> None:
    kept = released(mailer)
    old = pipeline.make_plan(mailer, CAMPAIGN, SENT_AT, "again", quiet).plan_id
    young = pipeline.make_plan(mailer, CAMPAIGN, SENT_AT + timedelta(days=2), "again", quiet).plan_id

    pipeline.night(mailer, SENT_AT + timedelta(days=8))

    assert [kept, young] == [pipeline.planned(mailer, one).plan_id for one in (kept, young)]
    with pytest.raises(UnknownPlan):
        pipeline.planned(mailer, old)


@pytest.mark.parametrize(("days", "is_kept"), [(70, True), (80, False)])
def test_a_night_forgets_what_was_frozen_sixty_days_after_the_window(mailer: Mailer, days: int, is_kept: bool) -> None:
    plan_id = released(mailer)
    ended(mailer, SENT_AT, Outcome(state=MessageState.SENT))

    pipeline.night(mailer, SENT_AT + timedelta(days=days))

    kept = [one.entry.context for one in ledger.entries_of(mailer.store, plan_id, EntryState.MESSAGE)]
    assert kept
    assert is_kept is all(kept)


def test_nothing_is_forgotten_of_messages_that_have_not_gone_out(mailer: Mailer) -> None:
    plan_id = released(mailer)

    pipeline.night(mailer, SENT_AT + timedelta(days=400))

    assert all(one.entry.context for one in ledger.entries_of(mailer.store, plan_id, EntryState.MESSAGE))


# ---------------------------------------------------------------- when somebody asks


def test_a_killed_process_does_not_count_as_living(mailer: Mailer) -> None:
    host, boot, _, start = delivery.owner_name().split("|")
    ledger.beat(mailer.store, f"{host}|{boot}|{os.getpid()}|{int(start) - 1}", "worker")
    assert {} == pipeline.status(mailer, SENT_AT)["processes"]

    pipeline.beat(mailer, "worker", "no server answers")
    assert {"worker": 1} == pipeline.status(mailer, SENT_AT)["processes"]
    assert ["no server answers"] == pipeline.status(mailer, SENT_AT)["troubles"]


def test_the_silent_are_forgotten_after_a_day(mailer: Mailer) -> None:
    ledger.beat(mailer.store, "killed", "worker")
    ledger.beat(mailer.store, "quiet", "worker")
    with mailer.store.write() as db:
        db.execute(sa.update(process).where(process.c.owner == "killed").values(seen=process.c.seen - 90_000))
        db.execute(sa.update(process).where(process.c.owner == "quiet").values(seen=process.c.seen - 80_000))

    pipeline.leave(mailer)

    with mailer.store.read() as db:
        assert ["quiet"] == db.scalars(sa.select(process.c.owner)).all()


def test_status_worries_about_a_pause_only_when_nobody_wanted_it(mailer: Mailer) -> None:
    released(mailer)
    pipeline.beat(mailer, "worker")
    pipeline.set_campaign_state(mailer, CAMPAIGN, "paused", "sold out", SENT_AT)
    found = pipeline.status(mailer, SENT_AT)
    assert ("paused by hand: sold out", []) == (found["campaigns"][0]["reason"], found["worries"])

    ledger.set_state(mailer.store, CAMPAIGN, CampaignState.PAUSED, "the server refuses our mail", SENT_AT)
    assert ["tour is paused: the server refuses our mail"] == pipeline.status(mailer, SENT_AT)["worries"]


def test_status_worries_when_the_only_sender_died_with_everything_in_its_hands(mailer: Mailer) -> None:
    released(mailer)
    assert ledger.claim(mailer.store, "killed", SENT_AT)

    assert ["messages wait, but no sender lives: start `mailer run`"] == pipeline.status(mailer, SENT_AT)["worries"]


def test_status_worries_once_something_due_is_five_minutes_late(mailer: Mailer) -> None:
    released(mailer)
    pipeline.beat(mailer, "worker")

    assert [] == pipeline.status(mailer, SENT_AT + timedelta(minutes=5))["worries"]
    assert ["4 messages of tour are due since 2026-03-01 12:00 UTC"] == pipeline.status(
        mailer, SENT_AT + timedelta(minutes=5, seconds=1)
    )["worries"]
