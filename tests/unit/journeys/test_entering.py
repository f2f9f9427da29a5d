"""When somebody's day comes round, by her own clock: leap years, offsets, zones and both changes of the clock."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from entrance import by_day, by_event, by_segment, moment

from engine.journeys import comes_after, entry_of, is_held_out, last_come
from engine.journeys.definition import Start
from engine.journeys.entering import day_in, patience_of
from engine.links import Keys

UTC = ZoneInfo("UTC")


def start(**said: object) -> Start:
    return by_day(**said).start  # type: ignore[arg-type]


def after(day: date, at: str, zone: str = "UTC", **said: object) -> tuple[date, datetime] | None:
    found = comes_after(start(**said), day, ZoneInfo(zone), moment(at))
    return (found.day, found.due_at) if found else None


@pytest.mark.parametrize(
    ("zone", "hour"),
    [
        ("UTC", "2026-05-04 09:00"),
        ("Europe/Helsinki", "2026-05-04 06:00"),
        ("America/New_York", "2026-05-04 13:00"),
        ("Pacific/Kiritimati", "2026-05-03 19:00"),
        ("Australia/Lord_Howe", "2026-05-03 22:30"),
    ],
)
def test_a_day_comes_round_at_nine_by_her_own_clock(zone: str, hour: str) -> None:
    assert (date(2026, 5, 4), moment(hour)) == after(date(1990, 5, 4), "2026-03-01", zone)


@pytest.mark.parametrize(
    ("zone", "day", "hour", "due_at"),
    [  # the hour that spring skips comes at its end, the hour that autumn repeats at its first
        ("Europe/Helsinki", date(2026, 3, 29), "03:30", "2026-03-29 01:00"),
        ("Europe/Helsinki", date(2026, 10, 25), "03:30", "2026-10-25 00:30"),
        ("America/New_York", date(2026, 3, 8), "02:30", "2026-03-08 07:00"),
        ("America/New_York", date(2026, 11, 1), "01:30", "2026-11-01 05:30"),
        ("America/Santiago", date(2026, 9, 6), "00:30", "2026-09-06 04:00"),
        ("America/Santiago", date(2026, 4, 4), "23:30", "2026-04-05 02:30"),
        ("Australia/Lord_Howe", date(2026, 10, 4), "02:15", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", date(2026, 4, 5), "01:45", "2026-04-04 14:45"),
        ("Asia/Kolkata", date(2026, 3, 29), "02:30", "2026-03-28 21:00"),
    ],
)
def test_an_hour_that_a_clock_skips_or_repeats_comes_once(zone: str, day: date, hour: str, due_at: str) -> None:
    first = comes_after(start(at=hour), day, ZoneInfo(zone), moment("2026-01-15"))
    assert first is not None
    following = comes_after(start(at=hour), day, ZoneInfo(zone), first.due_at)

    assert moment(due_at) == first.due_at
    assert following is not None
    assert day.replace(year=2027) == following.day


def test_29_february_is_kept_on_the_28th_in_common_years() -> None:
    day, found, at = date(2000, 2, 29), [], moment("2026-01-01")
    for _ in range(4):
        come = comes_after(start(), day, UTC, at)
        assert come is not None
        found.append(come.day)
        at = come.due_at

    assert [date(2026, 2, 28), date(2027, 2, 28), date(2028, 2, 29), date(2029, 2, 28)] == found


def test_an_offset_counts_from_the_day_also_over_the_turn_of_the_year() -> None:
    week_before = start(offset=timedelta(days=-7))

    assert (date(2027, 1, 3), moment("2026-12-27 09:00")) == after(
        date(1990, 1, 3), "2026-06-01", offset=timedelta(days=-7)
    )
    assert (date(2025, 12, 30), moment("2026-01-06 09:00")) == after(
        date(1990, 12, 30), "2026-01-01", offset=timedelta(days=7)
    )
    assert "date/2027-01-03" == comes_after(week_before, date(1990, 1, 3), UTC, moment("2026-06-01")).cause  # type: ignore[union-attr]


def test_a_day_that_does_not_come_every_year_comes_once() -> None:
    assert (date(2026, 5, 4), moment("2026-05-04 09:00")) == after(date(2026, 5, 4), "2026-03-01", yearly=False)
    assert after(date(2026, 5, 4), "2026-05-04 09:00", yearly=False) is None


def test_a_day_that_lies_ahead_does_not_come_round_before_itself() -> None:
    assert (date(2028, 5, 4), moment("2028-05-04 09:00")) == after(date(2028, 5, 4), "2026-03-01")


def test_the_last_time_is_the_one_up_to_the_moment() -> None:
    assert last_come(start(), date(2026, 5, 4), UTC, moment("2026-05-04 08:59")) is None
    assert date(2026, 5, 4) == last_come(start(), date(1990, 5, 4), UTC, moment("2026-05-04 09:00")).day  # type: ignore[union-attr]
    assert date(2025, 5, 4) == last_come(start(), date(1990, 5, 4), UTC, moment("2026-05-04 08:59")).day  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-05-04", date(2026, 5, 4)),
        (" 2026-05-04T23:30:00+02:00 ", date(2026, 5, 4)),
        ("2026-02-30", None),
        ("04/05/2026", None),
        ("2026-05-04 soon", None),
        ("", None),
        (None, None),
    ],
)
def test_an_attribute_holds_a_day_where_it_reads_as_iso_8601(text: str | None, day: date | None) -> None:
    assert day == day_in(text)


def test_she_comes_in_by_her_segment_when_she_is_in_it_and_was_not() -> None:
    assert entry_of(by_segment(), False, True)
    assert not entry_of(by_segment(), True, True)
    assert not entry_of(by_segment(), True, False)
    assert not entry_of(by_event(), False, True)


def test_the_holdout_is_drawn_by_journey_and_contact_alone() -> None:
    keys = Keys(b"a secret of a test, 32 bytes long")
    drawn = {one for one in range(1, 4001) if is_held_out("story", 0.05, one, keys)}

    assert 150 < len(drawn) < 250
    assert drawn == {one for one in range(1, 4001) if is_held_out("story", 0.05, one, keys)}
    assert drawn != {one for one in range(1, 4001) if is_held_out("other", 0.05, one, keys)}


def test_three_days_are_waited_for_where_the_file_says_nothing() -> None:
    assert timedelta(days=3) == patience_of(by_event())
    assert timedelta(hours=1) == patience_of(by_event(max_lateness=timedelta(hours=1)))
