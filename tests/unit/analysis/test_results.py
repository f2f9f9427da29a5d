"""Comparing arms: published numbers, planted effects found, chance not called an effect."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.analysis import (
    Assigned,
    Economics,
    Purchase,
    attribute,
    detectable,
    results,
    sample_ratio,
    to_html,
    to_json,
)
from engine.analysis.comparing import compare_conversion, compare_money, holm
from engine.model import Arm

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def an_arm(name: str, converted: Sequence[int], revenue: Sequence[float] | None = None, share: float = 0.5) -> Arm:
    money = tuple(float(r) for r in (revenue if revenue is not None else converted))
    return Arm(
        name=name,
        assigned=len(converted),
        sent=len(converted),
        delivered=len(converted),
        human_opens=0,
        human_clicks=0,
        converted=tuple(converted),
        revenue=money,
        profit=None,
        pre_revenue=(0.0,) * len(converted),
        share=share,
    )


def clicks(name: str, hits: int, of: int) -> Arm:
    return an_arm(name, [1] * hits + [0] * (of - hits))


def the_results(*arms: Arm, final: bool = True) -> object:
    ends = AT + timedelta(days=14)
    return results(
        arms,
        campaign="winback",
        occurrence="once",
        currency="EUR",
        orders_until=ends if final else AT,
        window_ends=ends,
    )


def test_conversion_gives_the_published_p_value() -> None:
    found = compare_conversion(clicks("a", 417, 13_914), clicks("b", 501, 13_914))

    assert pytest.approx(0.004813, abs=1e-6) == found.p_value
    assert found.low > 0
    assert "b_higher" == found.decision


def test_newcombes_interval_is_the_published_one() -> None:
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 = .2, .0524 to .3339
    found = compare_conversion(clicks("a", 48, 80), clicks("b", 56, 70))

    assert pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4) == (found.difference, found.low, found.high)


def test_holm_gives_the_published_values() -> None:
    assert pytest.approx([0.03, 0.06, 0.06, 0.02]) == holm([0.01, 0.04, 0.03, 0.005])


@pytest.mark.parametrize(("a", "b", "p"), [(10_200, 9_800, 0.004678), (10_300, 9_700, 2.209e-5)])
def test_sample_ratio_gives_the_published_p(a: int, b: int, p: float) -> None:
    assert pytest.approx(p, rel=1e-3) == sample_ratio([a, b], [0.5, 0.5])


@pytest.mark.parametrize(("base", "rise", "n"), [(0.03, 0.2, 13_914), (0.01, 0.2, 42_693), (0.2, 0.05, 25_583)])
def test_what_can_be_seen_agrees_with_the_published_sizes(base: float, rise: float, n: int) -> None:
    assert pytest.approx(rise, rel=1e-3) == detectable(base, n, n)


def test_nothing_can_be_seen_without_people_or_baseline() -> None:
    assert detectable(0.03, 1, 500) is None
    assert detectable(0.0, 500, 500) is None
    assert detectable(0.9, 3, 3) is None


def test_money_of_few_buyers_is_judged_by_redrawing() -> None:
    random = np.random.default_rng(1)
    a = [0.0] * 190 + list(random.lognormal(3, 1, 10))
    b = [0.0] * 190 + list(random.lognormal(3, 1, 10))

    found = compare_money("revenue", an_arm("a", [0] * 200), an_arm("b", [0] * 200), a, b, seed=7)

    assert "randomisation" in found.method
    assert "no_difference" == found.decision
    assert found.low < found.difference < found.high


def test_redrawing_keeps_its_false_alarms_near_five_in_a_hundred() -> None:
    random = np.random.default_rng(3)
    alarms = 0
    for run in range(100):
        y = np.where(random.random(600) < 0.1, random.lognormal(3, 1.2, 600), 0.0)
        found = compare_money("revenue", an_arm("a", [0] * 540), an_arm("b", [0] * 60), y[:540], y[540:], seed=run)
        alarms += found.p_value < 0.05

    assert alarms <= 11  # 5 expected, standard deviation 2.2


def test_spend_before_narrows_the_interval() -> None:
    random = np.random.default_rng(5)
    before = random.lognormal(3, 1, 4_000)
    after = before * random.lognormal(0, 0.2, 4_000)
    a, b = an_arm("a", [1] * 2_000), an_arm("b", [1] * 2_000)
    knowing = [
        Arm(**{**{f: getattr(x, f) for f in Arm.__slots__}, "pre_revenue": tuple(p)})
        for x, p in ((a, before[:2_000]), (b, before[2_000:]))
    ]

    blind = compare_money("revenue", a, b, after[:2_000], after[2_000:], seed=1)
    sharp = compare_money("revenue", *knowing, after[:2_000], after[2_000:], seed=1)

    assert (sharp.high - sharp.low) < 0.5 * (blind.high - blind.low)


def test_a_planted_effect_is_found_and_told() -> None:
    found = the_results(clicks("mail", 300, 1_000), an_arm("holdout", [1] * 100 + [0] * 900))

    assert "Mailed reached the goal more often than holdout" in found.verdict
    assert found.earned is not None
    assert pytest.approx(200) == found.earned.revenue
    assert found.earned.low > 0


def test_before_the_windows_end_there_is_no_verdict() -> None:
    found = the_results(clicks("mail", 300, 1_000), clicks("holdout", 100, 1_000), final=False)

    assert found.verdict.startswith("Interim")
    assert {"interim"} == {c.decision for c in found.against_holdout}
    assert to_json(found)["earned"]["final"] is False


def test_a_broken_split_hides_the_verdict() -> None:
    found = the_results(clicks("a", 300, 1_000), clicks("b", 100, 700))

    assert "No verdict: the split is broken, see the checks." == found.verdict


def test_without_a_holdout_nothing_was_provably_earned() -> None:
    found = the_results(clicks("a", 100, 1_000), clicks("b", 101, 1_000))

    assert found.earned is None
    assert "Without a holdout nobody can say what the campaign earned. No winner between the variants." == found.verdict


def person(contact: int, arm: str, **values: object) -> Assigned:
    plain = {"planned_at": AT, "sent": True, "bounced": False, "human_opens": 0, "human_clicks": 0}
    return Assigned(contact_id=contact, arm=arm, **{**plain, **values})


def bought(contact: int, days: float, revenue: float, cost: float | None = None) -> Purchase:
    return Purchase(contact_id=contact, at=AT + timedelta(days=days), revenue=revenue, cost=cost)


def attributed(goal: str, people: list[Assigned], orders: list[Purchase], margin: float | None = None) -> list[Arm]:
    return attribute(
        people,
        orders,
        goal=goal,
        window=timedelta(days=14),
        shares={"a": 0.9, "holdout": 0.1},
        economics=Economics(margin=margin, cost_per_conversion={"a": 5.0}),
    )


def test_orders_count_from_just_after_the_planned_time_to_the_windows_end_for_holdouts_too() -> None:
    orders = [
        bought(1, 0, 1),
        bought(1, 14, 2),
        bought(1, 14.01, 4),
        bought(2, 1, 8),
        bought(2, -90, 16),
        bought(9, 1, 32),
    ]

    a, holdout = attributed("order", [person(1, "a"), person(2, "holdout", sent=False)], orders)

    assert ((1,), (2.0,), (1.0,)) == (a.converted, a.revenue, a.pre_revenue)
    assert ((1,), (8.0,), (0.0,)) == (holdout.converted, holdout.revenue, holdout.pre_revenue)


def test_profit_takes_cost_margin_and_coupons_into_account() -> None:
    orders = [bought(1, 1, 20, cost=12), bought(2, 1, 10)]
    people = [person(1, "a"), person(2, "a"), person(3, "holdout")]

    a, holdout = attributed("order", people, orders, margin=0.3)
    unknown, _ = attributed("order", people, orders)

    assert pytest.approx((3.0, -2.0)) == a.profit
    assert (0.0,) == holdout.profit
    assert unknown.profit is None


def test_other_goals_count_clicks_or_events_but_revenue_stays_orders() -> None:
    people = [
        person(1, "a", human_clicks=2),
        person(2, "a", event_at=AT + timedelta(days=15)),
        person(3, "a", event_at=AT),
    ]

    assert (1, 0, 0) == attributed("click", people, [])[0].converted
    assert (0, 0, 1) == attributed("event:signup", people, [])[0].converted


def test_the_page_is_self_contained_and_escapes_names() -> None:
    found = the_results(clicks("<b>mail</b>", 300, 1_000), clicks("holdout", 100, 1_000))

    html = to_html(found, money=lambda amount: f"€{amount:.2f}", simulated="Nobody was harmed.")

    assert "&lt;b&gt;mail&lt;/b&gt;" in html
    assert "<b>mail</b>" not in html
    assert "Nobody was harmed." in html
    assert 'src="http' not in html
    assert "<script" not in html
    assert html.count("<svg") == 2
