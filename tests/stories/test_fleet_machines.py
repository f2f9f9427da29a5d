"""Workers on several machines: they come and go while mail goes out, and nobody gets two and nobody is lost."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa
from fault_trial import DEPTH, SEED
from faulty_server import FaultyServer
from fleet_steps import NEVER, Fleet
from journey_shop import MAIL_WAIT_MAIL, contacts, let_in, write_journey
from running_shop import running, until
from sender_host import SenderHost
from sink import Sink
from story_shop import PEOPLE, Shop, address, people

from engine import fleet, journeys, ledger
from engine.pipeline import Stop
from engine.store.tables import batch

on_postgresql = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)


@pytest.fixture
def ours(shop: Shop, host: SenderHost, tmp_path: Path) -> Iterator[Fleet]:
    """A shop with hints' tables; its mail server takes 20 ms for each message."""
    fleet.upgrade(shop.folder)
    server = FaultyServer(tmp_path / "record", pause=0.02)
    server.start()
    yield Fleet(shop, host, server)
    server.kill()


def come_and_go(ours: Fleet, plan: int, changes: int) -> dict[str, int]:
    """Workers are added, ended in order and killed, drawn from the seed, until so many have changed."""
    random, done = Random(f"{SEED} fleet"), {"added": 0, "ended": 0, "killed": 0, "with a batch": 0}
    while done["added"] + done["ended"] + done["killed"] < changes:
        assert ours.is_open(plan), f"they ran out of messages after {done}: plan more"
        living = [one for one in ours.workers if one.is_alive()]
        if len(living) < 2 or (len(living) < 5 and random.random() < 0.4):
            ours.worker(lease=[3.0])
            done["added"] += 1
            continue
        until(lambda: any(one.is_alive() for one in ours.holders()), "nobody sends")
        victim = random.choice([one for one in ours.holders() if one.is_alive()] or living)
        victim.rest(random.random() * 0.1)
        if done["ended"] < done["killed"]:
            ours.stop(victim)
            done["ended"] += 1
        else:
            assert victim.kill_if_alive()
            done["with a batch"] += victim in ours.holders()
            done["killed"] += 1
        fleet.hint_ready(ours.mailer, ours.mailer.clock())
    return done


def sent_while_workers_come_and_go(ours: Fleet, tag: str, changes: int, capsys: pytest.CaptureFixture[str]) -> None:
    plan, began = ours.shop.released(tag, 100), time.monotonic()

    done = come_and_go(ours, plan, changes)
    ours.worker(lease=[3.0])
    ours.all_sent(plan, 600)
    ours.stop()

    doubt = ours.assert_once_each(plan, in_doubt_at_most=DEPTH * done["killed"])
    assert min(done.values()) > 0, done
    with capsys.disabled():
        told = ", ".join(f"{number} {what}" for what, number in done.items())
        seconds = time.monotonic() - began
        print(f"\nfleet, MAILER_SEED={SEED}: {sum(ours.counts(plan).values())} messages, workers: {told}: "
              f"0 twice, 0 lost, {doubt} uncertain, {seconds:.1f} s")  # fmt: skip


