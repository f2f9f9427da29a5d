"""Hints: their tables, who is hinted at, and that none of them is ever needed for more than being in time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from faulty_server import FaultyServer
from fleet_steps import NEVER, Fleet
from procrastinate.schema import SchemaManager
from running_shop import until
from sender_host import SenderHost
from sink import Sink
from story_shop import Shop

from engine import fleet, ledger
from engine.errors import StoreUnavailable
from engine.fleet import schema
from engine.model import CampaignState

pytestmark = pytest.mark.parametrize("shop", ["postgresql"], indirect=True)


@pytest.fixture
def ours(shop: Shop, host: SenderHost, tmp_path: Path) -> Iterator[Fleet]:
    """A shop with hints' tables; its mail server takes 10 ms for each message."""
    fleet.upgrade(shop.folder)
    server = FaultyServer(tmp_path / "record", pause=0.01)
    server.start()
    yield Fleet(shop, host, server)
    server.kill()


def test_the_hints_tables_are_made_once_and_told_apart_by_version(shop: Shop) -> None:
    mailer = shop.open()
    assert "the hints' tables are missing; run `mailer db upgrade`" == schema.fault_of(mailer.store)

    fleet.upgrade(shop.folder)
    fleet.upgrade(shop.folder)
    assert "" == schema.fault_of(mailer.store)

    with mailer.store.write() as db:
        db.exec_driver_sql("COMMENT ON SCHEMA mailer_hints IS '99.00.00_01_later'")
    assert schema.fault_of(mailer.store).endswith("install the newer engine that made them")


def test_older_hints_tables_get_the_migrations_that_they_lack(shop: Shop) -> None:
    mailer = shop.open()
    scripts = sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"))
    older, newest = scripts[:-3], scripts[-1]
    with mailer.store.write() as db:
        db.exec_driver_sql("CREATE SCHEMA mailer_hints")
        db.exec_driver_sql("SET LOCAL search_path TO mailer_hints")
        for one in older:
            db.connection.driver_connection.execute(one.read_text())  # type: ignore[union-attr]
        db.exec_driver_sql(f"COMMENT ON SCHEMA mailer_hints IS '{older[-1].stem}'")
    assert older[-1].stem in schema.fault_of(mailer.store)

    fleet.upgrade(shop.folder)

    assert "" == schema.fault_of(mailer.store)
    with mailer.store.read() as db:
        told = db.exec_driver_sql("SELECT obj_description('mailer_hints'::regnamespace)").scalar()
        retry = "SELECT count(*) FROM pg_proc WHERE proname = 'procrastinate_retry_job_v2'"
        assert (newest.stem, 1) == (told, db.exec_driver_sql(retry).scalar())


def test_who_may_make_no_schema_is_told_the_cure(shop: Shop) -> None:
    with shop.open().store.write() as db:
        db.exec_driver_sql("DROP ROLE IF EXISTS clerk")
        db.exec_driver_sql("CREATE ROLE clerk LOGIN")
        db.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO clerk")
    text = (shop.folder / "config.toml").read_text()
    url = sa.engine.make_url(shop.url).set(username="clerk").render_as_string(hide_password=False)
    (shop.folder / "config.toml").write_text(text.replace(shop.url, url))

    with pytest.raises(StoreUnavailable, match="grant CREATE on the database"):
        fleet.upgrade(shop.folder)


def test_every_batch_that_is_ready_has_one_hint_however_often_it_is_hinted_at(ours: Fleet) -> None:
    plan = ours.shop.released("some", 10)
    at = ours.mailer.clock()
    sweeps = [threading.Thread(target=fleet.hint_ready, args=(ours.mailer, at)) for _ in range(4)]
    for one in sweeps:
        one.start()
    for one in sweeps:
        one.join()
    fleet.hint_ready(ours.mailer, at)

    wanted = [one.batch_id for one in ledger.runnable(ours.mailer.store, at, via={"": "main"})]
    assert 12 == len(wanted)
    assert sorted(f"{plan}/{number}" for number in wanted) == sorted(ours.hints())


def test_who_may_not_write_hints_sends_all_the_same(ours: Fleet) -> None:
    plan = ours.shop.released("few")
    with ours.mailer.store.write() as db:
        db.exec_driver_sql("DROP TABLE mailer_hints.procrastinate_jobs CASCADE")

    fleet.hint_ready(ours.mailer, ours.mailer.clock())
    ours.worker()
    ours.all_sent(plan)

    ours.stop()
    ours.assert_once_each(plan)


