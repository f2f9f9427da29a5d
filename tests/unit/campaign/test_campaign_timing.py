from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.campaign import due_times, zone_of
from engine.campaign.timing import instant, parse_send_at
from engine.campaign.zones import _REGIONS
from engine.model import Profile

HELSINKI, NEW_YORK, KIRITIMATI, UTC_ZONE = (
    ZoneInfo(name) for name in ("Europe/Helsinki", "America/New_York", "Pacific/Kiritimati", "UTC")
)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("send_at", "expected"),
    [
        ("now", {HELSINKI: AT, NEW_YORK: AT}),
        ("2026-12-03T09:00+02:00", dict.fromkeys((HELSINKI, NEW_YORK), utc("2026-12-03 07:00"))),
        ("2026-12-03T09:00", dict.fromkeys((HELSINKI, NEW_YORK), utc("2026-12-03 14:00"))),  # the shop is in New York
        ("2026-12-03 09:00 local", {HELSINKI: utc("2026-12-03 07:00"), NEW_YORK: utc("2026-12-03 14:00")}),
        ("2026-03-01 13:00 local", {HELSINKI: AT, NEW_YORK: utc("2026-03-01 18:00")}),  # past in Helsinki: at once
        ("09:00 local", {HELSINKI: utc("2026-03-02 07:00"), NEW_YORK: utc("2026-03-02 14:00")}),  # over in Helsinki
        ("15:00 local", {HELSINKI: utc("2026-03-01 13:00"), NEW_YORK: utc("2026-03-01 20:00")}),
        ("2026-02-01T09:00Z", dict.fromkeys((HELSINKI, NEW_YORK), AT)),
    ],
)
def test_each_form_of_send_at_gives_its_instants(send_at: str, expected: dict[ZoneInfo, datetime]) -> None:
    assert expected == due_times(send_at, AT, [HELSINKI, NEW_YORK], NEW_YORK)


def test_a_local_hour_waits_for_the_zone_that_is_furthest_ahead() -> None:
    evening = utc("2026-03-01 20:00")  # 10:00 on 2 March in Kiritimati

    due = due_times("09:00 local", evening, [KIRITIMATI, HELSINKI])

    assert {KIRITIMATI: utc("2026-03-02 19:00"), HELSINKI: utc("2026-03-03 07:00")} == due


def test_an_hour_that_strikes_right_now_is_no_longer_ahead() -> None:
    assert {HELSINKI: AT + timedelta(days=1)} == due_times("14:00 local", AT, [HELSINKI])


def test_an_hour_that_a_zone_skips_means_the_end_of_the_gap() -> None:
    assert utc("2026-03-29 01:00") == instant(wall("2026-03-29 03:30"), HELSINKI)
    assert utc("2026-03-29 00:59") == instant(wall("2026-03-29 02:59"), HELSINKI)
    assert utc("2026-03-29 01:00") == instant(wall("2026-03-29 04:00"), HELSINKI)


def test_an_hour_that_comes_twice_means_the_first() -> None:
    assert utc("2026-10-25 00:30") == instant(wall("2026-10-25 03:30"), HELSINKI)


def test_of_an_hour_that_comes_twice_the_first_is_meant_whichever_was_asked_for_before() -> None:
    twice = wall("2026-10-25 02:30")  # what an instant was found for is remembered, and these two are equal as keys

    for asked in (twice.replace(fold=1), twice, twice.replace(fold=1)):
        assert utc("2026-10-25 00:30") == instant(asked, ZoneInfo("Europe/Berlin"))


def test_a_day_that_a_zone_skipped_means_its_next_midnight() -> None:
    # Samoa crossed the date line: 30 December 2011 did not happen there.
    assert utc("2011-12-30 10:00") == instant(wall("2011-12-30 09:00"), ZoneInfo("Pacific/Apia"))


@given(
    name=st.sampled_from(sorted(available_timezones())),
    shown=st.datetimes(wall("2000-01-01"), wall("2036-12-31")).map(lambda one: one.replace(second=0, microsecond=0)),
)
def test_an_instant_is_the_first_at_which_the_wall_clock_shows_the_hour_or_more(name: str, shown: datetime) -> None:
    zone = ZoneInfo(name)

    found = instant(shown, zone)

    assert found.astimezone(zone).replace(tzinfo=None) >= shown
    just_before = (found - timedelta(microseconds=1)).astimezone(zone).replace(tzinfo=None)
    assert just_before < shown


@given(
    names=st.lists(st.sampled_from(sorted(available_timezones())), min_size=1, max_size=4),
    at=st.datetimes(wall("2025-01-01"), wall("2027-01-01"), timezones=st.just(UTC)),
    hour=st.times().map(lambda one: time(one.hour, one.minute)),
)
def test_a_local_hour_is_ahead_for_everyone_on_the_first_date_that_allows_it(
    names: list[str], at: datetime, hour: time
) -> None:
    zones = {ZoneInfo(name) for name in names}

    due = due_times(f"{hour:%H:%M} local", at, zones)

    assert all(at < moment <= at + timedelta(days=3) for moment in due.values())
    day_of = {zone: moment.astimezone(zone).date() for zone, moment in due.items()}
    the_day = min(day_of.values())  # a gap over midnight may end on the next date
    earlier = [instant(datetime.combine(the_day - timedelta(days=1), hour), zone) for zone in zones]
    assert any(moment <= at for moment in earlier)


@pytest.mark.parametrize(
    "text", ["", "soon", "25:00 local", "9 local", "2026-02-30 09:00 local", "2026-12-03", "0001-01-01 09:00 local"]
)
def test_what_is_no_time_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="write now, "):
        parse_send_at(text)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, "Europe/Paris"),
        ({"country": "FI"}, "Europe/Helsinki"),
        ({"country": "fi "}, "Europe/Helsinki"),
        ({"country": "Finland"}, "Europe/Helsinki"),
        ({"country": "uk"}, "Europe/London"),
        ({"country": "DE"}, "Europe/Berlin"),
        ({"country": "US"}, "America/New_York"),
        ({"country": "AU"}, "Australia/Sydney"),
        ({"country": "RU"}, "Europe/Moscow"),
        ({"country": "US", "region": "CA"}, "America/Los_Angeles"),
        ({"country": "US", "region": "US-TX"}, "America/Chicago"),
        ({"country": "US", "region": "north carolina"}, "America/New_York"),
        ({"country": "CA", "region": "BC"}, "America/Vancouver"),
        ({"country": "FI", "region": "CA"}, "Europe/Helsinki"),
        ({"country": "US", "timezone": "Asia/Tokyo"}, "Asia/Tokyo"),
        ({"timezone": "asia/tokyo"}, "Asia/Tokyo"),
        ({"country": "FI", "timezone": "Mars/Olympus"}, "Europe/Helsinki"),
        ({"country": "Atlantis"}, "Europe/Paris"),
        ({"region": "CA"}, "Europe/Paris"),
        ({"timezone": "../etc/passwd"}, "Europe/Paris"),
    ],
)
def test_a_contacts_zone_is_her_own_else_her_regions_else_her_countrys_else_the_shops(
    where: dict[str, str], expected: str
) -> None:
    assert expected == zone_of(Profile(contact_id=1, **where), ZoneInfo("Europe/Paris")).key  # type: ignore[arg-type]


def test_every_region_has_a_zone_that_exists() -> None:
    assert {zone for zones in _REGIONS.values() for zone in zones} <= available_timezones()
