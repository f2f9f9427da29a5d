"""Which journeys are published, in which versions, and may they go on? Their states, and the pauses that shift waits.

A version never changes. A journey's mails are messages of campaigns called `JOURNEY/STEP`; a pause of the journey holds
these too, in the same transaction, so that nothing more goes out from that moment on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from engine.errors import UnknownJourney
from engine.ledger.campaigns import BRAKED, Standing
from engine.ledger.rows import Row
from engine.model import CampaignState
from engine.store import Store
from engine.store.tables import campaign, campaign_history, fact, journey, journey_pause, journey_version

_FAULTS = "journey_faults"
_OVER = (CampaignState.ENDED, CampaignState.CANCELLED)
# What becomes of the mails that were planned and have not gone out, by the journey's new state.
_STEPS_FOLLOW: Mapping[CampaignState, tuple[CampaignState, ...]] = {
    CampaignState.RUNNING: (CampaignState.PAUSED, CampaignState.CANCELLED, CampaignState.ENDED),
    CampaignState.PAUSED: (CampaignState.RUNNING, CampaignState.ENDED),
    CampaignState.CANCELLED: (CampaignState.RUNNING, CampaignState.PAUSED, CampaignState.ENDED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedJourney:
    """A journey as the ledger knows it; `definition` is that of the version on which newcomers start."""

    name: str
    state: CampaignState
    reason: str
    at: datetime  # of the state
    version: int
    pauses: int  # finished ones
    definition: Mapping[str, Any]
    hash: str
    published_at: datetime
    base_seen: int
    base_done: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyPause:
    """A stretch in which nobody went on. `ended_at` is None while it lasts."""

    n: int
    began_at: datetime
    ended_at: datetime | None


def publish(store: Store, name: str, definition: Mapping[str, Any], digest: str, at: datetime) -> int:
    """Keep this version and give its number; nothing happens when the newest one has the same digest.

    Two operators at once get the same number for the same file. A journey begins as a draft: nobody is enrolled before
    `set_journey_state` lets it run.
    """
    first = {"state": CampaignState.DRAFT, "at": at, "version": 0}
    with store.write() as db:
        db.execute(store.insert(journey).values(name=name, **first).on_conflict_do_nothing())
        row = db.execute(_newest().where(journey.c.name == name).with_for_update(of=journey)).one()
        if row.hash == digest:
            return int(row.version)
        number: int = row.version + 1
        db.execute(
            sa.insert(journey_version).values(
                journey=name, version=number, definition=dict(definition), hash=digest, at=at
            )
        )
        db.execute(sa.update(journey).where(journey.c.name == name).values(version=number))
    return number


def journey_of(store: Store, name: str) -> PublishedJourney | None:
    """The journey; None when nobody has published it."""
    with store.read() as db:
        row = db.execute(_newest().where(journey.c.name == name, journey.c.version > 0)).first()
    return None if row is None else _published(row)


def journeys(store: Store, state: CampaignState | None = None) -> list[PublishedJourney]:
    """All that were published, by name; in one state."""
    wanted = _newest().where(journey.c.version > 0).order_by(journey.c.name)
    if state is not None:
        wanted = wanted.where(journey.c.state == state)
    with store.read() as db:
        return [_published(row) for row in db.execute(wanted)]


def version_of(store: Store, name: str, version: int) -> Mapping[str, Any]:
    """The definition of a version; UnknownJourney when there is none."""
    wanted = sa.select(journey_version.c.definition).filter_by(journey=name, version=version)
    with store.read() as db:
        found: Mapping[str, Any] | None = db.scalar(wanted)
    if found is None:
        raise UnknownJourney(f"journey {name!r} has no version {version}; `mailer journey start {name}` publishes it")
    return found


def set_journey_state(store: Store, name: str, state: CampaignState, reason: str, at: datetime) -> bool:
    """Say how a journey stands, and hold its mails or let them go; a pause does not bring back one that is over.

    A pause has a row of its own: whoever waits is shifted by its length when the journey goes on. False: nothing
    changed, or there is no such journey.
    """
    with store.write() as db:
        row = db.execute(sa.select(journey).where(journey.c.name == name).with_for_update()).first()
        if row is None or (state is CampaignState.PAUSED and row.state in _OVER):
            return False
        if (row.state, row.reason) == (state, reason):
            return False
        values: dict[str, Any] = {"state": state, "reason": reason, "at": at}
        if row.state == CampaignState.PAUSED and state is not CampaignState.PAUSED:
            over = sa.update(journey_pause).where(journey_pause.c.journey == name, journey_pause.c.ended_at.is_(None))
            db.execute(over.values(ended_at=at))
            values["pauses"] = row.pauses + 1
        elif state is CampaignState.PAUSED and row.state != CampaignState.PAUSED:
            db.execute(sa.insert(journey_pause).values(journey=name, n=row.pauses + 1, began_at=at))
        db.execute(sa.update(journey).where(journey.c.name == name).values(values))
        told = {"state": state, "reason": reason, "at": at}
        db.execute(sa.insert(campaign_history).values(campaign=f"{name}/", **told))
        _let_steps_follow(db, name, state, reason, at)
    return True


def pauses_of(store: Store, name: str) -> list[JourneyPause]:
    """The journey's pauses, oldest first."""
    wanted = sa.select(journey_pause.c.n, journey_pause.c.began_at, journey_pause.c.ended_at)
    with store.read() as db:
        rows = db.execute(wanted.where(journey_pause.c.journey == name).order_by(journey_pause.c.n)).all()
    return [JourneyPause(**row._mapping) for row in rows]