def test_a_batch_whose_lease_ran_out_is_hinted_at_and_one_that_is_held_no_more(ours: Fleet) -> None:
    plan, at = ours.shop.released("few"), ours.mailer.clock()
    claim = ledger.claim(ours.mailer.store, "another|machine|1|1", at)
    assert claim is not None
    fleet.hint_ready(ours.mailer, at)
    assert [] == ours.hints()

    with ours.mailer.store.write() as db:
        db.exec_driver_sql("UPDATE batch SET lease_until = 1")
    fleet.hint_ready(ours.mailer, at)
    assert [f"{plan}/{claim.batch_id}"] == ours.hints()

    ledger.set_state(ours.mailer.store, "story", CampaignState.PAUSED, "by hand", at)
    fleet.hint_ready(ours.mailer, at)
    assert [] == ours.hints()


def test_hints_that_died_between_being_taken_and_the_claim_are_given_again(ours: Fleet) -> None:
    """Once upon a time only lost leases were hinted at again: 6,000 of 20,000 people never got their mail."""
    ours.worker(look=NEVER)
    ours.listening(1)
    plan = ours.shop.released("some", 10)
    ours.hints("INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now())")
    for one in ledger.runnable(ours.mailer.store, ours.mailer.clock(), via={"": "main"}):
        ours.hints(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, status, worker_id) "
            f"SELECT 'send', 'look', '{plan}/{one.batch_id}', 'doing', max(id) FROM procrastinate_workers"
        )
    assert 120 == ours.counts(plan)["waiting"], "somebody sends without a hint"

    fleet.hint_ready(ours.mailer, ours.mailer.clock())

    ours.all_sent(plan)
    ours.stop()
    assert 12 == len(ours.hints("SELECT id FROM procrastinate_jobs WHERE status = 'doing'")), "those of the dead"
    ours.hints("DELETE FROM procrastinate_workers")  # as the next worker's heartbeat does when theirs is old
    fleet.hint_ready(ours.mailer, ours.mailer.clock())
    assert [] == ours.hints()
    ours.assert_once_each(plan)


def test_a_worker_hears_of_a_release_by_its_hint_alone(ours: Fleet) -> None:
    ours.worker(look=NEVER)
    ours.listening(1)
    plan = ours.shop.released("some", 10)

    fleet.hint_ready(ours.mailer, ours.mailer.clock())

    ours.all_sent(plan)
    until(lambda: [] == ours.hints(), "hints that were followed are left over")
    ours.stop()
    ours.assert_once_each(plan)


def test_where_hints_are_lost_workers_look_for_themselves(ours: Fleet) -> None:
    ours.worker(look=1.5)
    ours.listening(1)

    plan = ours.shop.released("few")

    ours.all_sent(plan)
    assert [] == ours.hints()
    ours.stop()


def test_where_there_are_no_hints_tables_workers_look_for_themselves(shop: Shop, host: SenderHost, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer = shop.open()
    host.start("work", shop.folder, look=NEVER)
    plan = shop.released("few")
    fleet.hint_ready(mailer, mailer.clock())

    until(lambda: 25 == ledger.counts(mailer.store, plan)["sent"], "nobody sends")


def test_doubled_late_and_senseless_hints_change_nothing(ours: Fleet) -> None:
    plan = ours.shop.released("some", 10)
    for number in range(20):  # of batches that are done, that nobody has, that are another plan's
        ours.hints(
            "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args) "
            f"VALUES ('send', 'look', 'x{number}', '{{\"plan\": {number}, \"batch\": {number % 3}}}')"
        )
    ours.worker(look=NEVER)
    ours.worker(look=NEVER)

    ours.all_sent(plan)
    until(lambda: [] == ours.hints(), "hints are left over")
    ours.stop()
    ours.assert_once_each(plan)


def test_a_worker_whose_connections_are_cut_takes_hints_again(ours: Fleet) -> None:
    ours.worker(look=NEVER)
    ours.listening(1)
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mailer hints'"
    assert 2 <= len(ours.hints(cut))
    listens = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'mailer hints' AND query LIKE 'LISTEN%%'"
    until(lambda: bool(ours.hints(listens)), "it does not listen again")

    plan = ours.shop.released("few")
    fleet.hint_ready(ours.mailer, ours.mailer.clock())

    ours.all_sent(plan)
    ours.stop()


def test_hints_lie_apart_from_our_own_tables(ours: Fleet) -> None:
    with ours.mailer.store.read() as db:
        assert not [name for name in sa.inspect(db).get_table_names("public") if "procrastinate" in name]
