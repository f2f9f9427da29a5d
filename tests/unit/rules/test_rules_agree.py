"""Every rule means the same in Python, in SQL on both databases, and inside a template."""

from datetime import timedelta
from typing import Any

from four_evaluators import (
    AT,
    ATTRIBUTES,
    FLAGS,
    LISTS,
    LOOSE,
    MOMENTS,
    NUMBERS,
    SEGMENTS,
    TEXTS,
    Databases,
    PeopleColumns,
    in_python,
    in_sql,
    in_template,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from engine.model import Profile
from engine.rules import check, to_sql
from engine.rules.wording import quoted, words

# ---------------------------------------------------------------- people

words_of_people = st.sampled_from(
    ["a", "b", "B", "ab", "é", "Å", "vip", "Vip", "￿", "😀", "a b", "it's", "%", "\\", ""]
)
loose_words = st.sampled_from(["12", "7", "-3", "2.50", "1e3", " 5 ", "abc", "0", "-0", "1e300", "12,5", "vip", ""])
small_numbers = st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 3.0, -1.0, 2.5, -7.5, 0.1, 0.3, 90.0, 1e20, -1e20, 1e-20, 2.0**53]),
    st.floats(-1e20, 1e20).filter(lambda number: number == 0 or abs(number) >= 1e-20),
)
moments_of_people = st.sampled_from(
    [AT - timedelta(days=days, microseconds=micros) for days in (0, 1, 59, 90, 400) for micros in (-1, 0, 1)]
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), strategy)


profiles = st.builds(
    Profile,
    contact_id=st.just(1),
    given_name=maybe(words_of_people),
    country=maybe(words_of_people),
    company_size=maybe(loose_words),
    attributes=st.dictionaries(st.sampled_from(list(ATTRIBUTES.values())), loose_words),
    age=maybe(st.integers(0, 120)),
    orders_count=st.one_of(st.integers(0, 5), st.integers(-(2**53), 2**53)),
    revenue=small_numbers,
    usual_gap_days=maybe(small_numbers),
    average_order=maybe(small_numbers),
    mailing_consent=maybe(st.booleans()),
    tracking_consent=maybe(st.booleans()),
    created_at=maybe(moments_of_people),
    last_order_at=maybe(moments_of_people),
    tags=st.lists(words_of_people, max_size=3).map(tuple),
    interests=st.lists(words_of_people, max_size=2).map(tuple),
)

# ---------------------------------------------------------------- rules, as text

text_literals = st.sampled_from(["a", "b", "B", "ab", "é", "vip", "￿", "😀", "it's", "%", "\\", "12", "7"]).map(quoted)
number_literals = st.one_of(
    st.sampled_from("0 1 2 3 7 12 90 2.5 0.1 -1 -3 -7.5 1e3 1e20 1e-20 9007199254740992".split()),
    st.integers(-100, 100).map(str),
)
flags = st.sampled_from([*FLAGS, "true", "false", "(mailing_consent | default(true))"])
texts = st.one_of(st.sampled_from(TEXTS), text_literals, st.just("(given_name | default(country))"))
defaults = st.one_of(text_literals, number_literals)
loose = st.one_of(
    st.sampled_from(LOOSE),
    st.builds("({} | default({}))".format, st.sampled_from(LOOSE), st.one_of(defaults, st.sampled_from(LOOSE))),
)
moments = st.one_of(
    st.sampled_from(MOMENTS),
    st.sampled_from(["ago('90 days')", "ago('1 day')", "ago('0 minutes')", "date('2026-01-01')", "date('2024-02-29')"]),
    st.just("(last_order_at | default(created_at))"),
    st.just("(created_at | default(date('2025-12-01')))"),
)
plain_numbers = st.one_of(st.sampled_from(NUMBERS), number_literals, loose)


def computed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({} % {})".format, plain_numbers, plain_numbers),
        st.builds("(({} * {}) % {})".format, plain_numbers, plain_numbers, plain_numbers),
        st.builds("(-({}))".format, inner),
        st.builds("({} | default({}))".format, st.sampled_from(NUMBERS), number_literals),
        st.builds("(({} / {}) | default({}))".format, inner, inner, number_literals),
    )


numbers = st.recursive(plain_numbers, computed, max_leaves=4)
equals = st.sampled_from(["==", "!="])
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
membership = st.sampled_from(["in", "not in"])
anything = st.one_of(texts, numbers, flags, moments, loose)


def lists_of(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(strategy, max_size=4).map(lambda items: f"[{', '.join(items)}]")


atoms = st.one_of(
    st.builds("{} {} {}".format, texts, operators, st.one_of(texts, loose)),
    st.builds("{} {} {}".format, numbers, operators, st.one_of(numbers, loose)),
    st.builds("{} {} {}".format, loose, operators, st.one_of(loose, texts, numbers)),
    st.builds("{} {} {}".format, flags, equals, flags),
    st.builds("{} {} {}".format, moments, operators, moments),
    st.builds("{} {} {}".format, texts, membership, lists_of(st.one_of(texts, loose))),
    st.builds("{} {} {}".format, numbers, membership, lists_of(st.one_of(numbers, loose))),
    st.builds("{} {} {}".format, loose, membership, lists_of(st.one_of(loose, texts, numbers))),
    st.builds("{} {} {}".format, flags, membership, lists_of(flags)),
    st.builds("{} {} {}".format, moments, membership, lists_of(moments)),
    st.builds("{} {} {}".format, st.one_of(texts, loose), membership, st.sampled_from(LISTS)),
    st.builds("{} {} {}".format, st.one_of(texts, loose), membership, st.one_of(texts, loose)),
    st.builds("{} is {}".format, anything, st.sampled_from(["missing", "not missing"])),
    st.builds("{} {} []".format, st.sampled_from(LISTS), equals),
    st.builds("{} < {} <= {}".format, numbers, numbers, numbers),
    st.builds("{} <= {} < {}".format, moments, moments, moments),
    st.builds("segment({})".format, st.sampled_from(["'one'", "'two'"])),
    flags,
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {} or {})".format, inner, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sources=st.lists(conditions, min_size=1, max_size=6), everybody=st.lists(profiles, min_size=1, max_size=5))
def test_a_rule_means_the_same_in_python_sql_and_templates(
    databases: Databases, sources: list[str], everybody: list[Profile]
) -> None:
    rules = [check(source, segments=SEGMENTS) for source in sources]

    expected = in_python(rules, everybody)

    assert expected == in_sql(databases.sqlite, rules, everybody)
    assert expected == in_sql(databases.postgresql, rules, everybody)
    assert expected == in_template(rules, everybody)


@settings(max_examples=200)
@given(source=conditions)
def test_the_text_of_a_rules_tree_reads_as_the_same_rule(source: str) -> None:
    tree = check(source, segments=SEGMENTS).tree

    assert tree == check(words(tree), segments=SEGMENTS).tree


def test_a_rule_compiles_for_both_databases_without_a_connection() -> None:
    condition = to_sql(check("given_name < 'b' and 'vip' in tags and age % 2 == 1"), PeopleColumns(), AT)

    assert 'COLLATE "C"' in str(condition.compile(dialect=postgresql.dialect()))
    assert "json_each" in str(condition.compile(dialect=sqlite.dialect()))
