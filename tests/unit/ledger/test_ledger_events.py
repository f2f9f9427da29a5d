"""What comes back is kept once, with its verdict, under the message it belongs to."""

from datetime import date, datetime, timedelta
from threading import Thread

import sqlalchemy as sa
from ledger_steps import released, send_all

from engine import ledger
from engine.ledger.events import Spooled
from engine.model import CampaignState, Hit, HitKind, Verdict
from engine.store import Store
from engine.store.tables import event, tally


def click(delivery_id: str, at: datetime, **other: object) -> Hit:
    return Hit(kind=HitKind.CLICK, delivery_id=delivery_id, at=at, **{"site": 1, "occurrence": 0, **other})  # type: ignore[arg-type]


def test_a_hit_goes_in_once_however_often_the_spool_is_drained(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)
    rows: list[Spooled] = [
        ("s1", click(mine, at, agent="Firefox"), Verdict.HUMAN, "calm"),
        ("s2", click("nobody", at), None, ""),
        ("s3", click(mine, at, site=2**40), None, ""),
    ]

    assert ledger.Added(added=1, repeated=0, unknown=2) == ledger.add_hits(store, rows)
    assert ledger.Added(added=0, repeated=1, unknown=2) == ledger.add_hits(store, rows)

    ((found,),) = ledger.hits_of(store, [mine, "nobody"]).values()
    assert (rows[0][1], Verdict.HUMAN, "calm") == (found.hit, found.verdict, found.why)


def test_what_a_stranger_sends_can_not_stop_the_spool(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)
    rude = "nul \0 half \ud800"
    rows: list[Spooled] = [
        ("s1", click(mine, at, agent=rude, referer=rude, accept_language=rude, ip=rude, method=rude), None, ""),
        ("s2", click(rude, at), None, ""),
    ]

    assert ledger.Added(added=1, repeated=0, unknown=1) == ledger.add_hits(store, rows)


def test_more_hits_than_a_chunk_go_in(sqlite_store: Store, at: datetime) -> None:
    released(sqlite_store, 1, at)
    (mine,) = send_all(sqlite_store, at)

    added = ledger.add_hits(sqlite_store, [(f"s{i}", click(mine, at), None, "") for i in range(1100)])

    assert 1100 == added.added
    assert ledger.Added(added=0, repeated=0, unknown=0) == ledger.add_hits(sqlite_store, [])


def test_a_hit_can_be_judged_again_and_stays_as_it_came(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)
    raw = click(mine, at)
    ledger.add_hits(store, [("s1", raw, None, "")])
    (first,) = ledger.hits_of(store, [mine])[mine]
    assert first.verdict is None

    ledger.judge_again(store, {first.id: (Verdict.MACHINE, "too fast")})

    (again,) = ledger.hits_of(store, [mine])[mine]
    assert (raw, Verdict.MACHINE, "too fast") == (again.hit, again.verdict, again.why)


def test_anonymous_hits_are_counted_by_day(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)
    day = date(2026, 3, 1)

    for count in (1, 1, 5):
        ledger.add_tally(store, plan_id, "a", HitKind.CLICK, 3, day, count)
    ledger.add_tally(store, plan_id, "a", HitKind.CLICK, 3, day + timedelta(days=1))

    with store.read() as db:
        assert [7, 1] == list(db.scalars(sa.select(tally.c.count).order_by(tally.c.day)))


def test_counting_at_once_loses_nothing(store: Store, at: datetime) -> None:
    plan_id = released(store, 1, at)

    def count() -> None:
        for _ in range(20):
            ledger.add_tally(store, plan_id, "a", HitKind.OPEN, -1, date(2026, 3, 1))

    threads = [Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.read() as db:
        assert 60 == db.scalar(sa.select(tally.c.count))


def test_a_final_bounce_is_an_event_of_its_contact_once(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)

    assert ledger.add_bounce(store, mine, at, {"status": "5.1.1"})
    assert not ledger.add_bounce(store, mine, at, {"status": "5.1.1"})
    assert not ledger.add_bounce(store, "nobody", at, {})

    with store.read() as db:
        row = db.execute(sa.select(event)).one()
    assert ("bounce", at, {"status": "5.1.1"}) == (row.kind, row.at, row.properties)


def test_a_campaign_has_no_state_until_somebody_gives_it_one(store: Store, at: datetime) -> None:
    assert ledger.state_of(store, "spring") is None

    assert ledger.set_state(store, "spring", CampaignState.RUNNING, "", at)
    assert ledger.set_state(store, "spring", CampaignState.PAUSED, "3 % refused", at + timedelta(hours=1))

    standing = ledger.Standing(
        name="spring", state=CampaignState.PAUSED, reason="3 % refused", at=at + timedelta(hours=1)
    )
    assert standing == ledger.state_of(store, "spring")
    assert [standing] == ledger.states(store)


def test_a_pause_does_not_bring_back_a_campaign_that_is_over(store: Store, at: datetime) -> None:
    for over in (CampaignState.CANCELLED, CampaignState.ENDED):
        assert ledger.set_state(store, "spring", over, "by hand", at)

        assert not ledger.set_state(store, "spring", CampaignState.PAUSED, "brake", at)

        standing = ledger.state_of(store, "spring")
        assert standing is not None
        assert (over, "by hand") == (standing.state, standing.reason)
    assert ledger.set_state(store, "spring", CampaignState.RUNNING, "", at)


def test_processes_live_while_they_say_so(store: Store) -> None:
    ledger.beat(store, "w2", "worker")
    ledger.beat(store, "w1", "worker")
    ledger.beat(store, "w1", "worker")
    ledger.beat(store, "web", "web")
    assert ["w1", "w2"] == ledger.living(store, "worker")

    ledger.leave(store, "w1")
    with store.write() as db:
        db.execute(sa.text("UPDATE process SET seen = seen - 31 WHERE owner = 'web'"))

    assert ["w2"] == ledger.living(store, "worker")
    assert [] == ledger.living(store, "web")
