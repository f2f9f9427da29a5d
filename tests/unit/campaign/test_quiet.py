from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign import Quietness
from engine.config import Limits, Quiet
from engine.errors import BadConfig

HELSINKI, BERLIN, NEW_YORK, RIYADH = (
    ZoneInfo(name) for name in ("Europe/Helsinki", "Europe/Berlin", "America/New_York", "Asia/Riyadh")
)
NIGHT = {"quiet": {"hours": "21:00-08:00"}}


def quiet(**limits: Any) -> Quietness:
    return Quietness.of(Limits.model_validate(limits))


def legal(wall: str, zone: ZoneInfo, country: str = "", **limits: Any) -> str:
    """The first legal wall clock time from this one on."""
    at = datetime.fromisoformat(wall).replace(tzinfo=zone).astimezone(UTC)
    return f"{quiet(**limits).legal_from(country, zone, at).astimezone(zone):%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("2026-12-03 20:59", "2026-12-03 20:59"),
        ("2026-12-03 21:00", "2026-12-04 08:00"),
        ("2026-12-04 03:00", "2026-12-04 08:00"),
        ("2026-12-04 07:59", "2026-12-04 08:00"),
        ("2026-12-04 08:00", "2026-12-04 08:00"),
    ],
)
def test_quiet_hours_over_midnight_end_in_the_morning(asked: str, expected: str) -> None:
    assert expected == legal(asked, HELSINKI, **NIGHT)


@pytest.mark.parametrize(
    ("asked", "expected"), [("11:59", "11:59"), ("12:00", "14:00"), ("13:59", "14:00"), ("14:00", "14:00")]
)
def test_quiet_hours_within_a_day_end_on_that_day(asked: str, expected: str) -> None:
    assert f"2026-12-03 {expected}" == legal(f"2026-12-03 {asked}", HELSINKI, quiet={"hours": "12:00-14:00"})


def test_without_quiet_times_every_moment_is_legal() -> None:
    assert "2026-12-25 03:00" == legal("2026-12-25 03:00", BERLIN, "DE")
    assert not quiet().is_set
    assert quiet(**NIGHT).is_set


def test_each_contact_is_woken_by_her_own_clock() -> None:
    at = datetime(2026, 12, 3, 23, tzinfo=UTC)  # 1 o'clock in Helsinki, 18 o'clock in New York

    assert datetime(2026, 12, 4, 6, tzinfo=UTC) == quiet(**NIGHT).legal_from("FI", HELSINKI, at)
    assert at == quiet(**NIGHT).legal_from("US", NEW_YORK, at)


# Thursday 3 December 2026. Weekends: Friday and Saturday in Saudi Arabia and Israel, Saturday and Sunday in America.
@pytest.mark.parametrize(
    ("country", "days"),
    [
        ("SA", ["Thu", "Sun", "Sun", "Sun", "Mon", "Tue", "Wed"]),
        ("IL", ["Thu", "Sun", "Sun", "Sun", "Mon", "Tue", "Wed"]),
        ("US", ["Thu", "Fri", "Mon", "Mon", "Mon", "Tue", "Wed"]),
        ("", ["Thu", "Fri", "Mon", "Mon", "Mon", "Tue", "Wed"]),
        ("ZZ", ["Thu", "Fri", "Mon", "Mon", "Mon", "Tue", "Wed"]),
    ],
)
def test_nobody_is_mailed_on_the_weekend_of_her_country(country: str, days: list[str]) -> None:
    found = quiet(quiet={"weekends": True})
    noons = [datetime(2026, 12, day, 12, tzinfo=UTC) for day in range(3, 10)]

    assert days == [f"{found.legal_from(country, RIYADH, noon).astimezone(RIYADH):%a}" for noon in noons]


def test_a_weekend_that_a_country_moved_is_that_of_the_day_in_question() -> None:
    dubai = ZoneInfo("Asia/Dubai")  # Friday and Saturday until 2021, Saturday and Sunday since

    assert "2021-12-05 00:00" == legal("2021-12-03 12:00", dubai, "AE", quiet={"weekends": True})
    assert "2026-12-04 12:00" == legal("2026-12-04 12:00", dubai, "AE", quiet={"weekends": True})


@pytest.mark.parametrize(
    ("holiday", "next_day"),
    [
        ("2026-01-01", "2026-01-02"),
        ("2026-04-03", "2026-04-04"),
        ("2026-04-06", "2026-04-07"),
        ("2026-05-01", "2026-05-02"),
        ("2026-05-14", "2026-05-15"),
        ("2026-05-25", "2026-05-26"),
        ("2026-10-03", "2026-10-04"),
        ("2026-12-25", "2026-12-27"),
        ("2026-12-26", "2026-12-27"),
    ],
)
def test_the_nine_holidays_of_all_germany_are_quiet_to_their_last_minute(holiday: str, next_day: str) -> None:
    assert f"{next_day} 00:00" == legal(f"{holiday} 12:00", BERLIN, "DE", quiet={"holidays": True})
    eve = date.fromisoformat(holiday) - timedelta(days=1)
    if holiday != "2026-12-26":
        assert f"{eve} 23:59" == legal(f"{eve} 23:59", BERLIN, "DE", quiet={"holidays": True})


