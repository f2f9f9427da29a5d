"""From which figures on a campaign stops, warns or goes on, and how that is told."""

import pytest

from engine.campaign import BrakeState, brake_verdict
from engine.config import Brake
from engine.ledger import BrakeCounts

LIMITS = Brake()
GO, WARN, STOP = BrakeState.GO, BrakeState.WARN, BrakeState.STOP


def state(limits: Brake = LIMITS, **counts: int) -> BrakeState:
    return brake_verdict(BrakeCounts(**counts), limits).state  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("expected", "counts"),
    [
        (GO, {"tried": 200, "refused": 9}),
        (STOP, {"tried": 200, "refused": 10}),
        (GO, {"tried": 1000, "blocked": 19}),
        (STOP, {"tried": 1000, "blocked": 20}),
        (GO, {"tried": 10_000, "sent": 10_000, "complaints": 9}),
        (WARN, {"tried": 10_000, "sent": 10_000, "complaints": 10}),
        (WARN, {"tried": 10_000, "sent": 10_000, "complaints": 29}),
        (STOP, {"tried": 10_000, "sent": 10_000, "complaints": 30}),
        (GO, {}),
    ],
)
def test_a_limit_counts_from_its_very_share_on(expected: BrakeState, counts: dict[str, int]) -> None:
    assert expected is state(**counts)


def test_below_the_minimum_no_share_is_believed() -> None:
    assert GO is state(tried=199, refused=19)
    assert GO is state(tried=199, sent=199, complaints=1)
    assert STOP is state(Brake(minimum=50), tried=50, refused=3)


def test_a_flood_stops_below_the_minimum_too() -> None:
    assert GO is state(tried=9, blocked=9)
    assert STOP is state(tried=10, blocked=10)
    assert STOP is state(tried=30, refused=30)
    assert GO is state(tried=21, blocked=10)
    assert STOP is state(tried=20, blocked=10)


def test_a_limit_of_zero_never_stops_for_its_reason() -> None:
    never = Brake(refused=0, blocked=0, complaints=0, complaints_warn=0)

    assert GO is state(never, tried=1000, sent=1000, refused=1000, blocked=1000, complaints=1000)


def test_the_same_words_about_the_content_stop_it_unless_they_are_one_odd_filters() -> None:
    def told(alike: int, tried: int) -> BrakeState:
        return brake_verdict(BrakeCounts(tried=tried, alike=alike, words="554 spam"), LIMITS).state

    assert GO is told(4, 10)
    assert STOP is told(5, 10)
    assert STOP is told(5, 500)
    assert GO is told(5, 501)


def test_the_reason_tells_the_figures() -> None:
    said = brake_verdict(BrakeCounts(tried=1200, refused=90), LIMITS).reason
    assert "90 of 1,200 (7.50%) messages went to addresses where nobody lives (limit 5.00%)" == said

    said = brake_verdict(BrakeCounts(tried=2000, sent=2000, complaints=2), LIMITS).reason
    assert "2 of 2,000 (0.10%) messages brought a complaint (warned from 0.10%)" == said

    said = brake_verdict(BrakeCounts(tried=20, alike=6, words="554 looks like spam"), LIMITS).reason
    assert "6 of 20 (30.00%) messages were refused for their content, in the same words: 554 looks like spam" == said
