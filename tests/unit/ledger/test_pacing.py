"""Token buckets in the database: rates, caps, throttles, and what a sender that dies takes with it."""

import threading
import time
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from engine import ledger
from engine.ledger import PaceLimit
from engine.ledger.pacing import let_go
from engine.store import Store
from engine.store.tables import bucket

TODAY = date(2026, 3, 1)
REST = 3600.0


def lease(store: Store, *limits: PaceLimit, want: int = 5, day: date = TODAY) -> ledger.Lease:
    return ledger.lease(store, limits, want, day, REST)


def time_passes(store: Store, seconds: float) -> None:
    """What waiting so long does to every bucket."""
    with store.write() as db:
        db.execute(
            sa.update(bucket).values(
                at=bucket.c.at - seconds,
                grown_at=bucket.c.grown_at - seconds,
                held_until=sa.case((bucket.c.held_until > 0, bucket.c.held_until - seconds), else_=0.0),
            )
        )


def row_of(store: Store, scope: str) -> sa.Row[tuple[object, ...]]:
    with store.read() as db:
        return db.execute(sa.select(bucket).where(bucket.c.scope == scope)).one()


def test_without_limits_all_is_granted_and_nothing_is_written(store: Store) -> None:
    assert ledger.Lease(granted=50) == lease(store, want=50)

    with store.read() as db:
        assert 0 == db.scalar(sa.select(sa.func.count()).select_from(bucket))


def test_a_new_scope_begins_without_a_token(store: Store) -> None:
    refused = lease(store, PaceLimit(scope="relay", rate=10))

    assert 0 == refused.granted
    assert "rate: 10 messages a second" == refused.why
    assert pytest.approx(0.1, abs=0.05) == refused.wait_seconds


def test_tokens_gather_at_the_rate_up_to_a_tenth_of_a_second_s(store: Store) -> None:
    relay = PaceLimit(scope="relay", rate=100)
    lease(store, relay)

    time_passes(store, 0.05)
    assert 5 == lease(store, relay).granted
    time_passes(store, 3600)
    assert 10 == lease(store, relay, want=50).granted


@pytest.mark.parametrize(("rate", "tokens"), [(0, 50), (0.2, 1), (10, 1), (100, 10), (450, 45), (9999, 50)])
def test_a_lease_is_of_a_tenth_of_a_second(rate: float, tokens: int) -> None:
    assert tokens == ledger.lease_size(rate)


def test_a_message_needs_a_token_of_every_scope_and_waits_for_the_slowest(store: Store) -> None:
    both = (PaceLimit(scope="relay", rate=1000), PaceLimit(scope="relay/gmail", rate=2))
    lease(store, *both)
    time_passes(store, 0.25)

    refused = lease(store, *both)

    assert (0, "relay/gmail") == (refused.granted, refused.scope)
    assert 0 < refused.wait_seconds < 0.26
    time_passes(store, 0.3)
    assert 1 == lease(store, *both).granted
    assert 5 == lease(store, both[0]).granted  # the other scope lost one token only


def test_a_day_s_cap_ends_the_day_and_tomorrow_begins_anew(store: Store) -> None:
    relay = PaceLimit(scope="relay", daily=7)

    assert [5, 2, 0] == [lease(store, relay).granted for _ in range(3)]

    refused = lease(store, relay)
    assert ("daily: all 7 messages of today are out", REST) == (refused.why, refused.wait_seconds)
    assert 5 == lease(store, relay, day=TODAY + timedelta(days=1)).granted


def test_a_sender_whose_midnight_is_a_moment_late_counts_for_the_new_day(store: Store) -> None:
    relay, tomorrow = PaceLimit(scope="relay", daily=7), TODAY + timedelta(days=1)
    assert 5 == lease(store, relay, day=tomorrow).granted

    assert 2 == lease(store, relay, day=TODAY).granted
    assert 0 == lease(store, relay, day=tomorrow).granted


def test_a_clock_set_back_by_days_is_believed(store: Store) -> None:
    relay = PaceLimit(scope="relay", daily=5)
    lease(store, relay, day=TODAY + timedelta(days=30))

    assert 5 == lease(store, relay).granted


def test_what_was_leased_and_not_used_can_be_given_back(store: Store) -> None:
    relay = PaceLimit(scope="relay", daily=5)
    assert 5 == lease(store, relay).granted

    ledger.give_back(store, ["relay"], 3, TODAY)

    assert 3 == lease(store, relay).granted


def test_a_throttle_holds_the_scope_for_all_senders_and_halves_its_rate(store: Store) -> None:
    gmail = PaceLimit(scope="relay/gmail", rate=20)
    lease(store, gmail)

    assert 10 == ledger.slow_down(store, "relay/gmail", "421 slow down", 60)

    refused = lease(store, gmail)
    assert (0, "held: 421 slow down") == (refused.granted, refused.why)
    assert pytest.approx(60, abs=2) == refused.wait_seconds
    held = ledger.restraints(store)["relay/gmail"]
    assert (10, "421 slow down") == (held.rate, held.why)
    time_passes(store, 61)
    assert 0 == ledger.restraints(store)["relay/gmail"].held_seconds
    assert 1 == lease(store, gmail).granted
    assert "rate: 10 messages a second" == lease(store, gmail).why


