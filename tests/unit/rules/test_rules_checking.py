"""What `check` refuses, and how it says so."""

# ruff: noqa: E501 - a message stands on the line of its rule

from zoneinfo import ZoneInfo

import pytest

from engine.errors import BadRule
from engine.model import Profile
from engine.rules import check, check_all, evaluate


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("order_count > 2", "shop.toml:7:1: unknown name 'order_count'; did you mean 'orders_count'?"),
        ("age > 2 and\n  citty == 'a'", "shop.toml:7 (line 2 of the rule):3: unknown name 'citty'; did you mean 'city'?"),
        ("age > 2 and zzz", "shop.toml:7:13: unknown name 'zzz'"),
        ("shop == 'a'", "shop.toml:7:1: shop is known to templates only; rules see a contact's own fields"),
        ("attributes == 'a'", "shop.toml:7:1: attributes needs a name, such as attributes.colour"),
        ("ago > created_at", "shop.toml:7:1: ago is a function; write ago('...')"),
        ("email.host == 'a'", "shop.toml:7:1: email has no parts; only attributes has names behind it, as in attributes.colour"),
        ("attributes._x == 'a'", "shop.toml:7:1: write attributes['_x'] for a name that begins with _"),
        ("3 == '3'", "shop.toml:7:1: a number can't be compared with a text; write '3'"),
        ("country == 3", "shop.toml:7:1: a text can't be compared with a number; write '3'"),
        ("age in [1, 'a']", "shop.toml:7:1: a number can't be compared with a text"),
        ("created_at > '2026-01-01'", "shop.toml:7:1: a moment can't be compared with a text; write the other side as date('2026-01-01') or ago('90 days')"),
        ("mailing_consent == 'yes'", "shop.toml:7:1: true or false can't be compared with a text; write true or false without quotes"),
        ("mailing_consent == 1", "shop.toml:7:1: true or false can't be compared with a number; write true or false"),
        ("mailing_consent > false", "shop.toml:7:1: true and false have no order, so > can't compare them; use == or !="),
        ("tags == 'vip'", "shop.toml:7:1: a list can't be compared by ==; ask `'vip' in ...`, or `... == []`"),
        ("age == []", "shop.toml:7:1: only a list can be compared with [], and this is a number"),
        ("given_name != ''", "shop.toml:7:15: an empty field is missing; write `is missing` instead of ''"),
        ("lifecycle == none", "shop.toml:7:14: none is not part of the rule language; write `is missing` or `is not missing`"),
        ("tags is missing", "shop.toml:7:1: a list is never missing: without items it is empty; write `... == []`"),
        ("(tags | default('a')) == 'a'", "shop.toml:7:2: a list is never missing: without items it is empty, so it needs no default"),
        ("age is mising", "shop.toml:7:1: unknown test 'mising'; did you mean 'missing'?"),
        ("age is odd", "shop.toml:7:1: unknown test 'odd'; the only tests in rules are `is missing` and `is not missing`"),
        ("age is missing 3", "shop.toml:7:1: nothing may follow `is missing` but and, or or a bracket"),
        ("(age | defualt(1)) > 1", "shop.toml:7:2: unknown filter 'defualt'; did you mean 'default'?"),
        ("(age | round) > 1", "shop.toml:7:2: unknown filter 'round'; the only filter in rules is default(...)"),
        ("(age | default) > 1", "shop.toml:7:2: default takes one value, such as default(0) or default('unknown')"),
        ("(age | default('x')) > 1", "shop.toml:7:16: the default is a text, but the value is a number"),
        ("created_at > aggo('1 day')", "shop.toml:7:14: unknown function 'aggo'; did you mean 'ago'?; known: ago, date, segment"),
        ("created_at > ago(90)", "shop.toml:7:14: ago takes one text in quotes, such as ago('90 days')"),
        ("created_at > ago('9 moons')", "shop.toml:7:14: '9 moons' is not a duration; write it as '14 days', '2 hours' or '30 minutes'"),
        ("created_at > ago('99999999999 weeks')", "shop.toml:7:14: '99999999999 weeks' is too long"),
        ("created_at > ago('20000 weeks')", "shop.toml:7:14: '20000 weeks' is too long; ago reaches back 200 years at most"),
        ("created_at > date('01/02/03')", "shop.toml:7:14: '01/02/03' is not a time; write it as 2026-12-03, 2026-12-03T09:00 or 2026-12-03T09:00+02:00"),
        ("created_at + 1 > 2", "shop.toml:7:1: + needs numbers, and this is a moment; compare moments with ago('90 days') or date('2026-01-01')"),
        ("given_name + 'x' == 'ax'", "shop.toml:7:1: + needs numbers, and this is a text"),
        ("orders_count", "shop.toml:7:1: this is a number, and a condition is wanted; compare it, as in ... > 0"),
        ("given_name and age > 1", "shop.toml:7:1: this is a text, and a condition is wanted; compare it, as in ... == 'a', or ask `is not missing`"),
        ("not tags", "shop.toml:7:5: this is a list, and a condition is wanted; ask `'vip' in ...`, or `... != []`"),
        ("mailing_consent == (age > 1)", "shop.toml:7:21: a condition is no value: it can't be compared or computed with; join it by and, or, not"),
        ("segment('big') == true", "shop.toml:7:1: segment(...) is a condition, not a value; join it by and, or, not"),
        ("segment('bg')", "shop.toml:7:1: unknown segment 'bg'; did you mean 'big'?"),
        ("segment('zzz')", "shop.toml:7:1: unknown segment 'zzz'; known: big, new"),
        ("age in 'abc'", "shop.toml:7:1: `in` looks for a text there, and this is a number"),
        ("'a' in age", "shop.toml:7:8: `in` looks in a list or a text, and this is a number; write a list as ['a', 'b']"),
        ("country in ('FI', 'SE')", "shop.toml:7:13: round brackets hold one value; write a list as ['a', 'b']"),
        ("age if age else 3", "shop.toml:7:1: `a if b else c` is not part of the rule language; write (b and a) or (not b and c)"),
        ("age // 2 == 1", "shop.toml:7:1: // is not part of the rule language; use / or %"),
        ("age ** 2 > 1", "shop.toml:7:1: ** is not part of the rule language; use *"),
        ("age = 2", "shop.toml:7:5: unexpected '=' after a complete condition; write == to compare"),
        ("age > 2 AND age < 5", "shop.toml:7:9: unexpected 'AND' after a complete condition; write and"),
        ("age > 2 && age < 5", "shop.toml:7:9: unexpected '&'; write and"),
        ("age > 2 }} x", "shop.toml:7:9: unexpected '}}' after a complete condition"),
        ("(age > 2", "shop.toml:7:9: unexpected end of the rule, expected ')'"),
        ("city == 'a", "shop.toml:7:9: unexpected \"'\"; the text has no closing quote"),
        ("city == 'a\\x00'", "shop.toml:7:9: the text holds a character that no database can store"),
        ("  ", "shop.toml:7:1: the rule is empty; write a condition such as orders_count >= 2"),
        ("age > 99999999999999999", "shop.toml:7:7: the number is too large or too small to be exact"),
        ("age > 1e999", "shop.toml:7:7: the number is too large or too small to be exact"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_place_fault_and_cure(rule: str, message: str) -> None:
    with pytest.raises(BadRule) as refused:
        check(rule, "shop.toml:7", segments=["big", "new"])

    assert message == str(refused.value)


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("(" * 21 + "mailing_consent" + ")" * 21, "nested more than 20 deep"),
        ("not " * 21 + "mailing_consent", "nested more than 20 deep"),
        ("age > 1" + " if age > 1 else age > 1" * 700, "`a if b else c` is not part"),
        ("age > " + "1 + " * 500 + "1", "too many steps inside each other"),
        ("age * " * 20 + "age > 1", "could leave the range of numbers"),
        ("age % 2 % 3 > 1", "a % can't stand inside another %"),
        ("age > 1 or " * 100 + "age > 2", "joins more than 100 conditions in a row"),
        ("age > 1 or " * 2000 + "age > 2", "longer than 20,000 characters"),
        ("age in [" + "1," * 2500 + "1]", "more than 2000 conditions and list items"),
        ("age > " + "9" * 5000, "a number in the rule is too long"),
    ],
)
def test_a_rule_that_would_strain_an_evaluator_is_refused(rule: str, part: str) -> None:
    with pytest.raises(BadRule) as refused:
        check(rule)

    assert part in str(refused.value)


