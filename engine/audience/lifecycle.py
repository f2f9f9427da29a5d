"""Where does this contact stand by their own rhythm? One word, computed from the moment when it is read.

A contact's rhythm is their interval: the mean gap between their own purchase days, smoothed towards the shop's usual
gap as if that had been seen twice, `(x * own mean gap + 2 * shop gap) / (x + 2)` with x gaps, and never below 7 days.
`over` is days since the last order divided by the interval.

    prospect   no order yet
    new        over <= 2, and only one purchase day so far
    loyal      over <= 2, at least 4 purchase days, and frequency score 4 or 5
    active     over <= 2, everybody else
    at_risk    over > 2: quieter than usual
    lapsed     over > 4: probably buys elsewhere
    lost       over > 8

Where nobody has bought twice yet, 90 days stand in for the shop's gap. A stage says how long somebody has been silent,
measured by themselves; it ranks nobody: who will buy next is told better by recency and frequency together.
"""

import math
from collections.abc import Iterator

import sqlalchemy as sa

SHORTEST_INTERVAL = 7.0
FIRST_GUESS = 90.0
AT_RISK, LAPSED, LOST = 2.0, 4.0, 8.0
_WEIGHT = 2  # how many gaps the shop's usual one counts for
_LOYAL_DAYS, _LOYAL_SCORE = 4, 4


def stage(
    *,
    purchase_days: int,
    mean_gap_days: float | None,
    days_since: int | None,
    frequency_score: int | None,
    shop_gap_days: float | None,
) -> str:
    """The word for a contact, see above."""
    if days_since is None or frequency_score is None:
        return "prospect"
    interval = _interval(purchase_days, mean_gap_days, shop_gap_days)
    for limit, name in ((LOST, "lost"), (LAPSED, "lapsed"), (AT_RISK, "at_risk")):
        if days_since > limit * interval:
            return name
    if purchase_days == 1:
        return "new"
    return "loyal" if purchase_days >= _LOYAL_DAYS and frequency_score >= _LOYAL_SCORE else "active"


def turning_days(*, purchase_days: int, mean_gap_days: float | None, shop_gap_days: float | None) -> Iterator[int]:
    """After how many days since the last order the word becomes another, if no other order comes."""
    interval = _interval(purchase_days, mean_gap_days, shop_gap_days)
    return (math.floor(limit * interval) + 1 for limit in (AT_RISK, LAPSED, LOST))


def _interval(purchase_days: int, mean_gap_days: float | None, shop_gap_days: float | None) -> float:
    gap = FIRST_GUESS if shop_gap_days is None else shop_gap_days
    own = purchase_days - 1
    return max(SHORTEST_INTERVAL, (own * (mean_gap_days or 0.0) + _WEIGHT * gap) / (own + _WEIGHT))


def stage_sql(
    *,
    purchase_days: sa.ColumnElement[int],
    mean_gap_days: sa.ColumnElement[float],
    days_since: sa.ColumnElement[int],
    frequency_score: sa.ColumnElement[int],
    shop_gap_days: float | None,
) -> sa.ColumnElement[str]:
    """`stage` in SQL: the same operations in the same order, so that both give the same word to the last bit."""
    gap = FIRST_GUESS if shop_gap_days is None else shop_gap_days
    own = purchase_days - 1
    smoothed = (_real(own) * sa.func.coalesce(mean_gap_days, 0.0) + _WEIGHT * gap) / _real(own + _WEIGHT)
    interval = sa.case((smoothed < SHORTEST_INTERVAL, SHORTEST_INTERVAL), else_=smoothed)
    return sa.case(
        (days_since.is_(None), "prospect"),
        (_real(days_since) > LOST * interval, "lost"),
        (_real(days_since) > LAPSED * interval, "lapsed"),
        (_real(days_since) > AT_RISK * interval, "at_risk"),
        (purchase_days == 1, "new"),
        (sa.and_(purchase_days >= _LOYAL_DAYS, frequency_score >= _LOYAL_SCORE), "loyal"),
        else_="active",
    )


def _real(value: sa.ColumnElement[int]) -> sa.ColumnElement[float]:
    return sa.cast(value, sa.Double)