def test_answers_of_one_throttle_halve_the_rate_once(store: Store) -> None:
    lease(store, PaceLimit(scope="relay", rate=64))

    assert [32.0] * 5 == [ledger.slow_down(store, "relay", "421", 60) for _ in range(5)]


def test_throttle_after_throttle_the_rate_falls_to_a_sixty_fourth_and_no_lower(store: Store) -> None:
    lease(store, PaceLimit(scope="relay", rate=64))
    rates = []
    for _ in range(8):
        rates.append(ledger.slow_down(store, "relay", "421", 1))
        time_passes(store, 2)

    assert [32, 16, 8, 4, 2, 1, 1, 1] == rates


def test_where_no_rate_is_set_what_got_through_is_halved(store: Store) -> None:
    assert 20 == ledger.slow_down(store, "relay/gmail", "421", 10, seen_rate=40)

    time_passes(store, 11)
    gmail = PaceLimit(scope="relay/gmail")
    assert 2 == lease(store, gmail).granted
    assert "rate: 20 messages a second" == lease(store, gmail).why


def test_a_rate_that_is_set_far_too_high_is_halved_from_what_got_through(store: Store) -> None:
    lease(store, PaceLimit(scope="relay", rate=1000))

    assert 50 == ledger.slow_down(store, "relay", "421", 10, seen_rate=100)


def test_the_tokens_given_lately_tell_the_rate_when_the_sender_can_t(store: Store) -> None:
    """A cap without a rate: its tokens are counted, 100 of them in the last ten seconds."""
    relay = PaceLimit(scope="relay", daily=10_000)
    assert 100 == lease(store, relay, want=100).granted

    assert pytest.approx(5, rel=0.1) == ledger.slow_down(store, "relay", "421", 10)


def test_every_minute_of_success_gives_back_a_sixteenth_until_the_limit_is_gone(store: Store) -> None:
    gmail = PaceLimit(scope="relay/gmail")
    ledger.slow_down(store, "relay/gmail", "421", 10, seen_rate=160)
    time_passes(store, 10)
    rates = []
    for _ in range(9):
        for _ in range(2):
            time_passes(store, 30.1)
            assert lease(store, gmail, want=1).granted
        rates.append(row_of(store, "relay/gmail").factor)

    assert [9 / 16, 10 / 16, 11 / 16, 12 / 16, 13 / 16, 14 / 16, 15 / 16, 1, 1] == rates
    assert {} == ledger.restraints(store)
    assert 50 == lease(store, gmail, want=50).granted


def test_an_idle_night_gives_nothing_back(store: Store) -> None:
    gmail = PaceLimit(scope="relay/gmail", rate=160)
    ledger.slow_down(store, "relay/gmail", "421", 10, seen_rate=160)
    time_passes(store, 8 * 3600)

    assert lease(store, gmail, want=1).granted
    assert 0.5 == row_of(store, "relay/gmail").factor


def test_a_very_slow_scope_grows_back_too(store: Store) -> None:
    """One message in ten minutes: it is not idle between two of them."""
    slow = PaceLimit(scope="relay/gmail", rate=1 / 300)
    lease(store, slow)
    ledger.slow_down(store, "relay/gmail", "421", 1)
    for _ in range(2):
        time_passes(store, 605)
        assert 1 == lease(store, slow).granted

    assert 0.5 < row_of(store, "relay/gmail").factor


def test_a_hold_ends_by_itself_and_a_longer_one_stays(store: Store) -> None:
    ledger.hold(store, "relay/yahoo", 4 * 3600, "[TS03] deferred")
    ledger.hold(store, "relay/yahoo", 60, "something else")

    held = ledger.restraints(store)["relay/yahoo"]
    assert (0, "[TS03] deferred") == (held.rate, held.why)
    assert pytest.approx(4 * 3600, abs=5) == held.held_seconds
    time_passes(store, 4 * 3600 + 1)
    assert {} == ledger.restraints(store)


def test_an_operator_may_let_a_held_scope_go(store: Store) -> None:
    ledger.hold(store, "relay", 3600, "blocked")

    assert let_go(store, "relay")

    assert not let_go(store, "relay")
    assert {} == ledger.restraints(store)


def worst_second(store: Store, rate: float, seconds: float) -> tuple[int, int]:
    """Four senders as fast as they may: the number sent, and the most within any one second."""
    moments: list[float] = []
    until = time.monotonic() + seconds

    def sender() -> None:
        while time.monotonic() < until:
            leased = lease(store, PaceLimit(scope="relay", rate=rate), want=ledger.lease_size(rate))
            moments.extend([time.monotonic()] * leased.granted)
            if not leased.granted:
                time.sleep(min(leased.wait_seconds, 0.2))

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    moments.sort()
    windows = (sum(1 for other in moments[place:] if other < first + 1) for place, first in enumerate(moments))
    return len(moments), max(windows, default=0)


def test_four_senders_together_keep_to_the_rate_in_every_second(store: Store) -> None:
    sent, worst = worst_second(store, 50, 2)

    assert worst <= 50 + 5 + 1  # what had gathered, and the token that came meanwhile
    assert sent <= 2 * 50 + 5
    assert sent >= 20  # they did send
