"""Which stage a contact is in, by own rhythm."""

import pytest
import sqlalchemy as sa

from engine.audience.lifecycle import stage, stage_sql
from engine.store import Store


def at_stage(
    days: int, silent: int | None, mean: float | None = None, score: int | None = 3, gap: float | None = 30
) -> str:
    return stage(purchase_days=days, mean_gap_days=mean, days_since=silent, frequency_score=score, shop_gap_days=gap)


def test_nobody_without_orders_is_more_than_a_prospect() -> None:
    assert "prospect" == at_stage(0, None, score=None)


@pytest.mark.parametrize(
    ("silent", "expected"),
    [(0, "new"), (60, "new"), (61, "at_risk"), (120, "at_risk"), (121, "lapsed"), (240, "lapsed"), (241, "lost")],
)
def test_one_purchase_is_measured_by_the_shops_gap(silent: int, expected: str) -> None:
    assert expected == at_stage(1, silent)


@pytest.mark.parametrize(("silent", "expected"), [(36, "active"), (37, "at_risk"), (73, "lapsed"), (145, "lost")])
def test_own_gaps_are_smoothed_by_two_of_the_shops(silent: int, expected: str) -> None:
    # 5 purchase days, own mean gap 12, the shop's 30: (4 * 12 + 2 * 30) / 6 = 18
    assert expected == at_stage(5, silent, mean=12.0)


@pytest.mark.parametrize(("days", "score", "expected"), [(4, 4, "loyal"), (3, 5, "active"), (4, 3, "active")])
def test_loyal_needs_four_purchase_days_and_more_orders_than_most(days: int, score: int, expected: str) -> None:
    assert expected == at_stage(days, 10, mean=20.0, score=score)


def test_nobody_is_at_risk_within_two_weeks() -> None:
    assert ["active", "at_risk"] == [at_stage(3, silent, mean=1.0, gap=1.0) for silent in (14, 15)]


def test_ninety_days_stand_in_while_nobody_has_bought_twice() -> None:
    assert ["new", "at_risk"] == [at_stage(1, silent, gap=None) for silent in (180, 181)]


def test_sql_tells_the_same_stage_to_the_day(store: Store) -> None:
    """Own mean gap 12, the shop's 30 or unknown: limits fall on whole days, where > and >= part."""
    people = [
        (days, silent, mean, score, gap)
        for days, mean in ((1, None), (3, 12.0), (5, 12.0))
        for silent in (None, 0, 14, 15, 36, 37, 42, 43, 72, 73, 84, 85, 144, 145, 168, 169, 240, 241, 480, 481)
        for score in (3, 4)
        for gap in (30.0, None)
    ]

    asked = [
        stage_sql(
            purchase_days=sa.literal(days, sa.Integer),
            mean_gap_days=sa.literal(mean, sa.Double),
            days_since=sa.literal(silent, sa.BigInteger),
            frequency_score=sa.literal(score, sa.Integer),
            shop_gap_days=gap,
        )
        for days, silent, mean, score, gap in people
    ]
    with store.read() as db:
        told = [db.scalar(sa.select(one)) for one in asked]

    assert [at_stage(days, silent, mean, score, gap) for days, silent, mean, score, gap in people] == told
    assert {"prospect", "new", "active", "loyal", "at_risk", "lapsed", "lost"} == set(told)
