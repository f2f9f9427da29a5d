"""What rules mean, line by line; each line in all four evaluators."""

from datetime import timedelta

import pytest
from four_evaluators import AT, Databases, answers, in_sql

from engine.errors import BadRule
from engine.model import Profile
from engine.rules import check

NOBODY = Profile(contact_id=1)
ANNA = Profile(
    contact_id=2,
    given_name="Anna",
    country="FI",
    company_size="12",
    age=34,
    orders_count=3,
    revenue=120.5,
    usual_gap_days=30.5,
    mailing_consent=True,
    tracking_consent=False,
    created_at=AT - timedelta(days=400),
    last_order_at=AT - timedelta(days=90),
    tags=("vip", "it's"),
    attributes={"size": "9", "width": "12.0", "shoe size": "forty"},
)


def say(truth: bool) -> dict[str, bool]:
    return dict.fromkeys(("python", "sqlite", "postgresql", "template"), truth)


MISSING = [
    ("given_name == country", True),  # both are Missing: null-safe
    ("given_name != country", False),
    ("given_name == 'a'", False),
    ("given_name != 'a'", True),
    ("age < 5", False),
    ("age >= 5", False),
    ("not age < 5", True),
    ("age in [1, 2]", False),
    ("age not in [1, 2]", True),
    ("not age not in [1, 2]", False),
    ("'a' in given_name", False),
    ("'a' not in given_name", True),
    ("given_name in tags", False),
    ("given_name not in tags", True),
    ("given_name in [country]", False),  # a Missing in a list equals nothing, itself neither
    ("given_name not in [country, given_name]", True),
    ("(age + 1) is missing", True),
    ("(-age) is missing", True),
    ("(age * 0) == (usual_gap_days * 0)", True),
    ("(1 / 0) is missing", True),
    ("(1 % 0) is missing", True),
    ("(0.0 / -0.0) is missing", True),
    ("(age | default(7)) == 7", True),
    ("((age + 1) | default(7)) == 7", True),
    ("mailing_consent", False),
    ("not mailing_consent", True),
    ("mailing_consent == false", False),
    ("mailing_consent != true", True),
    ("tags == []", True),
    ("tags != []", False),
    ("'vip' not in tags", True),
    ("last_order_at is missing", True),
    ("last_order_at < ago('1 day')", False),
    ("attributes.size is missing", True),
    ("attributes.size == company_size", True),
    ("attributes.size > 3", False),
    ("attributes.size != 3", True),
    ("(attributes.size | default(3)) > 2.5", True),
    ("(attributes.size | default('3')) == 3", True),
    ("(attributes.size | default(3)) == '3'", True),
]


@pytest.mark.parametrize(("rule", "truth"), MISSING)
def test_missing_values_follow_the_rule_of_missing(databases: Databases, rule: str, truth: bool) -> None:
    assert say(truth) == answers(databases, rule, NOBODY)


