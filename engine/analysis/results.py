"""What did the campaign earn, and which variant was better? Numbers with intervals; "no winner" is an answer.

Until imported orders reach the end of the last window everything is "interim": figures are shown, no verdict is given,
so that looking every day does no harm. A broken split (sample-ratio check) hides the verdict: a bug, not a finding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations
from typing import Any

from engine.analysis.anytime import at_the_end
from engine.analysis.attribution import HOLDOUT
from engine.analysis.comparing import BROKEN_SPLIT_P, Comparison, compare_conversion, compare_money, holm, sample_ratio
from engine.model import Arm

SEED = 20_260_301

Look = Callable[[Comparison, int], Comparison]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to know before believing the figures; `ok` False puts it in front."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Earned:
    """What the mailed contacts brought beyond what the holdout says they would have brought anyway."""

    revenue: float
    low: float
    high: float
    profit: float | None
    profit_low: float | None
    profit_high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that a report shows."""

    campaign: str
    occurrence: str
    currency: str
    arms: Sequence[Arm]  # the variants, then the holdout where there is one
    comparison: Sequence[Comparison]  # variants against each other
    against_holdout: Sequence[Comparison]  # everybody mailed, against the holdout
    earned: Earned | None
    checks: Sequence[Check]
    orders_until: datetime | None
    window_ends: datetime | None
    final: bool
    verdict: str


def results(
    arms: Sequence[Arm],
    *,
    campaign: str,
    occurrence: str,
    currency: str,
    orders_until: datetime | None,
    window_ends: datetime | None,
    notes: Sequence[Check] = (),
    look: Look = at_the_end,
) -> Results:
    """Compare all arms; `notes` are checks that the caller knows of (uncertain messages, simulated behaviour ...).

    `look`: `at_the_end` for what ends and is judged once, `at_any_time` for what goes on and is looked at every day.
    """
    final = orders_until is not None and window_ends is not None and orders_until >= window_ends
    variants = [arm for arm in arms if arm.name != HOLDOUT]
    holdout = next((arm for arm in arms if arm.name == HOLDOUT and arm.assigned > 1), None)
    checks = [
        _split_check(arms),
        *([] if holdout else [_no_holdout()]),
        _window_check(final, orders_until, window_ends),
    ]
    between = _corrected([c for a, b in combinations(variants, 2) for c in _all_metrics(a, b, look)])
    against = _corrected(_all_metrics(holdout, _together(variants), look)) if holdout else []
    if not final:
        between, against = ([replace(c, decision="interim") for c in some] for some in (between, against))
    return Results(
        campaign=campaign,
        occurrence=occurrence,
        currency=currency,
        arms=arms,
        comparison=between,
        against_holdout=against,
        earned=_earned(against, sum(arm.assigned for arm in variants)),
        checks=[*checks, *notes],
        orders_until=orders_until,
        window_ends=window_ends,
        final=final,
        verdict=_verdict(between, against, final, checks[0].ok, holdout is not None),
    )


def to_json(found: Results) -> dict[str, Any]:
    """The stable JSON of a report."""
    earned = found.earned
    return {
        "campaign": found.campaign,
        "occurrence": found.occurrence,
        "currency": found.currency,
        "variants": [_arm_json(arm) for arm in found.arms if arm.name != HOLDOUT],
        "comparison": [_comparison_json(c) for c in found.comparison],
        "holdout": next((_arm_json(arm) for arm in found.arms if arm.name == HOLDOUT), {})
        | {"comparison": [_comparison_json(c) for c in found.against_holdout]},
        "checks": [{"name": c.name, "ok": c.ok, "message": c.message} for c in found.checks],
        "earned": {
            "revenue": earned and earned.revenue,
            "profit": earned and earned.profit,
            "low": earned and earned.low,
            "high": earned and earned.high,
            "profit_low": earned and earned.profit_low,
            "profit_high": earned and earned.profit_high,
            "orders_until": found.orders_until and found.orders_until.isoformat(),
            "window_ends": found.window_ends and found.window_ends.isoformat(),
            "final": found.final,
        },
        "verdict": found.verdict,
    }


def _all_metrics(a: Arm, b: Arm, look: Look) -> list[Comparison]:
    """Conversion and money of b against a; nothing when an arm is too small to compare."""
    if min(a.assigned, b.assigned) < 2:
        return []
    found = [compare_conversion(a, b), compare_money("revenue", a, b, a.revenue, b.revenue, SEED)]
    if a.profit is not None and b.profit is not None:
        found.append(compare_money("profit", a, b, a.profit, b.profit, SEED))
    return [look(one, a.assigned + b.assigned) for one in found]


