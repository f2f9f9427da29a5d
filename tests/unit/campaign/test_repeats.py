"""When a repeating campaign comes round, over both changes of the clock and after a standstill."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign.repeats import after, caught_up, parse_repeat

HELSINKI = ZoneInfo("Europe/Helsinki")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def names(said: str, since: str, number: int = 3, zone: ZoneInfo = HELSINKI) -> list[str]:
    return [one.name for one in islice(after(parse_repeat(said), utc(since), zone), number)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("daily 09:00", ["2026-11-02T09:00", "2026-11-03T09:00", "2026-11-04T09:00"]),
        ("mon,thu 9:00", ["2026-11-02T09:00", "2026-11-05T09:00", "2026-11-09T09:00"]),
        ("weekdays 18:30", ["2026-11-02T18:30", "2026-11-03T18:30", "2026-11-04T18:30"]),
        ("Sun 00:00", ["2026-11-08T00:00", "2026-11-15T00:00", "2026-11-22T00:00"]),
        ("monthly 1,15 09:00", ["2026-11-15T09:00", "2026-12-01T09:00", "2026-12-15T09:00"]),
        ("monthly 31 09:00", ["2026-12-31T09:00", "2027-01-31T09:00", "2027-03-31T09:00"]),
        ("monthly last 09:00", ["2026-11-30T09:00", "2026-12-31T09:00", "2027-01-31T09:00"]),
    ],
)
def test_a_repeat_comes_round_on_its_days(said: str, expected: list[str]) -> None:
    assert expected == names(said, "2026-11-01T12:00")


def test_the_29th_of_february_comes_every_fourth_year() -> None:
    leaps = [name for name in names("monthly 29 09:00", "2026-01-01T00:00", 40) if name[5:7] == "02"]

    assert ["2028-02-29T09:00"] == leaps


def test_an_occurrence_is_due_when_the_shops_clock_shows_it() -> None:
    (first,) = islice(after(parse_repeat("mon 09:00"), utc("2026-11-01T12:00"), HELSINKI), 1)

    assert (utc("2026-11-02T07:00"), "2026-11-02T07:00:00+00:00") == (first.due_at, first.send_at)


def test_a_zone_of_its_own_stands_before_the_shops() -> None:
    (first,) = islice(after(parse_repeat("mon 09:00 America/New_York"), utc("2026-11-01T12:00"), HELSINKI), 1)

    assert utc("2026-11-02T14:00") == first.due_at


def test_everybodys_own_clock_is_planned_when_the_first_zone_gets_there() -> None:
    (first,) = islice(after(parse_repeat("mon 09:00 local"), utc("2026-11-01T12:00"), HELSINKI), 1)

    assert utc("2026-11-01T19:00") == first.due_at
    assert "2026-11-02 09:00 local" == first.send_at


def test_an_hour_that_comes_twice_is_one_occurrence_at_the_first_of_the_two() -> None:
    new_york = ZoneInfo("America/New_York")
    found = list(islice(after(parse_repeat("daily 01:30"), utc("2026-10-31T12:00"), new_york), 2))

    assert ["2026-11-01T01:30", "2026-11-02T01:30"] == [one.name for one in found]
    assert [utc("2026-11-01T05:30"), utc("2026-11-02T06:30")] == [one.due_at for one in found]


def test_an_hour_that_is_skipped_comes_right_after_the_gap() -> None:
    new_york = ZoneInfo("America/New_York")
    found = list(islice(after(parse_repeat("daily 02:30"), utc("2026-03-07T12:00"), new_york), 2))

    assert ["2026-03-08T02:30", "2026-03-09T02:30"] == [one.name for one in found]
    assert [utc("2026-03-08T07:00"), utc("2026-03-09T06:30")] == [one.due_at for one in found]


@pytest.mark.parametrize("zone", ["Europe/Helsinki", "America/New_York", "Asia/Tehran", "Australia/Lord_Howe", "UTC"])
def test_a_year_of_days_is_a_year_of_occurrences_whatever_the_clocks_do(zone: str) -> None:
    found = list(islice(after(parse_repeat("daily 02:15"), utc("2026-01-01T12:00"), ZoneInfo(zone)), 365))

    assert 365 == len({one.name for one in found})
    assert all(one.due_at < later.due_at for one, later in pairwise(found))


@given(moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)), hour=st.integers(0, 23))  # noqa: DTZ001
def test_whoever_asks_after_an_occurrence_gets_the_next_one(moment: datetime, hour: int) -> None:
    repeat = parse_repeat(f"mon,wed,sat {hour}:30")
    first, second = islice(after(repeat, moment.replace(tzinfo=UTC), HELSINKI), 2)

    assert second == next(after(repeat, first.due_at, HELSINKI))
    assert date.fromisoformat(first.name[:10]).weekday() in (0, 2, 5)


def test_after_a_standstill_only_the_latest_runs_and_the_others_are_missed() -> None:
    run, missed = caught_up(
        parse_repeat("daily 09:00"), utc("2026-11-01T12:00"), utc("2026-11-05T12:00"), HELSINKI, None
    )

    assert run is not None
    assert "2026-11-05T09:00" == run.name
    assert ["2026-11-02T09:00", "2026-11-03T09:00", "2026-11-04T09:00"] == [one.name for one in missed]


@pytest.mark.parametrize(("hours", "runs"), [(5, True), (4.9, False)])
def test_what_is_later_than_its_patience_is_missed_too(hours: float, runs: bool) -> None:
    run, missed = caught_up(
        parse_repeat("daily 09:00"),
        utc("2026-11-01T12:00"),
        utc("2026-11-02T12:00"),
        HELSINKI,
        timedelta(hours=hours),
    )

    assert runs == (run is not None)
    assert (not runs) == bool(missed)


def test_nothing_is_due_before_its_time() -> None:
    at = utc("2026-11-02T06:59")

    assert (None, []) == caught_up(parse_repeat("mon 09:00"), utc("2026-11-01T12:00"), at, HELSINKI, None)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("sometimes", "is no repeat"),
        ("09:00", "is no repeat"),
        ("monday 09:00", "is no repeat"),
        ("mon,fry 09:00", "'fry'"),
        ("monthly 32 09:00", "'32'"),
        ("daily 25:00", "no time of day"),
        ("daily 09:00 Europe/Helsinky", "did you mean 'Europe/Helsinki'"),
    ],
)
def test_what_is_no_repeat_is_told_with_the_cure(said: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_repeat(said)