@on_postgresql
def test_workers_are_added_ended_and_killed_while_they_send(ours: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    sent_while_workers_come_and_go(ours, "all", 12, capsys)


@pytest.mark.soak
@on_postgresql
def test_a_hundred_workers_come_and_go_while_they_send(ours: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    ours.shop.import_text("contacts", people(PEOPLE, PEOPLE + 20_000))
    sent_while_workers_come_and_go(ours, "more", 200, capsys)


@on_postgresql
def test_the_batch_of_a_machine_that_died_is_taken_over_by_another_after_its_lease(ours: Fleet) -> None:
    """Its journal is out of reach: what it was allowed to hand over is in doubt, and nobody gets a second one."""
    plan = ours.shop.released("some", 60)
    lost = ours.worker(ours.machine("north"), "north", lease=[2.0])
    until(lambda: ours.server.count() >= 5, "it does not send")

    assert lost.kill_if_alive()
    with ours.mailer.store.read() as db:
        left = db.execute(sa.select(batch).where(batch.c.state == "leased")).one()
    ours.worker(ours.machine("south"), "south", lease=[2.0])
    ours.all_sent(plan)
    ours.stop()

    doubt = ours.assert_once_each(plan, in_doubt_at_most=min(left.hi, ledger.WINDOW))
    assert left.owner.startswith("north#")
    assert 0 < doubt <= ledger.WINDOW, "a machine that can't be seen was believed"


@on_postgresql
def test_a_living_machine_that_is_slow_keeps_its_batch(ours: Fleet) -> None:
    """No other machine can prove that it is dead, and its lease has not run out."""
    plan = ours.shop.released("few")
    ours.worker(ours.machine("north"), "north", lease=[60.0])
    until(lambda: bool(ours.holders()), "it does not send")
    ours.worker(ours.machine("south"), "south")
    ours.all_sent(plan)
    ours.stop()

    ours.assert_once_each(plan)
    with ours.mailer.store.read() as db:
        assert [1] == list(db.scalars(sa.select(batch.c.fence).where(batch.c.plan_id == plan)))


@on_postgresql
def test_a_worker_needs_its_settings_and_the_secret_and_no_other_file(ours: Fleet) -> None:
    plan = ours.shop.released("few")
    folder = ours.machine("north")

    ours.worker(folder, "north")
    ours.all_sent(plan)
    ours.stop()

    ours.assert_once_each(plan)
    assert {"config.toml", "secret.key", "state"} == {one.name for one in folder.iterdir()}


@on_postgresql
def test_a_worker_sends_a_journeys_mails_without_its_files(ours: Fleet) -> None:
    write_journey(ours.shop, MAIL_WAIT_MAIL)
    ours.mailer = ours.shop.open()
    now = ours.mailer.clock()
    journeys.start(ours.mailer, "story", now)
    let_in(ours.mailer, "story", contacts(ours.mailer, 25), now)
    for step in journeys.STEPS:
        step(ours.mailer, now)
    with ours.mailer.store.read() as db:
        plan = db.scalars(sa.select(batch.c.plan_id).distinct()).one()

    ours.worker(ours.machine("north"), "north")
    ours.all_sent(plan)
    ours.stop()

    assert {address(n): 1 for n in range(25)} == dict(ours.server.recipients())


@on_postgresql
def test_a_worker_is_there_at_the_hour_that_it_knows_of(ours: Fleet) -> None:
    plan = ours.shop.released("few")
    hour = ours.mailer.clock() + timedelta(seconds=4)
    with ours.mailer.store.write() as db:
        db.execute(sa.update(batch).values(not_before=hour))
    ours.worker(look=NEVER)

    ours.all_sent(plan)

    ours.stop()
    assert ours.mailer.clock() - hour < timedelta(seconds=20)


@on_postgresql
def test_a_worker_that_follows_a_hint_ends_within_seconds(ours: Fleet) -> None:
    worker = ours.worker(look=NEVER)
    ours.listening(1)
    plan = ours.shop.released("all", 50)
    fleet.hint_ready(ours.mailer, ours.mailer.clock())
    until(lambda: ours.server.count() >= 5, "it does not send")

    began = time.monotonic()
    ours.stop(worker)

    assert time.monotonic() - began < 8
    assert ours.is_open(plan), "it was asked to end too late to show anything"
    assert [] == ours.hints("SELECT id FROM procrastinate_workers"), "it left its row"
    assert 0 == ours.counts(plan)["uncertain"] + ours.counts(plan)["claimed"]


@on_postgresql
def test_run_without_senders_hints_and_workers_elsewhere_send(ours: Fleet, tmp_path: Path) -> None:
    with running(ours.shop, tmp_path, ours.server.port) as run:
        worker = ours.worker(ours.machine("north"), "north", look=NEVER)
        ours.listening(1)
        run.start("--senders", "0")
        until(lambda: "run_started" in run.said(), "it does not start")
        plan = ours.shop.released("few")

        ours.all_sent(plan)

        assert "senders=0" in run.said()
        assert "name=sender-1" not in run.said()
        assert "hinted batches=1" in run.said()
        ours.stop(worker)


@on_postgresql
def test_run_on_postgresql_starts_workers_that_take_hints(ours: Fleet, tmp_path: Path) -> None:
    with running(ours.shop, tmp_path, ours.server.port) as run:
        run.start("--senders", "2")
        ours.listening(2)
        plan = ours.shop.released("few")

        ours.all_sent(plan)

        assert {"sender-1", "sender-2"} == {name for name in ("sender-1", "sender-2", "sender-3") if run.pid(name)}


def test_on_sqlite_nothing_is_hinted_and_workers_work_as_ever(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer = sqlite_shop.open()
    plan, stop = sqlite_shop.released("few"), Stop()
    fleet.upgrade(sqlite_shop.folder)
    fleet.hint_ready(mailer, mailer.clock())
    sink.answers = lambda stage, _to: stop.ask() if stage == "." and len(sink.offered) == 25 else None

    fleet.run_worker(mailer, stop)

    assert {address(n) for n in range(25)} == set(sink.recipients())
    assert 25 == ledger.counts(mailer.store, plan)["sent"]
    with mailer.store.read() as db:
        assert not [name for name in sa.inspect(db).get_table_names() if "procrastinate" in name]
