"""The live engine does what `decide` says: the same ways, in the same hours, as a run of it in memory."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from journey_shop import contacts, let_in, ways, write_journey
from story_shop import Shop

from engine import journeys, ledger
from engine.journeys.deciding import Place, Sight, decide
from engine.journeys.definition import Journey, Send
from engine.model import EnrolmentState
from engine.pipeline import Mailer
from engine.store.tables import event

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOURS = 24 * 14
# A mail, an experiment, a branch by a rule, a wait for an event, waits for hours and days, and a ring.
STEPS = """
[[step]]
id = "hello"
send = "note"
[[step]]
id = "toss"
split = [{ name = "a", share = 0.4, to = "rest" }, { name = "b", share = 0.6, to = "await" }]
[[step]]
id = "rest"
until = "tue,thu 09:00 local"
[[step]]
id = "await"
until_event = "event:seen"
at_most = "50 hours"
then = "which"
otherwise = "nudge"
[[step]]
id = "nudge"
send = "note"
send_at = "10:00 local"
[[step]]
id = "which"
branch = [{ if = "'few' in tags", to = "pause" }, { to = "end" }]
[[step]]
id = "pause"
wait = "30 hours"
[[step]]
id = "round"
branch = [{ to = "await" }]
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_everybody_goes_live_as_decided_in_memory(shop: Shop, seed: int) -> None:
    write_journey(shop, STEPS, 'max_lateness = "3 days"')
    mailer, random = shop.open(), Random(seed)
    journeys.start(mailer, "story", AT)
    people = contacts(mailer, 40)
    let_in(mailer, "story", people, AT)
    acts = _acts(random, people)
    moments = sorted({AT + timedelta(hours=random.randrange(HOURS)) for _ in range(25)} | {AT + timedelta(hours=HOURS)})

    expected = {one: _decided(mailer, one, acts.get(one, {}), moments) for one in people}
    _write(mailer, acts)
    for at in moments:
        happened = [one for one, its in acts.items() if any(when <= at for when in its.values())]
        ledger.wake(mailer.store, happened, at)
        journeys.advance(mailer, at)

    done = ways(mailer)
    live = {}
    for one in people:
        (enrolled,) = ledger.enrolments_of(mailer.store, one, "story")
        live[one] = (enrolled.state, enrolled.step, done.get(enrolled.id, []))
    assert expected == live
    assert {EnrolmentState.GOAL, EnrolmentState.DONE} <= {state for state, _, _ in live.values()}


def _acts(random: Random, people: list[int]) -> Mapping[int, dict[str, datetime]]:
    """Who does what when: `seen`, and the goal."""
    found: dict[int, dict[str, datetime]] = {}
    for one in people:
        for kind, chance in (("seen", 0.5), ("bought", 0.3)):
            if random.random() < chance:
                found.setdefault(one, {})[kind] = AT + timedelta(minutes=random.randrange(1, HOURS * 60))
    return found


def _write(mailer: Mailer, acts: Mapping[int, dict[str, datetime]]) -> None:
    rows = [
        {"event_id": f"{one} {kind}", "contact_id": one, "kind": kind, "at": when}
        for one, its in acts.items()
        for kind, when in its.items()
    ]
    with mailer.store.write() as db:
        db.execute(sa.insert(event), rows)


def _decided(
    mailer: Mailer, contact_id: int, acts: Mapping[str, datetime], moments: list[datetime]
) -> tuple[EnrolmentState, str, list[tuple[int, str, str, str]]]:
    """Her way, by `decide` alone; she is looked at whenever the live engine would look."""
    journey = journeys.load_journey(mailer, "story")
    place = Place(step=journey.first, visit=0, entered_at=AT, step_at=AT, due_at=AT)
    state, way = EnrolmentState.WAITING, []
    for at in moments:
        is_woken = any(when <= at for when in acts.values())
        if state is not EnrolmentState.WAITING or (place.due_at > at and not is_woken):
            continue
        move = decide(journey, place, _sight(mailer, journey, contact_id, acts, at), at)
        state, place = move.state, replace(move.place)
        way += [(one.visit, one.step, one.result, one.to) for one in move.passed]
    return state, place.step, way


def _sight(mailer: Mailer, journey: Journey, contact_id: int, acts: Mapping[str, datetime], at: datetime) -> Sight:
    is_few = contact_id <= 25

    def came(what: str, since: datetime) -> bool:
        when = acts.get(what.removeprefix("event:"))
        return when is not None and since < when <= at

    def slot(step: Send, moment: datetime) -> datetime:
        if step.send_at == "now":
            return moment
        ten = moment.replace(hour=10, minute=0, second=0, microsecond=0)
        return ten if ten >= moment else ten + timedelta(days=1)

    return Sight(
        zone=ZoneInfo("UTC"),
        holds=lambda _rule, _tags: is_few,
        clicked=lambda _step: False,
        opened=lambda _step: False,
        came=came,
        draw=lambda step: mailer.keys.draw(f"{journey.name}/{step}/split", contact_id),
        slot=slot,
        legal=lambda _step, moment: moment,
    )
