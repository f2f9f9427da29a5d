"""The simulator's mails against those of the live engine over a real base in virtual time, where behaviour is fixed."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from living_shop import BEGIN, Click, Deed, LiveShop, Scripted, Story

from engine import ledger
from engine.journeys.simulating.beginnings import read_beginnings
from engine.journeys.simulating.counting import Tally
from engine.journeys.simulating.crowd import read_crowd
from engine.journeys.simulating.programme import load_programme
from engine.journeys.simulating.stage import Stage
from engine.journeys.simulating.world import run_world
from engine.pipeline import Mailer
from engine.store import from_micros
from engine.store.tables import message, plan, plan_entry

Mailed = tuple[str, int, datetime]
ZONES = ("Europe/Helsinki,FI", "America/New_York,US", "Asia/Tokyo,JP", ",")
WELCOME = """
start = { segment = "fans" }
existing = true
goal = "event:joined"
[[step]]
id = "hello"
send = "note"
[[step]]
id = "rest"
wait = "3 days"
[[step]]
id = "bought"
branch = [{ if = "orders_count > 1", to = "end" }, { clicked = "hello", to = "warm" }, { to = "story" }]
[[step]]
id = "warm"
tag = "keen"
to = "story"
[[step]]
id = "story"
send = "note"
send_at = "09:00 local"
"""
AFTER = """
start = { order = true }
reentry = "2 days"
goal = "event:review"
[[step]]
id = "await"
until_event = "event:parcel"
at_most = "4 days"
then = "ask"
otherwise = "sorry"
[[step]]
id = "ask"
send = "note"
to = "end"
[[step]]
id = "sorry"
until = "tue 09:00 local"
[[step]]
id = "mail"
send = "note"
"""
LAPSED = """
start = { segment = "quiet" }
reentry = "5 days"
holdout = 0.3
[[step]]
id = "first"
send = "note"
[[step]]
id = "lot"
split = [{ name = "a", share = 0.5, to = "soon" }, { name = "b", share = 0.5, to = "late" }]
[[step]]
id = "soon"
wait = "2 days"
to = "again"
[[step]]
id = "late"
wait = "6 days"
[[step]]
id = "again"
send = "note"
"""
KEEN = """
start = { segment = "keen" }
[[step]]
id = "thanks"
send = "note"
"""
CLICKED = """
start = { segment = "fans" }
existing = true
[[step]]
id = "hello"
send = "note"
[[step]]
id = "rest"
wait = "2 days"
[[step]]
id = "did"
branch = [{ clicked = "hello", to = "thanks" }, { to = "end" }]
[[step]]
id = "thanks"
send = "note"
"""
BIRTHDAY = """
start = { date = "birth_date", at = "10:30" }
[[step]]
id = "cheers"
send = "note"
"""
WEEKLY = """
segment = "fans"
template = "note"
repeat = "wed,fri 08:00 local"
priority = 5
holdout = 0.2
"""
MORNINGS = """
where = "orders_count >= 1"
exclude = "'fan' in tags"
template = "note"
repeat = "weekdays 06:30"
"""


LITTLE_ROOM = """
[limits]
messages_per_day = 1
messages_per_7_days = 3
[limits.quiet]
hours = "20:00-08:30"
weekends = true
"""
PEOPLE, DAYS = 24, 9


def people(number: int) -> list[str]:
    """Rows of a contacts file: where they live, what they are tagged, and whether they agreed."""
    tags = ("fan", "", "fan;old", "other")
    consents = ("yes", "yes", "yes", "no", "yes")
    rows = []
    for n in range(number):
        consent, born = consents[n % 5], f"19{70 + n % 20}-03-{n % 27 + 1:02}"
        rows.append(f"{ZONES[n % 4]},{tags[n // 2 % 4]},{consent},{'form' if consent == 'yes' else ''},yes,{born}")
    return rows


def deeds(number: int) -> list[Deed]:
    """Orders, parcels, reviews and opt-outs at odd minutes, by a fixed rule."""
    found = []
    for n in range(1, number + 1):
        first = BEGIN + timedelta(days=n % 9, hours=n % 7, minutes=3 * n + 1)
        if n % 3:
            found.append(Deed(who=n, at=first))
            found.append(Deed(who=n, at=first + timedelta(days=5, minutes=7)))
        if n % 4 == 1:
            found.append(Deed(who=n, at=first + timedelta(days=2, minutes=11), what="parcel"))
        if n % 5 == 2:
            found.append(Deed(who=n, at=first + timedelta(days=1, minutes=29), what="joined"))
        if n % 7 == 3:
            found.append(Deed(who=n, at=first + timedelta(days=3, minutes=17), what="review"))
        if n % 11 == 5:
            found.append(Deed(who=n, at=first + timedelta(days=4, minutes=41), what="opt_out"))
    return found


def story(folder: Path, limits: str = "") -> Story:
    clicks = [Click(who=n, mail="welcome/hello", nth=1, after=timedelta(hours=n, minutes=n)) for n in range(1, 40, 3)]
    return Story(
        folder=folder / "shop",
        people=people(PEOPLE),
        segments={
            "fans": "'fan' in tags",
            "quiet": "days_since_last_order >= 6",
            "keen": "'keen' in tags and orders_count >= 1",
        },
        journeys={"welcome": WELCOME, "after": AFTER, "lapsed": LAPSED, "keen": KEEN, "birthday": BIRTHDAY},
        campaigns={"weekly": WEEKLY, "mornings": MORNINGS},
        deeds=deeds(PEOPLE),
        clicks=clicks,
        limits=limits,
    )


def simulated(told: Story, mailer: Mailer, days: int, at: datetime = BEGIN) -> Tally:
    programme = load_programme(mailer, at, days, all_files=True)
    crowd = read_crowd(mailer, at, names=programme.names, kinds=programme.kinds)
    stage = Stage(mailer, crowd, programme)
    beginnings = read_beginnings(mailer, programme, at)
    return run_world(stage, Scripted(told, crowd), beginnings, days, log=True)


def skips(mailer: Mailer) -> Counter[tuple[str, str]]:
    """Of which campaign or step who was not mailed, and why: when it was planned, or just before the dot."""
    planned = sa.select(plan.c.campaign, plan_entry.c.reason).join(plan, plan.c.id == plan_entry.c.plan_id)
    with mailer.store.read() as db:
        found = Counter(tuple(row) for row in db.execute(planned.where(plan_entry.c.state == "skipped")))
        late = sa.select(message.c.campaign, message.c.reason).where(message.c.state == "skipped")
        return found + Counter(tuple(row) for row in db.execute(late))


def compare(told: Story, days: int) -> Tally:
    mailer = told.open()
    try:
        tally = simulated(told, mailer, days)
        lived = LiveShop(told, mailer).live(BEGIN + timedelta(days=days))

        assert tally.log is not None
        assert sorted((name, who, from_micros(at)) for name, who, at in tally.log) == lived
        assert len(lived) > 60
        assert skips(mailer) == Counter(
            {(name, why): n for name, one in tally.mails.items() for why, n in one.skipped.items()}
        )
        for name in told.journeys:
            assert dict(tally.journeys[name].edges) == ledger.edge_counts(mailer.store, name)
        return tally
    finally:
        mailer.store.close()


def test_the_same_people_get_the_same_mails_at_the_same_moments(tmp_path: Path) -> None:
    compare(story(tmp_path), DAYS)


def test_also_where_nights_and_weekends_are_quiet_and_caps_leave_little_room(tmp_path: Path) -> None:
    tally = compare(story(tmp_path, LITTLE_ROOM), DAYS)

    assert tally.capped > 20
    assert tally.capped == tally.capped_sent + tally.capped_expired + tally.capped_needless + tally.capped_waiting


@pytest.mark.parametrize("limits", ["", pytest.param(LITTLE_ROOM, marks=pytest.mark.soak)])
def test_a_forecast_made_while_all_is_under_way_goes_on_as_the_shop_does(tmp_path: Path, limits: str) -> None:
    told = replace(story(tmp_path, limits), clicks=())
    mailer, now = told.open(), BEGIN + timedelta(days=3, hours=5)
    live = LiveShop(told, mailer)
    before = live.live(now)

    tally = simulated(told, mailer, 5, now)
    after = live.live(now + timedelta(days=5))

    assert len(after) - len(before) > 15
    assert tally.log is not None
    assert sorted((name, who, from_micros(at)) for name, who, at in tally.log) == after_only(after, before)
    mailer.store.close()


def test_what_somebody_clicked_before_counts_in_each_of_the_journeys_she_waits_in(tmp_path: Path) -> None:
    clicks = [Click(who=1, mail=f"{name}/hello", nth=1, after=timedelta(hours=5)) for name in ("one", "two")]
    told = replace(story(tmp_path), journeys={"one": CLICKED, "two": CLICKED}, campaigns={}, clicks=clicks, deeds=[])
    mailer, now = told.open(), BEGIN + timedelta(days=1)
    live = LiveShop(told, mailer)
    before = live.live(now)

    tally = simulated(told, mailer, 2, now)
    after = live.live(now + timedelta(days=2))

    assert tally.log is not None
    assert {("one/thanks", 1), ("two/thanks", 1)} == {(name, who) for name, who, _ in tally.log}
    assert sorted((name, who, from_micros(at)) for name, who, at in tally.log) == after_only(after, before)
    mailer.store.close()


def after_only(lived: list[Mailed], before: list[Mailed]) -> list[Mailed]:
    return sorted(set(lived) - set(before))