def step_campaigns(store: Store, name: str) -> list[Standing]:
    """How the campaigns stand that carry the journey's mails."""
    with store.read() as db:
        rows = db.execute(sa.select(campaign).where(_is_step_of(name)).order_by(campaign.c.name)).all()
    return [Standing(name=row.name, state=CampaignState(row.state), reason=row.reason, at=row.at) for row in rows]


# ---------------------------------------------------------------- the last templates that were good


def keep_template_hashes(store: Store, step: str, hashes: Mapping[str, str]) -> None:
    """Remember which compiled templates `JOURNEY/STEP` was mailed with last, by language."""
    row = store.insert(fact).values(name=f"templates:{step}", value=dict(hashes))
    with store.write() as db:
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))


def kept_template_hashes(store: Store, step: str) -> Mapping[str, str]:
    """The hashes by language; empty when there are none."""
    with store.read() as db:
        found: Mapping[str, str] | None = db.scalar(sa.select(fact.c.value).where(fact.c.name == f"templates:{step}"))
    return found or {}


def keep_faults(store: Store, faults: Mapping[str, str]) -> None:
    """Remember what is wrong with the journeys' templates, by `JOURNEY/STEP`; written only when that is news."""
    if template_faults(store) == faults:
        return
    row = store.insert(fact).values(name=_FAULTS, value=dict(faults))
    with store.write() as db:
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))


def template_faults(store: Store) -> Mapping[str, str]:
    """The steps whose template is broken since the last good one, with the fault."""
    with store.read() as db:
        found: Mapping[str, str] | None = db.scalar(sa.select(fact.c.value).where(fact.c.name == _FAULTS))
    return found or {}


# ---------------------------------------------------------------- below


def _newest() -> sa.Select[*tuple[Any, ...]]:
    newest = (journey_version.c.journey == journey.c.name) & (journey_version.c.version == journey.c.version)
    columns: Sequence[sa.ColumnElement[Any]] = (
        journey_version.c.definition,
        journey_version.c.hash,
        journey_version.c.at.label("published_at"),
    )
    return sa.select(journey, *columns).outerjoin(journey_version, newest)


def _published(row: Row) -> PublishedJourney:
    values = {name: row._mapping[name] for name in PublishedJourney.__dataclass_fields__}
    return PublishedJourney(**{**values, "state": CampaignState(row.state)})


def _is_step_of(name: str) -> sa.ColumnElement[bool]:
    return sa.func.substr(campaign.c.name, 1, len(name) + 1) == f"{name}/"


def _let_steps_follow(db: sa.Connection, name: str, state: CampaignState, reason: str, at: datetime) -> None:
    before = _STEPS_FOLLOW.get(state, ())
    mine = [_is_step_of(name), campaign.c.state.in_(before)]
    if state is CampaignState.RUNNING:  # whom the brake holds is let go by `take_brake_off` alone
        mine.append(sa.not_((campaign.c.state == CampaignState.PAUSED) & campaign.c.reason.startswith(BRAKED)))
    steps = list(db.scalars(sa.select(campaign.c.name).where(*mine).order_by(campaign.c.name).with_for_update()))
    if not steps:
        return
    values = {"state": state, "reason": reason, "at": at}
    db.execute(sa.update(campaign).where(campaign.c.name.in_(steps)).values(values))
    db.execute(sa.insert(campaign_history), [{"campaign": one, **values} for one in steps])
