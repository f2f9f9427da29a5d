"""A transport's allowance for a day: the warm-up's ramp and the daily cap."""

from datetime import date

import pytest

from engine.config import TransportSettings
from engine.pipeline.pacing import allowance

FIRST = date(2026, 3, 1)


def settings(**said: object) -> TransportSettings:
    return TransportSettings.model_validate({"kind": "outbox", **said})


def test_without_a_cap_everything_may_go() -> None:
    assert allowance(settings(), FIRST) is None


def test_a_daily_cap_holds_on_every_day() -> None:
    assert 500 == allowance(settings(daily=500), FIRST)


@pytest.mark.parametrize(
    ("day", "messages"),
    [
        (date(2026, 2, 20), 50),  # it has not begun: no more than on its first day
        (date(2026, 3, 1), 50),
        (date(2026, 3, 2), 100),
        (date(2026, 3, 3), 400),
        (date(2026, 3, 4), None),  # it is over
    ],
)
def test_a_warm_up_raises_the_allowance_day_by_day(day: date, messages: int | None) -> None:
    assert messages == allowance(settings(warm_up=(50, 100, 400), warm_up_from=FIRST), day)


@pytest.mark.parametrize(
    ("day", "messages"), [(date(2026, 3, 2), 100), (date(2026, 3, 3), 300), (date(2026, 3, 9), 300)]
)
def test_of_warm_up_and_daily_cap_the_smaller_holds(day: date, messages: int) -> None:
    assert messages == allowance(settings(daily=300, warm_up=(50, 100, 400), warm_up_from=FIRST), day)
