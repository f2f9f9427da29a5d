"""To whom something happened that journeys must look at: touched once a journey was published, and never before."""

from datetime import datetime

import sqlalchemy as sa
from ledger_steps import DEFERRED, SENT, UNCERTAIN, released, send_all

from engine import ledger
from engine.ledger.touching import clear
from engine.model import Hit, HitKind, Verdict
from engine.store import Store
from engine.store.tables import contact


def published(store: Store, at: datetime, *, reads_sent: bool = False) -> None:
    ledger.publish(store, "story", {"start": {}}, "hash", at)
    before = ledger.base_of(store, "story")
    assert ledger.begin_base(store, "story", before, "start/rules", reads_sent=reads_sent, yardstick_at=None)


def touched(store: Store) -> list[int]:
    return [one.contact_id for one in ledger.touched(store)]


def clicked(store: Store, delivery_id: str, at: datetime, verdict: Verdict) -> None:
    hit = Hit(kind=HitKind.CLICK, delivery_id=delivery_id, site=0, occurrence=0, at=at)
    ledger.add_hits(store, [("s1", hit, None, "")])
    (known,) = ledger.hits_of(store, [delivery_id])[delivery_id]
    ledger.judge_again(store, {known.id: (verdict, "")})


def test_a_hit_that_was_judged_touches_its_reader(store: Store, at: datetime) -> None:
    released(store, 2, at)
    _, hers = send_all(store, at)
    published(store, at)

    clicked(store, hers, at, Verdict.HUMAN)

    assert [2] == touched(store)


def test_a_bounce_touches_her_once(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)
    published(store, at)

    assert ledger.add_bounce(store, mine, at, {})
    clear_all(store)
    assert not ledger.add_bounce(store, mine, at, {})

    assert [] == touched(store)


def test_a_mail_that_went_out_touches_nobody_unless_a_start_asks_for_it(store: Store, at: datetime) -> None:
    released(store, 1, at)
    published(store, at)

    send_all(store, at)

    assert [] == touched(store)


def test_a_mail_that_went_out_touches_her_where_a_start_asks_what_was_sent(store: Store, at: datetime) -> None:
    released(store, 3, at)
    published(store, at, reads_sent=True)

    send_all(store, at, lambda item: DEFERRED if item.ord == 1 else SENT)

    assert [1, 3] == touched(store)


def test_a_mail_that_proves_to_have_gone_out_touches_her_then(store: Store, at: datetime) -> None:
    released(store, 1, at)
    published(store, at, reads_sent=True)
    (mine,) = send_all(store, at, lambda _: UNCERTAIN)
    before = touched(store)

    ledger.prove(store, [mine], "a click", at)

    assert ([], [1]) == (before, touched(store))


def test_where_no_journey_was_published_nobody_is_touched(store: Store, at: datetime) -> None:
    released(store, 1, at)
    (mine,) = send_all(store, at)

    clicked(store, mine, at, Verdict.HUMAN)
    ledger.add_bounce(store, mine, at, {})

    assert [] == touched(store)


def test_only_the_number_that_was_read_is_cleared(store: Store, at: datetime) -> None:
    released(store, 2, at)
    published(store, at)
    ledger.touch_all(store, [1, 2])
    read = ledger.touched(store)
    ledger.touch_all(store, [2])

    with store.write() as db:
        clear(db, read)

    assert [2] == touched(store)


def test_numbers_grow_within_one_tick_of_the_databases_clock(store: Store, at: datetime) -> None:
    released(store, 1, at)
    published(store, at)
    numbers = []
    for _ in range(50):
        ledger.touch_all(store, [1])
        numbers.append(ledger.touched(store)[0].number)

    assert sorted(set(numbers)) == numbers


def test_the_touched_are_told_by_id_some_at_a_time(store: Store, at: datetime) -> None:
    released(store, 5, at)
    published(store, at)
    ledger.touch_all(store, [5, 1, 3])

    first = ledger.touched(store, limit=2)

    assert [1, 3] == [one.contact_id for one in first]
    assert [5] == [one.contact_id for one in ledger.touched(store, after=3, limit=2)]


def clear_all(store: Store) -> None:
    with store.write() as db:
        db.execute(sa.update(contact).values(touched=None))
