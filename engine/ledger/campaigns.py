"""What does the operator want of a campaign: run, paused (why), ended, cancelled?"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.rows import Row
from engine.model import CampaignState
from engine.store import Store
from engine.store.tables import campaign

PAUSED_BY_HAND = "paused by hand"  # how the reason begins; any other pause is the engine's own
_OVER = (CampaignState.ENDED, CampaignState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a campaign stands, since when, and why."""

    name: str
    state: CampaignState
    reason: str
    at: datetime


def set_state(store: Store, name: str, state: CampaignState, reason: str, at: datetime) -> bool:
    """Say how a campaign stands; a pause does not bring back one that is over (then False)."""
    values = {"state": state, "reason": reason, "at": at}
    statement = store.insert(campaign).values(name=name, **values)
    may_change = campaign.c.state.not_in(_OVER) if state is CampaignState.PAUSED else sa.true()
    upsert = statement.on_conflict_do_update(index_elements=[campaign.c.name], set_=values, where=may_change)
    with store.write() as db:
        return db.execute(upsert.returning(campaign.c.name)).first() is not None


def state_of(store: Store, name: str) -> Standing | None:
    """Where the campaign stands; None when nobody has started, paused or cancelled it yet."""
    with store.read() as db:
        row = db.execute(sa.select(campaign).where(campaign.c.name == name)).first()
    return None if row is None else _standing(row)


def states(store: Store) -> list[Standing]:
    """All campaigns that have a state, by name."""
    with store.read() as db:
        return [_standing(row) for row in db.execute(sa.select(campaign).order_by(campaign.c.name))]


def _standing(row: Row) -> Standing:
    return Standing(name=row.name, state=CampaignState(row.state), reason=row.reason, at=row.at)
