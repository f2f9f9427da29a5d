"""When a deferred message is tried again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replies import ACTIONS, SCHEDULES, retry_at

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
reasons = st.sampled_from(sorted(SCHEDULES))
attempts = st.integers(min_value=1, max_value=200)
ages = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=7))


def _tries(reason: str) -> list[timedelta]:
    """How long after the first try each further one comes, when every answer comes at once."""
    tries = [timedelta(0)]
    while (again := retry_at(reason, NOON, len(tries), NOON + tries[-1])) is not None:
        tries.append(again - NOON)
    return tries


def test_greylisting_is_tried_after_5_and_15_minutes_1_2_and_4_hours() -> None:
    expected = [timedelta(minutes=one) for one in (0, 5, 20, 80, 200, 440)]

    assert expected == _tries("greylisted")[:6]


def test_greylisting_is_tried_for_72_hours() -> None:
    assert timedelta(hours=68) < _tries("greylisted")[-1] <= timedelta(hours=72)


def test_a_full_mailbox_has_days() -> None:
    assert timedelta(days=4) <= _tries("mailbox_full")[-1] <= timedelta(days=5)


def test_a_block_rests_four_hours_first() -> None:
    assert timedelta(hours=4) == _tries("blocked")[1]


@pytest.mark.parametrize("reason", sorted(word for word, one in ACTIONS.items() if one.message in ("refused", "none")))
def test_what_is_final_is_not_tried_again(reason: str) -> None:
    assert retry_at(reason, NOON, 1, NOON) is None


def test_a_lost_answer_is_never_tried_again_by_itself() -> None:
    assert retry_at("reply_lost", NOON, 1, NOON) is None


@pytest.mark.parametrize("reason", ["temporary", "configuration", "a word of a transport to come"])
def test_what_has_no_schedule_of_its_own_has_the_common_one(reason: str) -> None:
    assert NOON + timedelta(minutes=5) == retry_at(reason, NOON, 1, NOON)


@pytest.mark.parametrize("reason", sorted(SCHEDULES))
def test_every_schedule_ends(reason: str) -> None:
    assert len(_tries(reason)) <= 30


@given(reasons, attempts, ages)
def test_a_try_never_comes_before_the_first_pause(reason: str, tried: int, age: timedelta) -> None:
    again = retry_at(reason, NOON, tried, NOON + age)

    assert again is None or again >= NOON + age + SCHEDULES[reason].pauses[0]


@given(reasons, attempts, ages)
def test_a_try_never_comes_after_the_patience(reason: str, tried: int, age: timedelta) -> None:
    again = retry_at(reason, NOON, tried, NOON + age)

    assert again is None or again <= NOON + SCHEDULES[reason].until


@given(reasons, attempts, ages)
def test_pauses_never_grow_shorter(reason: str, tried: int, age: timedelta) -> None:
    again, later = (retry_at(reason, NOON, n, NOON + age) for n in (tried, tried + 1))

    assert later is None or (again is not None and again <= later)


@given(reasons, attempts, ages, st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1)))
def test_a_clock_that_stepped_back_still_gives_a_moment_after_it(
    reason: str, tried: int, age: timedelta, step: timedelta
) -> None:
    again = retry_at(reason, NOON + step, tried, NOON)

    assert again is not None
    assert again > NOON
