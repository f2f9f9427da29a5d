"""Tickers that are killed and tickers that race: each step exactly once for everybody, nobody lost, nobody twice."""

import multiprocessing
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from journey_shop import contacts, let_in, mails, states, ways, write_journey
from story_shop import Shop

from engine import journeys, ledger, pipeline
from engine.model import EnrolmentState
from engine.pipeline import Mailer
from engine.store.tables import batch_item, call, enrolment_hold, enrolment_step, message, plan_entry

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# Every kind of step but the one that leaves.
EVERY_KIND = """
[[step]]
id = "hello"
send = "note"
[[step]]
id = "mark"
tag = "met"
[[step]]
id = "toss"
split = [{ name = "a", share = 0.5, to = "tell" }, { name = "b", share = 0.5, to = "rest" }]
[[step]]
id = "tell"
webhook = "https://shop.example/hook"
[[step]]
id = "rest"
wait = "1 day"
[[step]]
id = "which"
branch = [{ if = "'met' in tags", to = "await" }, { to = "end" }]
[[step]]
id = "await"
until_event = "event:seen"
at_most = "1 day"
[[step]]
id = "again"
send = "note"
"""


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start within milliseconds, so that a kill hits a tick and not an import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.journeys"])
    return context


def tick(folder: Path, days: float, lives: int) -> None:
    """A ticker; it kills itself after so many of the steps between which a process can die, 0 lets it live."""
    mailer = pipeline.open_mailer(folder)
    left = lives or 10**9

    def step(*_: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for engine in {mailer.store._reader, mailer.store._writer}:
        for moment in ("before_cursor_execute", "commit"):
            sa.event.listen(engine, moment, step)
    journeys.advance(mailer, AT + days * DAY)


def forget_the_dead(mailer: Mailer) -> None:
    """A minute passes for the database: what the dead had claimed is free."""
    with mailer.store.write() as db:
        db.execute(sa.update(enrolment_hold).values(held_until=0.0))


def killed(processes: ForkServerContext, shop: Shop, people: int, kills: int, seed: int) -> None:
    write_journey(shop, EVERY_KIND)
    mailer, random = shop.open(), Random(seed)
    journeys.start(mailer, "story", AT)
    let_in(mailer, "story", contacts(mailer, people), AT)
    died = 0
    for day in (0.0, 1.0, 2.0):
        for _ in range(kills):
            doomed = [_start(processes, shop.folder, day, random.randrange(1, 120)) for _ in range(2)]
            if random.random() < 0.5:  # from outside: in the middle of a transaction, too
                time.sleep(random.random() * 0.05)
                pid = doomed[0].pid
                if doomed[0].is_alive() and pid is not None:
                    os.kill(pid, signal.SIGKILL)
            for one in doomed:
                one.join()
            died += sum(one.exitcode == -signal.SIGKILL for one in doomed)
            forget_the_dead(mailer)
        journeys.advance(mailer, AT + day * DAY)
    assert died >= kills
    assert {("done", "end"): people} == states(mailer)
    each_step_once(mailer, people)


def _start(processes: ForkServerContext, folder: Path, days: float, lives: int) -> ForkServerProcess:
    process = processes.Process(target=tick, args=(folder, days, lives))
    process.start()
    return process


def each_step_once(mailer: Mailer, people: int) -> None:
    """Everybody went her whole way, and each mail, call and batch item is there once."""
    done = ways(mailer)
    assert people == len(done)
    for way in done.values():
        steps = [step for _, step, _, _ in way]
        assert list(range(len(way))) == [visit for visit, _, _, _ in way]
        assert [one for one in steps if one != "tell"] == ["hello", "mark", "toss", "rest", "which", "await", "again"]
        assert all(before[3] == after[1] for before, after in pairwise(way))
    told = sum("tell" == step for way in done.values() for _, step, _, _ in way)
    assert {"story/hello": people, "story/again": people} == mails(mailer)
    with mailer.store.read() as db:
        occurrences = list(db.scalars(sa.select(message.c.occurrence)))
        items = Counter(db.scalars(sa.select(batch_item.c.message_id)))
        calls = list(db.scalars(sa.select(call.c.key)))
        entries = db.scalar(sa.select(sa.func.count()).select_from(plan_entry))
        steps_done = db.scalar(sa.select(sa.func.count()).select_from(enrolment_step))
    assert 2 * people == len(set(occurrences)) == len(items) == entries
    assert {1} == set(items.values())
    assert told == len(set(calls)) == len(calls)
    assert 7 * people + told == steps_done
    summaries = [one.summary for one in ledger.plans_of(mailer.store)]
    assert 2 * people == sum(one["messages"] for one in summaries)


def test_tickers_killed_at_random_points_do_each_step_once_and_lose_nobody(
    processes: ForkServerContext, shop: Shop
) -> None:
    killed(processes, shop, people=60, kills=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(2, 7))
def test_tickers_killed_in_a_long_loop_do_each_step_once_and_lose_nobody(
    processes: ForkServerContext, shop: Shop, seed: int
) -> None:
    killed(processes, shop, people=600, kills=25, seed=seed)


def test_four_tickers_at_once_do_each_step_once(processes: ForkServerContext, shop: Shop) -> None:
    write_journey(shop, EVERY_KIND)
    mailer = shop.open()
    journeys.start(mailer, "story", AT)
    let_in(mailer, "story", contacts(mailer, 600), AT)

    for day in (0.0, 1.0, 2.0):
        racing = [_start(processes, shop.folder, day, 0) for _ in range(4)]
        for one in racing:
            one.join()
        assert [0, 0, 0, 0] == [one.exitcode for one in racing]

    assert {("done", "end"): 600} == states(mailer)
    each_step_once(mailer, 600)


def test_two_who_decided_the_same_move_write_it_once(shop: Shop) -> None:
    write_journey(shop, EVERY_KIND)
    mailer = shop.open()
    journeys.start(mailer, "story", AT)
    let_in(mailer, "story", contacts(mailer, 10), AT)
    claimed = ledger.claim_enrolments(mailer.store, AT)
    moves = [move_to_the_end(one) for one in claimed]

    first = ledger.write_moves(mailer.store, moves, AT)
    second = ledger.write_moves(mailer.store, moves, AT)

    assert (10, 0) == (len(first), len(second))
    assert 10 == sum(map(len, ways(mailer).values()))


def move_to_the_end(one: ledger.Enrolment) -> ledger.EnrolmentMove:
    return ledger.EnrolmentMove(
        was=one,
        version=one.version,
        state=EnrolmentState.DONE,
        step="end",
        visit=1,
        waiting=False,
        step_at=AT,
        rings_at=AT,
        due_at=None,
        pauses=0,
        ended_at=AT,
        done=(ledger.StepDone(visit=0, step="hello", result="sent", leads_to="end"),),
    )


def test_two_operators_who_publish_at_once_make_one_version(processes: ForkServerContext, shop: Shop) -> None:
    write_journey(shop, EVERY_KIND)
    racing = [processes.Process(target=publish, args=(shop.folder,)) for _ in range(4)]
    for one in racing:
        one.start()
    for one in racing:
        one.join()

    assert [0, 0, 0, 0] == [one.exitcode for one in racing]
    (found,) = ledger.journeys(shop.open().store)
    assert 1 == found.version


def publish(folder: Path) -> None:
    """An operator's process."""
    journeys.start(pipeline.open_mailer(folder), "story", AT)
