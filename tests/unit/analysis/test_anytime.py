"""A difference that may be looked at every day: how wide its interval is, and how seldom it lies."""

import numpy as np
import pytest

from engine.analysis import at_any_time
from engine.analysis.anytime import bound
from engine.analysis.comparing import compare_conversion
from engine.model import Arm

DAYS, A_DAY, TRIES = 30, 100, 400


def arm(name: str, converted: int, of: int) -> Arm:
    nothing = (0.0,) * of
    goal = (1,) * converted + (0,) * (of - converted)
    return Arm(
        name=name,
        assigned=of,
        sent=of,
        delivered=of,
        human_opens=0,
        human_clicks=0,
        converted=goal,
        revenue=nothing,
        profit=None,
        pre_revenue=nothing,
        share=0.5,
    )


# By the formula, by hand: rho^2 = (-2 ln .05 + ln(1 - 2 ln .05)) / 5000 = 0.0015872.
@pytest.mark.parametrize(("contacts", "expected"), [(500, 3.855), (5_000, 3.035), (50_000, 3.242)])
def test_the_bound_is_that_of_the_formula(contacts: int, expected: float) -> None:
    assert expected == pytest.approx(bound(contacts), abs=0.002)


def test_the_interval_gets_wider_by_the_bound_and_stays_about_the_difference() -> None:
    once = compare_conversion(arm("a", 100, 2_500), arm("b", 140, 2_500))
    always = at_any_time(once, 5_000)

    assert once.difference == always.difference
    wider = bound(5_000) / 1.959964
    assert (once.high - once.difference) * wider == pytest.approx(always.high - always.difference)
    assert (once.low - once.difference) * wider == pytest.approx(always.low - always.difference)
    assert ("b_higher", "no_difference") == (once.decision, always.decision)


def test_a_large_difference_is_still_one() -> None:
    always = at_any_time(compare_conversion(arm("a", 100, 2_500), arm("b", 220, 2_500)), 5_000)

    assert "b_higher" == always.decision
    assert always.low > 0


def test_looking_every_day_makes_no_false_winner() -> None:
    """400 pairs of arms without any difference, looked at on 30 days: an ordinary test lies to every fourth."""
    chance = np.random.default_rng(20_261_122)
    days = chance.binomial(A_DAY, 0.1, size=(TRIES, DAYS, 2)).cumsum(axis=1)
    lied_once = lied_always = 0
    for pair in days:
        looks = [
            compare_conversion(arm("a", int(a), n), arm("b", int(b), n))
            for n, (a, b) in zip(range(A_DAY, A_DAY * DAYS + 1, A_DAY), pair, strict=True)
        ]
        lied_once += any(one.p_value < 0.05 for one in looks)
        lied_always += any(
            at_any_time(one, 2 * n).p_value < 0.05
            for n, one in zip(range(A_DAY, A_DAY * DAYS + 1, A_DAY), looks, strict=True)
        )

    assert lied_once / TRIES > 0.2
    assert lied_always / TRIES < 0.05