@pytest.mark.parametrize(
    ("rule", "truth"),
    [
        ("orders_count >= 2 and 'vip' in tags", True),
        ("orders_count == 3.0", True),
        ("18 <= age < 65", True),
        ("18 <= age < 34", False),
        ("orders_count > 1 or 1 / 0 > 1 and mailing_consent", True),
        ("not (orders_count > 1 and not mailing_consent)", True),
        ("revenue / orders_count > 40.1", True),
        ("7 / 2 == 3.5", True),
        ("-7 % 3 == 2", True),
        ("7 % -3 == -2", True),
        ("-7.5 % 2 == 0.5", True),
        ("1 % 0.1 == 0", True),  # as doubles compute it step by step; fmod would say 0.0999...
        ("9007199254740991 % 10 == 1", True),
        ("9007199254740992 + 1 == 9007199254740992", True),  # doubles everywhere
        ("0.1 + 0.2 == 0.3", False),
        ("2 - 3 - 4 == -5", True),
        ("2 + 3 * 4 == 14", True),
        ("last_order_at == ago('90 days')", True),
        ("last_order_at >= ago('90 days')", True),
        ("last_order_at > ago('90 days')", False),
        ("last_order_at < date('2025-12-02')", True),
        ("created_at < last_order_at", True),
        ("'Ann' in given_name", True),
        ("'ann' in given_name", False),
        ("'Z' < 'a'", True),  # by code point
        ("'￿' < '😀'", True),  # not by UTF-16 units
        ("'é' > 'z'", True),
        ("'it\\'s' in tags", True),
        ("'vi' in tags", False),  # an item, not a part of one
        ("country in ['FI', 'SE']", True),
        ("country not in []", True),
        ("mailing_consent and not tracking_consent", True),
        ("mailing_consent in [true]", True),
        ("attributes.size > 10", False),  # as numbers; as texts '9' > '10'
        ("attributes.size < company_size", True),
        ("attributes.size > '10'", True),  # as texts
        ("attributes.width == company_size", False),  # two loose values are equal as texts
        ("attributes.width >= company_size", True),  # and in order as numbers
        ("attributes.size == 9.0", True),
        ("attributes.size == '9.0'", False),
        ("attributes.size in [8, 9]", True),
        ("attributes.size in ['9']", True),
        ("attributes.size * 2 == 18", True),
        ("attributes['shoe size'] == 40", False),
        ("attributes['shoe size'] != 40", True),
        ("attributes['shoe size'] > 4", False),
        ("attributes['shoe size'] is missing", False),  # known, though no number
        ("(attributes['shoe size'] | default(40)) == 40", False),
        ("(attributes['shoe size'] * 1) is missing", True),
        ("attributes['shoe size'] == age", False),
        ("segment('one')", True),
        ("not segment('two')", True),
    ],
)
def test_known_values_follow_the_rule_language(databases: Databases, rule: str, truth: bool) -> None:
    assert say(truth) == answers(databases, rule, ANNA)


def test_the_empty_text_of_a_field_is_missing(databases: Databases) -> None:
    blank = Profile(contact_id=1, given_name="", attributes={"size": ""})

    assert say(True) == answers(databases, "given_name is missing and attributes.size is missing", blank)


def test_a_long_chain_of_conditions_is_no_burden_to_any_evaluator(databases: Databases) -> None:
    chain = " or ".join(f"orders_count == {number}" for number in range(100, 0, -1))

    assert say(True) == answers(databases, chain, ANNA)


def test_the_largest_rule_that_is_accepted_is_no_burden_to_the_databases(databases: Databases) -> None:
    """20 brackets or 30 levels with segments, rows of 100 and the deepest computation, all at once."""
    deepest = "(age | default(1)) % 3 != 9 + (8 - (7 + (6 - (5 + (4 - (3 + (2 - (1 - age))))))))"
    row = " or ".join(f"orders_count == {number}" for number in range(102, 4, -1))
    segments = {"s0": check(f"not (age < 1 and not ({deepest}))")}
    for n in range(1, 13):
        segments[f"s{n}"] = check(f"{row} or segment('s{n - 1}')", segments=segments)
    rule = check("segment('s12')", segments=segments)

    assert [[True]] == in_sql(databases.sqlite, [rule], [ANNA], segments)
    assert [[True]] == in_sql(databases.postgresql, [rule], [ANNA], segments)


@pytest.mark.parametrize("step", ["(age < 1 or not {})", "({} and age > 1)", "not (age < 1 and {})"])
def test_the_deepest_rule_that_is_accepted_is_no_burden_to_any_evaluator(databases: Databases, step: str) -> None:
    rule = "attributes.size / 2 + (8 - (7 + (6 - age))) == usual_gap_days % 3"
    while True:
        deeper = step.format(f"({rule})")
        try:
            check(deeper)
        except BadRule:
            break
        rule = deeper

    assert 1 == len(set(answers(databases, rule, ANNA).values()))