def test_no_other_day_of_the_year_is_a_holiday_of_all_germany() -> None:
    found = quiet(quiet={"holidays": True})
    noons = [datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=n) for n in range(365)]

    assert 9 == sum(not found.is_legal("DE", BERLIN, noon) for noon in noons)


def test_a_country_that_nobody_knows_has_no_holidays() -> None:
    assert "2026-12-25 12:00" == legal("2026-12-25 12:00", BERLIN, "ZZ", quiet={"holidays": True})
    assert "2026-12-25 12:00" == legal("2026-12-25 12:00", BERLIN, "", quiet={"holidays": True})


def test_weekend_and_holidays_and_hours_are_waited_for_one_after_the_other() -> None:
    everything = {"hours": "21:00-08:00", "weekends": True, "holidays": True}

    # Christmas Eve is a Thursday; Friday and Saturday are holidays, then comes Sunday.
    assert "2026-12-28 08:00" == legal("2026-12-24 22:00", BERLIN, "DE", quiet=everything)


HERE = {"hours": "21:00-08:00", "weekends": False, "holidays": True}


@pytest.mark.parametrize(
    ("key", "value", "asked", "expected"),
    [
        ("hours", "20:00-09:00", "2026-12-03 20:30", "2026-12-04 09:00"),
        ("hours", "", "2026-12-03 22:00", "2026-12-03 22:00"),
        ("weekends", True, "2026-12-05 12:00", "2026-12-07 08:00"),
        ("holidays", False, "2026-12-25 12:00", "2026-12-25 12:00"),
    ],
)
def test_a_country_may_say_each_key_otherwise(key: str, value: object, asked: str, expected: str) -> None:
    limits = {"quiet": HERE, "quiet_in": {"DE": {key: value}}}

    assert expected == legal(asked, BERLIN, "DE", **limits)
    assert legal(asked, BERLIN, "AT", quiet=HERE) == legal(asked, BERLIN, "AT", **limits)


def test_what_a_country_leaves_out_is_as_everywhere() -> None:
    assert "2026-12-04 08:00" == legal("2026-12-03 22:00", BERLIN, "DE", **NIGHT, quiet_in={"DE": {"weekends": True}})


def test_a_country_alone_may_be_quiet() -> None:
    only = quiet(quiet_in={"DE": {"hours": "21:00-08:00"}})

    assert only.is_set
    assert not only.is_legal("DE", BERLIN, datetime(2026, 12, 3, 22, tzinfo=UTC))
    assert only.is_legal("AT", BERLIN, datetime(2026, 12, 3, 22, tzinfo=UTC))


def test_the_29th_of_february_is_a_day_like_others() -> None:
    assert "2028-02-29 08:00" == legal("2028-02-28 22:00", HELSINKI, **NIGHT)
    assert "2028-03-01 08:00" == legal("2028-02-29 22:00", HELSINKI, **NIGHT)
    assert "2028-02-29 12:00" == legal("2028-02-29 12:00", HELSINKI, "FI", quiet={"weekends": True})


# Wall clocks go an hour on in spring and back in autumn, at another hour in each of these zones.
@pytest.mark.parametrize(
    ("zone", "spring", "autumn"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-10-25"),
        ("America/New_York", "2026-03-08", "2026-11-01"),
        ("Africa/Cairo", "2026-04-24", "2026-10-30"),
        ("Australia/Lord_Howe", "2026-10-04", "2026-04-05"),
        ("America/Santiago", "2026-09-06", "2026-04-05"),
    ],
)
@pytest.mark.parametrize("hours", ["21:00-08:00", "22:00-02:30", "23:30-01:15", "01:30-02:15", "00:30-23:30"])
def test_when_clocks_change_the_first_legal_minute_is_that_which_the_clock_shows(
    zone: str, spring: str, autumn: str, hours: str
) -> None:
    where, found = ZoneInfo(zone), quiet(quiet={"hours": hours})
    for day in (spring, autumn):
        start = datetime.combine(date.fromisoformat(day), time(), UTC) - timedelta(hours=30)
        minutes = [start + timedelta(minutes=n) for n in range(72 * 60)]
        legal_ones = [at for at in minutes if not _shows_quiet(at, where, hours)]
        for at in minutes[: 48 * 60 : 7]:
            assert next(one for one in legal_ones if one >= at) == found.legal_from("", where, at)


