"""A campaign that somebody armed: every time it comes round is released once, or told as missed."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from story_shop import Shop

from engine import ledger, pipeline
from engine.errors import Refused
from engine.pipeline import Mailer

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)  # a Monday; the shop's clock shows UTC
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def armed(shop: Shop, repeat: str, at: datetime, more: str = "", tag: str = "few") -> Mailer:
    shop.campaign(tag, "weekly", f'repeat = "{repeat}"\n{more}')
    mailer = shop.open()
    assert pipeline.arm(mailer, "weekly", at) is not None
    return mailer


def ticked(mailer: Mailer, moments: Iterable[datetime]) -> None:
    for at in moments:
        pipeline.run_repeats(mailer, at)


def every(step: timedelta, first: datetime, last: datetime) -> Iterable[datetime]:
    while first <= last:
        yield first
        first += step


def released(mailer: Mailer) -> list[str]:
    return sorted(one.occurrence for one in ledger.plans_of(mailer.store, "weekly") if one.released_at)


def missed(mailer: Mailer) -> list[tuple[str, str]]:
    return sorted((one.occurrence, one.why) for one in ledger.missed_since(mailer.store, utc("2000-01-01")))


def messages(mailer: Mailer) -> int:
    plans = ledger.plans_of(mailer.store, "weekly")
    return sum(ledger.counts(mailer.store, one.id)["messages"] for one in plans if one.released_at)


def test_it_is_released_at_its_hour_and_not_before(shop: Shop) -> None:
    mailer = armed(shop, "mon 09:00", MONDAY - DAY)

    ticked(mailer, [MONDAY - timedelta(seconds=1)])
    assert [] == released(mailer)
    ticked(mailer, every(HOUR, MONDAY, MONDAY + 8 * DAY))
    assert ["2026-03-02T09:00", "2026-03-09T09:00"] == released(mailer)
    assert (50, []) == (messages(mailer), missed(mailer))


def test_after_a_days_outage_only_the_latest_goes_out(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR)

    ticked(mailer, [MONDAY + 3 * DAY + HOUR])

    assert ["2026-03-05T09:00"] == released(mailer)
    late = "a later one was due as well"
    assert [(f"2026-03-0{day}T09:00", late) for day in (2, 3, 4)] == missed(mailer)


@pytest.mark.parametrize(("lateness", "is_out"), [("2 hours", False), ("4 hours", True)])
def test_what_is_later_than_max_lateness_is_missed(sqlite_shop: Shop, lateness: str, is_out: bool) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR, f'max_lateness = "{lateness}"\n')

    ticked(mailer, [MONDAY + 3 * HOUR])

    assert (["2026-03-02T09:00"] if is_out else []) == released(mailer)
    assert ([] if is_out else [("2026-03-02T09:00", "nothing could release it within 2 hours")]) == missed(mailer)


def test_many_processes_may_tick(shop: Shop) -> None:
    armed(shop, "mon 09:00", MONDAY - DAY)
    together = Barrier(4)
    faults: list[BaseException] = []

    def tick(mailer: Mailer) -> None:
        together.wait()
        try:
            pipeline.run_repeats(mailer, MONDAY)
        except BaseException as fault:
            faults.append(fault)

    racers = [Thread(target=tick, args=(shop.open(),)) for _ in range(4)]
    for one in racers:
        one.start()
    for one in racers:
        one.join()

    mailer = shop.open()
    assert ([], ["2026-03-02T09:00"], 25, []) == (faults, released(mailer), messages(mailer), missed(mailer))


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("cut", ["freeze_plan", "ledger.release", "ledger.pass_schedule"])
@pytest.mark.parametrize("is_done", [False, True])
def test_a_process_that_dies_at_any_step_leaves_the_rest_to_the_next(
    sqlite_shop: Shop, monkeypatch: pytest.MonkeyPatch, cut: str, is_done: bool
) -> None:
    mailer = armed(sqlite_shop, "mon 09:00", MONDAY - DAY)
    owner, name = (ledger, cut.removeprefix("ledger.")) if cut.startswith("ledger.") else (None, cut)

    with monkeypatch.context() as patch:
        target: Any = owner or pytest.importorskip("engine.pipeline.repeating")
        patch.setattr(target, name, dies(getattr(target, name), after=is_done))
        with pytest.raises(Killed):
            ticked(mailer, [MONDAY])
    ticked(sqlite_shop.open(), [MONDAY + HOUR, MONDAY + 2 * HOUR])

    assert (["2026-03-02T09:00"], 25, []) == (released(mailer), messages(mailer), missed(mailer))


def dies(act: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """The real thing, and the process dies before or after it."""

    def killed(*args: Any, **kwargs: Any) -> None:
        if after:
            act(*args, **kwargs)
        raise Killed

    return killed


def test_while_it_is_paused_what_comes_round_is_told_as_missed(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR)

    pipeline.set_campaign_state(mailer, "weekly", "paused", "stocktaking", MONDAY - HOUR)
    ticked(mailer, [MONDAY])
    pipeline.set_campaign_state(mailer, "weekly", "running", "", MONDAY + HOUR)
    ticked(mailer, [MONDAY + HOUR, MONDAY + DAY])

    assert ["2026-03-03T09:00"] == released(mailer)
    assert [("2026-03-02T09:00", "the campaign was paused: paused by hand: stocktaking")] == missed(mailer)


def test_a_cancelled_campaign_comes_round_no_more(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR)

    pipeline.set_campaign_state(mailer, "weekly", "cancelled", "", MONDAY - HOUR)
    ticked(mailer, [MONDAY, MONDAY + DAY])

    assert ([], [], []) == (released(mailer), missed(mailer), ledger.schedules(mailer.store))


def test_a_broken_file_is_told_and_tried_again_until_it_is_too_late(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR, 'max_lateness = "2 hours"\n')
    file = sqlite_shop.folder / "campaigns" / "weekly.toml"
    sound = file.read_text()

    file.write_text(sound.replace("note", "gone"))
    ticked(mailer, [MONDAY, MONDAY + HOUR])
    [told] = ledger.schedules(mailer.store)
    file.write_text(sound)
    ticked(mailer, [MONDAY + 2 * HOUR])

    assert "there is no template 'gone'" in told.trouble
    assert (["2026-03-02T09:00"], "") == (released(mailer), ledger.schedules(mailer.store)[0].trouble)


def test_an_edited_repeat_waits_for_somebody_to_arm_it(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR)
    sqlite_shop.campaign("few", "weekly", 'repeat = "daily 10:00"\n')

    ticked(mailer, [MONDAY])
    assert "`mailer campaign start weekly` takes the file's over" in ledger.schedules(mailer.store)[0].trouble
    pipeline.arm(mailer, "weekly", MONDAY)
    ticked(mailer, [MONDAY + HOUR])

    assert ["2026-03-02T10:00"] == released(mailer)


def test_an_empty_audience_is_told_and_the_next_time_comes(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR, tag="nobody")

    ticked(mailer, [MONDAY])
    sqlite_shop.campaign("few", "weekly", 'repeat = "daily 09:00"\n')
    ticked(mailer, [MONDAY + DAY])

    assert ["2026-03-03T09:00"] == released(mailer)
    empty = "nobody to mail: 0 in the audience, 0 held out, skipped none"
    assert [("2026-03-02T09:00", empty)] == missed(mailer)


ZONES = ["Europe/Helsinki", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Tehran"]


CHANGES = [
    *((zone, day) for zone, day in zip(ZONES, ["03-26", "03-12", "04-02", "04-02", "02-29"], strict=True)),
    *((zone, day) for zone, day in zip(ZONES, ["10-29", "11-05", "10-01", "09-03", "03-20"], strict=True)),
]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_every_day_comes_round_once_where_clocks_change(sqlite_shop: Shop, zone: str, day: str) -> None:
    first = utc(f"2028-{day}T00:00:00") - 2 * DAY

    days = days_come_round(sqlite_shop, zone, "02:15", first, 4)

    assert len(days) in (3, 4, 5)
    assert [(datetime.fromisoformat(days[0]) + n * DAY).date().isoformat() for n in range(len(days))] == days


@pytest.mark.soak
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("hour", ["00:00", "01:30", "02:15", "03:00"])
def test_a_year_of_ticks_makes_every_day_come_round_once(sqlite_shop: Shop, zone: str, hour: str) -> None:
    days = days_come_round(sqlite_shop, zone, hour, utc("2027-12-31T00:00:00"), 367)

    assert (len(days), "2028-02-29") == (len(set(days)), days[days.index("2028-02-28") + 1])
    assert 366 <= len(days) <= 368


def days_come_round(shop: Shop, zone: str, hour: str, first: datetime, number: int) -> list[str]:
    """The days on which it came round, ticked six times a day by a machine whose clock is put back now and then."""
    mailer = armed(shop, f"daily {hour} {zone}", first, tag="nobody")
    moments = list(every(4 * HOUR, first, first + number * DAY))
    for place in range(7, len(moments), 10):
        moments[place] -= 6 * HOUR
    ticked(mailer, [*moments, first + number * DAY])
    return [name[:10] for name, _ in missed(mailer)]


def test_everybodys_own_clock_has_one_plan_and_hours_of_their_own(sqlite_shop: Shop) -> None:
    sqlite_shop.import_text(
        "contacts",
        "email,timezone,tags,mailing_consent,mailing_consent_at,consent_source\n"
        "a@shop.test,Pacific/Auckland,far,yes,2026-01-01,shop\n"
        "b@shop.test,America/Los_Angeles,far,yes,2026-01-01,shop\n",
    )
    mailer = armed(sqlite_shop, "mon 09:00 local", MONDAY - 2 * DAY, tag="far")

    ticked(mailer, every(HOUR, MONDAY - 2 * DAY, MONDAY + DAY))

    [plan] = [one for one in ledger.plans_of(mailer.store, "weekly") if one.released_at]
    hours = sorted(one.entry.send_at for one in ledger.entries_of(mailer.store, plan.id) if one.entry.send_at)
    assert ("2026-03-02T09:00", [utc("2026-03-01T20:00"), utc("2026-03-02T17:00")]) == (plan.occurrence, hours)


def test_a_hand_cannot_send_what_repeats_without_a_name_for_it(sqlite_shop: Shop) -> None:
    sqlite_shop.campaign("few", "weekly", 'repeat = "daily 09:00"\n')

    with pytest.raises(Refused, match="`mailer campaign start weekly` arms it"):
        pipeline.send(sqlite_shop.open(), "weekly", None, "once", MONDAY, lambda _: None, lambda _d, _t: None)


def test_between_two_times_it_has_not_ended(sqlite_shop: Shop) -> None:
    mailer = armed(sqlite_shop, "daily 09:00", MONDAY - HOUR)
    ticked(mailer, [MONDAY])
    [plan] = [one for one in ledger.plans_of(mailer.store, "weekly") if one.released_at]
    ledger.cancel(mailer.store, plan.id)  # nothing of it is left to do

    pipeline.tick(mailer)

    standing = ledger.state_of(mailer.store, "weekly")
    assert standing is not None
    assert "running" == standing.state.value
