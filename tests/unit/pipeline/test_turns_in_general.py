"""Whatever wants whom: no window is exceeded, nobody expires while there was room, what is owed never waits."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from turn_steps import TurnShop

from engine.campaign import Allowance, Quietness
from engine.config import Limits
from engine.store import Store
from engine.store.tables import message, plan

HELSINKI = ZoneInfo("Europe/Helsinki")
START = datetime(2026, 12, 3, 8, tzinfo=UTC)
SPANS = {
    "messages_per_day": timedelta(days=1),
    "messages_per_7_days": timedelta(days=7),
    "messages_per_30_days": timedelta(days=30),
}
LOOK_AGAIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a message."""

    contact_id: int
    message_class: str
    rank: tuple[int, datetime, datetime]
    send_at: datetime
    ends_at: datetime
    sent_at: datetime | None


_CAMPAIGN = st.fixed_dictionaries(
    {
        "message_class": st.sampled_from(["marketing", "marketing", "newsletter", "transactional"]),
        "priority": st.integers(-1, 1),
        "send_at": st.sampled_from([0, 0, 1, 5, 24, 30]).map(lambda hours: START + timedelta(hours=hours)),
        "window": st.sampled_from([0.1, 1, 2, 9]).map(lambda days: timedelta(days=days).total_seconds()),
    }
)
_CAPS = st.fixed_dictionaries(
    {"messages_per_day": st.integers(0, 2), "messages_per_7_days": st.integers(0, 3)},
    optional={"messages_per_30_days": st.integers(0, 4)},
)
_LIMITS = st.fixed_dictionaries(
    {"all": _CAPS, "newsletter": _CAPS, "hours": st.sampled_from(["", "", "20:00-09:00", "11:00-12:30"])}
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(campaigns=st.lists(_CAMPAIGN, min_size=1, max_size=7), said=_LIMITS, people=st.integers(1, 2))
def test_caps_priorities_and_expiry_hold_together(
    sqlite_store: Store, tmp_path: Path, campaigns: list[dict[str, Any]], said: dict[str, Any], people: int
) -> None:
    shop = _shop(sqlite_store, tmp_path, said)
    contacts = [shop.person(country="FI") for _ in range(people)]
    for campaign in campaigns:
        _number[0] += 1
        shop.release(f"c{_number[0]}", contacts, **campaign)

    shop.run_through(START + timedelta(days=120))

    limits = _limits(said)
    for contact_id in contacts:
        fates = _fates(sqlite_store, contact_id)
        assert len(campaigns) == len(fates)
        _no_window_is_exceeded(fates, limits)
        _nobody_expires_while_there_is_room(fates, limits)
        _what_is_owed_goes_at_its_hour(fates)
        _the_better_goes_first(fates, limits)
        _nobody_is_woken(fates, limits)


_number = [0]


def _shop(store: Store, folder: Path, said: dict[str, Any]) -> TurnShop:
    lines = ["[limits]", *(f"{key} = {most}" for key, most in said["all"].items())]
    lines += ["[limits.quiet]", f'hours = "{said["hours"]}"', "[limits.class.newsletter]"]
    lines += [f"{key} = {most}" for key, most in said["newsletter"].items()]
    _number[0] += 1
    return TurnShop(folder=folder, store=store, now=START, limits="\n".join(lines), _number=_number[0] * 1000)


def _limits(said: dict[str, Any]) -> Limits:
    return Limits.model_validate(
        {**said["all"], "class": {"newsletter": said["newsletter"]}, "quiet": {"hours": said["hours"]}}
    )


def _fates(store: Store, contact_id: int) -> list[Fate]:
    wanted = sa.select(message, plan.c.definition, plan.c.priority).join(plan, plan.c.id == message.c.plan_id)
    with store.read() as db:
        rows = db.execute(wanted.where(message.c.contact_id == contact_id)).all()
    assert {"sent", "skipped"} >= {row.state for row in rows}
    found = []
    for row in rows:
        ends_at = row.send_at + timedelta(seconds=row.definition["window"])
        found.append(
            Fate(
                contact_id,
                row.definition["message_class"],
                (-row.priority, ends_at, row.send_at),
                row.send_at,
                ends_at,
                row.sent_at,
            )
        )
    return found


def _no_window_is_exceeded(fates: list[Fate], limits: Limits) -> None:
    counted = [
        (one.sent_at, one.message_class) for one in fates if one.sent_at and one.message_class != "transactional"
    ]
    for caps, classes in ((limits, {"marketing", "newsletter"}), (limits.classes["newsletter"], {"newsletter"})):
        moments = [at for at, said in counted if said in classes]
        for key, span in SPANS.items():
            most = getattr(caps, key)
            for at in moments:
                assert not most or most >= sum(at - span < other <= at for other in moments)


def _nobody_expires_while_there_is_room(fates: list[Fate], limits: Limits) -> None:
    allowance = Allowance.of(limits)
    quiet = Quietness.of(limits)
    sent = [(one.sent_at, one.message_class) for one in fates if one.sent_at]
    for one in fates:
        if one.sent_at is not None:
            continue
        moments = [at + span for at, _ in sent for span in SPANS.values()]
        for at in [one.ends_at - timedelta(seconds=1), *moments]:
            if one.send_at <= at < one.ends_at and quiet.is_legal("FI", HELSINKI, at):
                before = [(then, said) for then, said in sent if then <= at]
                assert not allowance.room(one.message_class, before, at)


def _what_is_owed_goes_at_its_hour(fates: list[Fate]) -> None:
    assert [] == [one for one in fates if one.message_class == "transactional" and one.sent_at != one.send_at]


def _the_better_goes_first(fates: list[Fate], limits: Limits) -> None:
    """Who went while a better one waited left no room that the better one could have used, or had her last chance."""
    allowance = Allowance.of(limits)
    capped = [one for one in fates if one.message_class != "transactional"]
    for one in capped:
        at = one.sent_at
        if at is None or not (allowance.concerns(one.message_class)) or at + LOOK_AGAIN >= one.ends_at:
            continue
        for other in capped:
            waits = other.send_at <= at < other.ends_at and (other.sent_at is None or other.sent_at > at)
            if waits and other.rank < one.rank:
                others = [(x.sent_at, x.message_class) for x in fates if x.sent_at and x.sent_at <= at and x is not one]
                assert not allowance.room(other.message_class, others, at)


def _nobody_is_woken(fates: list[Fate], limits: Limits) -> None:
    quiet = Quietness.of(limits)
    for one in fates:
        if one.sent_at and one.message_class != "transactional":
            assert quiet.is_legal("FI", HELSINKI, one.sent_at)