def _shows_quiet(at: datetime, zone: ZoneInfo, hours: str) -> bool:
    begin, end = hours.split("-")
    shown = f"{at.astimezone(zone):%H:%M}"
    return begin <= shown < end if begin < end else shown >= begin or shown < end


@given(
    at=st.integers(0, 3_000_000).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    zone=st.sampled_from([HELSINKI, NEW_YORK, RIYADH, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Pacific/Apia")]),
    country=st.sampled_from(["", "DE", "SA", "IL", "US", "FI"]),
    said=st.fixed_dictionaries(
        {
            "hours": st.sampled_from(["", "21:00-08:00", "00:00-23:59", "12:00-13:00"]),
            "weekends": st.booleans(),
            "holidays": st.booleans(),
        }
    ),
)
def test_the_moment_found_is_legal_and_not_before_the_one_asked_for(
    at: datetime, zone: ZoneInfo, country: str, said: dict[str, Any]
) -> None:
    found = quiet(quiet=said)

    moment = found.legal_from(country, zone, at)

    assert at <= moment <= at + timedelta(days=14)
    assert found.is_legal(country, zone, moment)
    assert moment == found.legal_from(country, zone, at + (moment - at) / 2)


# Many of the moments near a change of clocks; the last zone left out a day, the 30th of December 2011.
@given(
    near=st.sampled_from(
        [
            ("Europe/Berlin", "2026-03-29T01:00"),
            ("Europe/Berlin", "2026-10-25T01:00"),
            ("America/New_York", "2026-11-01T06:00"),
            ("Africa/Cairo", "2026-10-29T21:00"),
            ("America/Santiago", "2026-04-05T03:00"),
            ("Australia/Lord_Howe", "2026-10-03T15:30"),
            ("Pacific/Apia", "2011-12-30T10:00"),
        ]
    ),
    minutes=st.one_of(st.integers(-3000, 3000), st.integers(-300_000, 300_000)),
    odd=st.sampled_from([timedelta(), timedelta(seconds=17), timedelta(microseconds=-1)]),
    country=st.sampled_from(["", "DE", "IL"]),
    hours=st.sampled_from(["", "21:00-08:00", "22:00-02:30", "01:30-02:15", "18:00-00:00", "00:00-23:59"]),
    weekends=st.booleans(),
)
def test_what_is_remembered_of_days_is_what_the_clock_on_the_wall_shows(
    near: tuple[str, str], minutes: int, odd: timedelta, country: str, hours: str, weekends: bool
) -> None:
    zone = ZoneInfo(near[0])
    at = datetime.fromisoformat(near[1]).replace(tzinfo=UTC) + timedelta(minutes=minutes) + odd

    def is_quiet(moment: datetime) -> bool:
        days = (4, 5) if country == "IL" else (5, 6)
        day_off = weekends and moment.astimezone(zone).weekday() in days
        return day_off or bool(hours and _shows_quiet(moment, zone, hours))

    expected, minute = at, at.replace(second=0, microsecond=0)
    while is_quiet(expected):
        minute += timedelta(minutes=1)
        expected = minute
    found = quiet(quiet={"hours": hours, "weekends": weekends})
    assert expected == found.legal_from(country, zone, at)
    assert expected == found.legal_from(country, zone, at.astimezone(zone)).astimezone(UTC)


def test_what_is_remembered_ends_with_the_settings_it_was_found_by() -> None:
    night = datetime(2026, 12, 3, 22, tzinfo=UTC)

    assert not quiet(quiet={"hours": "21:00-08:00"}).is_legal("DE", BERLIN, night)
    assert quiet(quiet={"hours": "02:00-08:00"}).is_legal("DE", BERLIN, night)
    assert not quiet(quiet={"hours": "02:00-08:00"}, quiet_in={"DE": {"hours": "20:00-08:00"}}).is_legal(
        "DE", BERLIN, night
    )


def test_later_never_means_earlier() -> None:
    found = quiet(quiet={"hours": "20:00-09:00", "weekends": True, "holidays": True})
    days = [datetime(2026, 12, 1, tzinfo=UTC) + timedelta(hours=5 * n) for n in range(200)]

    moments = [found.legal_from("DE", BERLIN, at) for at in days]

    assert all(one <= other for one, other in pairwise(moments))


def test_a_country_that_is_always_quiet_is_told_and_not_waited_for() -> None:
    never = Quiet.model_construct(hours="08:00-08:00", weekends=False, holidays=False)
    found = Quietness.of(Limits.model_construct(quiet=never, quiet_in={}))

    with pytest.raises(BadConfig, match=r"nobody in DE may be mailed at any hour of a year; change \[limits"):
        found.legal_from("DE", BERLIN, datetime(2026, 12, 3, 9, tzinfo=UTC))
