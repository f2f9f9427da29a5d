"""Until a rule's next change nothing changes: seen through the engine's own profiles, as of every moment in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_shop import SmallShop, moment

from engine import audience, rules
from engine.audience.turning import next_birthday
from engine.rules.wording import quoted
from engine.store import Store, open_store, upgrade

AT = moment("2026-03-01 12:00")
SEGMENTS = {
    "late": rules.check("days_since_last_order > 2 * usual_gap_days"),
    "young": rules.check("age < 30 or not segment('late')", segments=["late"]),
}
ZONES = ["UTC", "Europe/Helsinki", "America/New_York", "America/Santiago", "Australia/Lord_Howe"]

# ---------------------------------------------------------------- rules that time moves

days = st.integers(0, 60).map(str)
turning = ["age", "days_since_last_order", "recency_score", "sent_30d", "human_clicks_30d"]
still = ["orders_count", "usual_gap_days", "(2 * usual_gap_days)", "attributes.limit", "2.5"]
computed = ["(days_since_last_order - age)", "(days_since_last_order % 7)", "(10 / days_since_last_order)"]
numbers = st.one_of(st.sampled_from([*turning, *still, *computed, "(days_since_last_order | default(7))"]), days)
fields = ["created_at", "first_order_at", "last_order_at", "last_sent_at", "last_click_at"]
agos = st.one_of(
    st.builds("ago('{} days')".format, st.integers(0, 60)), st.builds("ago('{} hours')".format, st.integers(0, 99))
)
moments = st.one_of(
    st.sampled_from(fields), agos, st.just("date('2026-02-20')"),
    st.builds("({} | default({}))".format, st.sampled_from(fields), agos),
)  # fmt: skip
stages = st.sampled_from(["prospect", "new", "active", "at_risk", "lapsed", "lost"])
operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
# What is likely to change within weeks, each against figures that people have.
likely = st.one_of(
    st.builds(
        "{} {} {}".format,
        st.sampled_from(["sent_30d", "human_clicks_30d", "recency_score"]),
        operators,
        st.integers(0, 4),
    ),
    st.builds("age {} {}".format, operators, st.integers(13, 37)),
    st.builds("days_since_last_order {} {}".format, operators, days),
)
atoms = st.one_of(
    likely,
    likely,
    st.builds("{} {} {}".format, numbers, operators, numbers),
    st.builds("{} {} {}".format, moments, operators, moments),
    st.builds("lifecycle == {}".format, stages.map(quoted)),
    st.builds("lifecycle in [{}]".format, st.lists(stages.map(quoted), min_size=1, max_size=3).map(", ".join)),
    st.builds("{} in [{}]".format, numbers, st.lists(numbers, min_size=1, max_size=3).map(", ".join)),
    st.builds("{} not in [{}]".format, moments, st.lists(moments, min_size=1, max_size=3).map(", ".join)),
    st.builds("({}) is missing".format, st.one_of(moments, numbers)),
    st.sampled_from(["segment('late')", "segment('young')", "'vip' in tags"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=5,
)
ago = st.integers(0, 45 * 24 * 60).map(lambda minutes: AT - timedelta(minutes=minutes))
round_ago = st.integers(0, 45).map(lambda number: AT - timedelta(days=number))
pasts = st.lists(st.one_of(ago, round_ago), max_size=4)
borns = st.one_of(
    st.none(),
    st.dates(date(1990, 1, 1), date(2012, 12, 31)),
    st.sampled_from([date(1996, 2, 29), date(1996, 3, 1), date(1996, 3, 2)]),
)


@contextmanager
def stores() -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'mailer.db'}"
        upgrade(url)
        store = open_store(url)
        yield store
        store.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[SmallShop]:
    with stores() as store:
        yield SmallShop(store)


def fill(shop: SmallShop, number: int, born: date | None, told: tuple[list[datetime], ...]) -> None:
    """One more contact, known by nobody's rule before."""
    ordered, sent, clicked = told
    with shop.at_once():
        shop.contact(number, birth_date=born, created_at=AT - timedelta(days=20), tags=["vip"] * (number % 2))
        shop.attribute(number, "limit", "14", 14.0)
        for one in ordered:
            shop.order(number, one)
        mailed = [shop.message(number, one.replace(tzinfo=None).isoformat()) for one in sent]
        for one in clicked if mailed else ():
            shop.hit(mailed[0], one.replace(tzinfo=None).isoformat())