def _corrected(found: list[Comparison]) -> list[Comparison]:
    """Holm over the pairs of each metric: with three variants somebody always looks like a winner."""
    done: list[Comparison] = []
    for metric in dict.fromkeys(c.metric for c in found):
        same = [c for c in found if c.metric == metric]
        for one, p_value in zip(same, holm([c.p_value for c in same]), strict=True):
            decision = one.decision if p_value < 0.05 else "no_difference"
            done.append(replace(one, p_value=p_value, decision=decision))
    return done


def _together(variants: Sequence[Arm]) -> Arm:
    """Everybody mailed as one arm."""
    profits = [arm.profit for arm in variants]
    return Arm(
        name="mailed",
        assigned=sum(a.assigned for a in variants),
        sent=sum(a.sent for a in variants),
        delivered=sum(a.delivered for a in variants),
        human_opens=sum(a.human_opens for a in variants),
        human_clicks=sum(a.human_clicks for a in variants),
        converted=tuple(c for a in variants for c in a.converted),
        revenue=tuple(r for a in variants for r in a.revenue),
        profit=None if any(p is None for p in profits) else tuple(x for p in profits for x in (p or ())),
        pre_revenue=tuple(r for a in variants for r in a.pre_revenue),
        share=sum(a.share for a in variants),
    )


def _earned(against: Sequence[Comparison], mailed: int) -> Earned | None:
    by_metric = {c.metric: c for c in against}
    revenue, profit = by_metric.get("revenue"), by_metric.get("profit")
    if revenue is None:
        return None
    return Earned(
        revenue=revenue.difference * mailed,
        low=revenue.low * mailed,
        high=revenue.high * mailed,
        profit=profit.difference * mailed if profit else None,
        profit_low=profit.low * mailed if profit else None,
        profit_high=profit.high * mailed if profit else None,
    )


def _split_check(arms: Sequence[Arm]) -> Check:
    p = sample_ratio([arm.assigned for arm in arms], [arm.share for arm in arms])
    drawn = ", ".join(f"{arm.name} {arm.assigned}" for arm in arms)
    if p < BROKEN_SPLIT_P:
        why = f"the split drawn ({drawn}) can't come from the planned shares (p = {p:.2g}): don't trust the comparison"
        return Check(name="sample ratio", ok=False, message=why)
    return Check(name="sample ratio", ok=True, message=f"the split fits the planned shares ({drawn}; p = {p:.2f})")


def _no_holdout() -> Check:
    why = "no holdout: what the campaign earned can't be told from what these people would have bought anyway"
    return Check(name="holdout", ok=False, message=why)


def _window_check(final: bool, until: datetime | None, ends: datetime | None) -> Check:
    if final:
        return Check(name="window", ok=True, message=f"orders are known up to the window's end ({_day(ends)})")
    why = f"interim: orders are known until {_day(until)}, the last window ends {_day(ends)}"
    return Check(name="window", ok=False, message=why)


def _verdict(
    between: Sequence[Comparison], against: Sequence[Comparison], final: bool, split_ok: bool, has_holdout: bool
) -> str:
    """In one or two sentences, by the goal alone: money is shown with its interval, but is no second chance to win."""
    if not split_ok:
        return "No verdict: the split is broken, see the checks."
    if not final:
        return "Interim: too early for a verdict; the figures below will still move."
    against, between = ([c for c in some if c.metric == "conversion"] for some in (against, between))
    said = [_told(c) for c in (*against, *between) if c.decision != "no_difference"]
    if not has_holdout:
        said.append("Without a holdout nobody can say what the campaign earned.")
    elif all(c.decision == "no_difference" for c in against):
        said.append("No effect found: those mailed did not differ from the holdout by more than chance.")
    if between and all(c.decision == "no_difference" for c in between):
        said.append("No winner between the variants.")
    return " ".join(said)


def _told(c: Comparison) -> str:
    better, worse = (c.b, c.a) if c.decision == "b_higher" else (c.a, c.b)
    return f"{better.capitalize()} reached the goal more often than {worse} (p = {c.p_value:.3f})."


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "never"


def _arm_json(arm: Arm) -> dict[str, Any]:
    return {
        "name": arm.name,
        "assigned": arm.assigned,
        "sent": arm.sent,
        "delivered": arm.delivered,
        "human_opens": arm.human_opens,
        "human_clicks": arm.human_clicks,
        "converted": sum(arm.converted),
        "revenue": round(sum(arm.revenue), 2),
        "profit": None if arm.profit is None else round(sum(arm.profit), 2),
    }


def _comparison_json(c: Comparison) -> Mapping[str, Any]:
    return {
        "metric": c.metric,
        "a": c.a,
        "b": c.b,
        "value_a": c.value_a,
        "value_b": c.value_b,
        "difference": c.difference,
        "low": c.low,
        "high": c.high,
        "p_value": c.p_value,
        "method": c.method,
        "decision": c.decision,
    }
