"""A transport that lets nothing through is left alone for a while; then one sender tries it."""

import pytest
import sqlalchemy as sa

from engine import ledger
from engine.store import Store
from engine.store.tables import breaker


def time_is_over(store: Store) -> None:
    """What the pause of an open breaker comes to."""
    with store.write() as db:
        db.execute(sa.update(breaker).values(open_until=0.0))


def pause_of(store: Store) -> float:
    with store.read() as db:
        left = db.scalar(sa.select(breaker.c.open_until - store.epoch_now()))
    assert left is not None
    return float(left)


def opened(store: Store) -> None:
    for _ in range(3):
        ledger.note_failure(store, "relay", "no answer")


def test_a_transport_nobody_complained_of_is_used(store: Store) -> None:
    assert ledger.breaker_open(store, "relay") is None


def test_three_failures_in_a_row_open_it(store: Store) -> None:
    assert [False, False, True] == [ledger.note_failure(store, "relay", "no answer") for _ in range(3)]

    assert "no answer" == ledger.breaker_open(store, "relay")
    assert ledger.breaker_open(store, "other") is None


def test_a_success_between_makes_it_no_row(store: Store) -> None:
    for _ in range(4):
        ledger.note_failure(store, "relay", "no answer")
        ledger.note_failure(store, "relay", "no answer")
        ledger.note_success(store, "relay")

    assert ledger.breaker_open(store, "relay") is None


def test_a_refused_login_opens_it_at_once(store: Store) -> None:
    assert ledger.note_failure(store, "relay", "535 wrong password", at_once=True)

    assert "535 wrong password" == ledger.breaker_open(store, "relay")


def test_when_its_time_is_over_one_sender_tries_and_the_others_wait(store: Store) -> None:
    opened(store)
    time_is_over(store)

    assert [None, "no answer", "no answer"] == [ledger.breaker_open(store, "relay") for _ in range(3)]


def test_a_probe_that_succeeds_closes_it_for_all(store: Store) -> None:
    opened(store)
    time_is_over(store)
    ledger.breaker_open(store, "relay")

    ledger.note_success(store, "relay")

    assert [None, None] == [ledger.breaker_open(store, "relay") for _ in range(2)]
    assert [False, False] == [ledger.note_failure(store, "relay", "no answer") for _ in range(2)]


def test_a_prober_that_died_is_followed_by_another(store: Store) -> None:
    opened(store)
    time_is_over(store)
    ledger.breaker_open(store, "relay")
    time_is_over(store)

    assert ledger.breaker_open(store, "relay") is None


def test_every_probe_that_fails_doubles_the_pause_up_to_a_quarter_of_an_hour(store: Store) -> None:
    opened(store)
    pauses = [pause_of(store)]
    for _ in range(6):
        time_is_over(store)
        ledger.breaker_open(store, "relay")
        ledger.note_failure(store, "relay", "no answer")
        pauses.append(pause_of(store))

    assert pytest.approx([30, 60, 120, 240, 480, 900, 900], abs=5) == pauses


def test_failures_of_senders_that_had_begun_before_lengthen_nothing(store: Store) -> None:
    opened(store)

    assert ledger.note_failure(store, "relay", "no answer")

    assert pytest.approx(30, abs=5) == pause_of(store)