def in_between(until: datetime | None, marks: list[datetime]) -> list[datetime]:
    """Moments at which a wrong answer would show: each round number of hours beside what happened, and the end."""
    last = until or AT + timedelta(days=500)
    near = [
        one + timedelta(days=n, microseconds=d) for one in marks for n in (1, 7, 14, 30, 31, 60) for d in (-1, 0, 1)
    ]
    steps = [AT + timedelta(hours=9 * n) for n in range(1, 40)]
    yearly = [AT + timedelta(days=n) for n in range(16, 500, 11)]
    chosen = sorted({one for one in (*near, *steps, *yearly) if AT < one < last})
    first, end = AT + timedelta(microseconds=1), last - timedelta(microseconds=1)
    # A rule may hold at one moment alone: then there is nothing in between.
    return [one for one in (first, *chosen[:: max(1, len(chosen) // 12)], end) if AT < one < last]


def test_a_rule_that_holds_at_one_moment_alone_has_nothing_in_between() -> None:
    assert [] == in_between(AT + timedelta(microseconds=1), [])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources=st.lists(st.one_of(conditions, atoms), min_size=8, max_size=8),
    born=borns,
    told=st.tuples(pasts, pasts, pasts),
    zone=st.sampled_from(ZONES),
)
def test_until_its_next_change_a_rule_says_the_same(
    shop: SmallShop, sources: list[str], born: date | None, told: tuple[list[datetime], ...], zone: str
) -> None:
    there = ZoneInfo(zone)
    number = _next_number(shop)
    fill(shop, number, born, told)
    audience.refresh(shop.store, AT, there)
    checked = [rules.check(source, segments=SEGMENTS) for source in sources]
    names = frozenset[str]().union(*(rules.fields_read(rule, SEGMENTS) for rule in checked))
    (seen,) = audience.foreseen(shop.store, [number], AT, there, "EUR", names)

    looks = [rules.outlook(rule, seen.profile, AT, seen.turns.get, SEGMENTS) for rule in checked]

    assert [rules.evaluate(rule, seen.profile, AT, SEGMENTS) for rule in checked] == [one.holds for one in looks]
    marks = [*told[0], *told[1], *told[2], AT - timedelta(days=20)]
    wanted = [(look, rule, in_between(look.until, marks)) for look, rule in zip(looks, checked, strict=True)]
    profiles = {at: _profile(shop, number, at, there) for at in {one for _, _, moments in wanted for one in moments}}
    for look, rule, between in wanted:
        for at in between:
            assert look.holds is rules.evaluate(rule, profiles[at], at, SEGMENTS), (rule.source, at, look.until)


def _next_number(shop: SmallShop) -> int:
    with shop.store.read() as db:
        return (db.exec_driver_sql("SELECT max(id) FROM contact").scalar() or 0) + 1


def _profile(shop: SmallShop, number: int, at: datetime, zone: ZoneInfo):  # type: ignore[no-untyped-def]
    (who,) = audience.profiles(shop.store, [number], at, zone, "EUR")
    return who


# ---------------------------------------------------------------- each field's own turn


@pytest.mark.parametrize(
    ("name", "turns_at"),
    [
        ("recency_score", "2026-03-02 08:30"),  # the first cut is her own 19 days: her 20th is beyond it
        ("lifecycle", "2026-03-21 08:30"),  # more than two of her intervals of 19 days
        ("sent_30d", "2026-03-12 10:00"),
        ("human_clicks_30d", "2026-03-14 11:00"),
        ("age", "2026-05-04 00:00"),
        ("last_sent_at", None),
    ],
)
def test_a_field_turns_exactly_when_it_is_said_to(sqlite_store: Store, name: str, turns_at: str | None) -> None:
    shop, zone = SmallShop(sqlite_store), ZoneInfo("UTC")
    shop.contact(1, birth_date=date(1990, 5, 4))
    shop.order(1, "2026-01-22 08:30")
    shop.order(1, "2026-02-10 08:30")
    shop.hit(shop.message(1, "2026-02-10 10:00"), "2026-02-12 11:00")
    for one, bought in enumerate(["2026-02-09 12:00", "2026-01-20 12:00", "2026-01-10 12:00", "2026-01-01 12:00"], 2):
        shop.contact(one)
        shop.order(one, bought)
    audience.refresh(sqlite_store, AT, zone)

    (seen,) = audience.foreseen(sqlite_store, [1], AT, zone, "EUR", list(rules.TURNING))

    moment_of_turn = None if turns_at is None else moment(turns_at)
    assert moment_of_turn == seen.turns.get(name)
    if moment_of_turn is not None:
        just_before = _profile(shop, 1, moment_of_turn - timedelta(microseconds=1), zone)
        assert getattr(seen.profile, name) == getattr(just_before, name)
        assert getattr(just_before, name) != getattr(_profile(shop, 1, moment_of_turn, zone), name)


# ---------------------------------------------------------------- birthdays


@pytest.mark.parametrize(
    ("born", "at", "zone", "next_one"),
    [
        (date(2000, 5, 4), "2026-05-03 12:00", "UTC", "2026-05-04 00:00"),
        (date(2000, 5, 4), "2026-05-04 00:00", "UTC", "2027-05-04 00:00"),
        (date(2000, 5, 4), "2026-05-03 12:00", "America/New_York", "2026-05-04 04:00"),
        (date(2000, 2, 29), "2026-02-28 12:00", "UTC", "2026-03-01 00:00"),
        (date(2000, 2, 29), "2028-02-28 12:00", "UTC", "2028-02-29 00:00"),
        (date(2027, 5, 4), "2026-05-04 12:00", "UTC", "2027-05-04 00:00"),
    ],
)
def test_an_age_grows_at_the_local_midnight_of_the_birthday(born: date, at: str, zone: str, next_one: str) -> None:
    assert moment(next_one) == next_birthday(born, moment(at), ZoneInfo(zone))