def test_a_rule_without_a_file_is_placed_by_its_column() -> None:
    with pytest.raises(BadRule, match=r"^column 5: unknown name 'agee'; did you mean 'age'\?$"):
        check("not agee")


def test_a_rule_knows_the_names_and_segments_it_reads() -> None:
    rule = check("age > 1 and attributes['shoe size'] == 40 or segment('big')", segments=["big"])

    assert {"age", "attributes.shoe size"} == rule.names
    assert {"big"} == rule.segments


def test_a_date_is_midnight_in_the_zone_handed_in(at) -> None:
    shop = ZoneInfo("Europe/Helsinki")
    buyer = Profile(contact_id=1, last_order_at=at.replace(month=1, day=1, hour=0) - at.resolution)

    assert evaluate(check("last_order_at < date('2026-01-01')"), buyer, at)
    assert not evaluate(check("last_order_at < date('2026-01-01')", zone=shop), buyer, at)


def test_all_faults_of_all_segments_are_told_together() -> None:
    with pytest.raises(BadRule) as refused:
        check_all(
            {
                "fine": ("age > 1", "segments.toml:2"),
                "typo": ("agee > 1", "segments.toml:5"),
                "lost": ("segment('fin')", "segments.toml:8"),
                "a": ("segment('b')", "segments.toml:11"),
                "b": ("not segment('c')", "segments.toml:14"),
                "c": ("age > 1 and segment('a')", "segments.toml:17"),
                "self": ("segment('self')", "segments.toml:20"),
                "near": ("segment('b')", "segments.toml:23"),
            }
        )

    assert [
        "segments.toml:5:1: unknown name 'agee'; did you mean 'age'?",
        "segments.toml:8:1: unknown segment 'fin'; did you mean 'fine'?",
        "segments.toml:11: segments ask for each other in a circle: a -> b -> c -> a",
        "segments.toml:20: segments ask for each other in a circle: self -> self",
    ] == str(refused.value).splitlines()


def test_segments_may_ask_for_segments_that_stand_further_down() -> None:
    rules = check_all({"one": ("segment('two')", ""), "two": ("age > 1", "")})

    assert {"two"} == rules["one"].segments


def test_segments_that_double_each_other_are_refused_before_they_grow() -> None:
    doubling = {f"s{n}": (f"segment('s{n + 1}') and segment('s{n + 1}')", "") for n in range(19)}

    with pytest.raises(BadRule, match="more than 2000 conditions with those of its segments"):
        check_all({**doubling, "s19": ("age > 1", "")})


@pytest.mark.parametrize("order", [1, -1])
def test_a_chain_of_too_many_segments_is_refused_in_either_order(order: int) -> None:
    chain = {f"s{n}": (f"segment('s{n + 1}')", "") for n in range(40)} | {"s40": ("age > 1", "")}

    with pytest.raises(BadRule, match="nested more than 30 deep with its segments"):
        check_all(dict(list(chain.items())[::order]))
