"""What does the operator want of a campaign: run, paused (why), ended, cancelled?"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.rows import Row
from engine.model import CampaignState
from engine.store import Store
from engine.store.tables import campaign, campaign_history

PAUSED_BY_HAND = "paused by hand"  # how the reason begins; any other pause is the engine's own
BRAKED = "the brake: "  # how it begins where only an operator's word lets the campaign go on
_OVER = (CampaignState.ENDED, CampaignState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a campaign stands, since when, and why."""

    name: str
    state: CampaignState
    reason: str
    at: datetime

    @property
    def is_braked(self) -> bool:
        """Whether it paused itself because too much came back."""
        return _is_braked(self.state, self.reason)


def set_state(store: Store, name: str, state: CampaignState, reason: str, at: datetime) -> bool:
    """Say how a campaign stands; False where it stays as it is.

    A pause does not bring back one that is over. One that its brake holds goes on, or is over, only where a reason is
    given, or by being cancelled; another pause leaves the brake on, and the moment at which it came.
    """
    known = sa.select(campaign.c.state, campaign.c.reason, campaign.c.at).where(campaign.c.name == name)
    with store.write() as db:
        before, since = db.execute(known.with_for_update()).first(), at
        if before is not None and _is_braked(before.state, before.reason):
            if state is CampaignState.PAUSED:
                reason, since = _both(before.reason, reason), before.at
            elif not reason:
                return False
        values = {"state": state, "reason": reason, "at": since}
        statement = store.insert(campaign).values(name=name, **values)
        may_change = campaign.c.state.not_in(_OVER) if state is CampaignState.PAUSED else sa.true()
        upsert = statement.on_conflict_do_update(index_elements=[campaign.c.name], set_=values, where=may_change)
        if db.execute(upsert.returning(campaign.c.name)).first() is None:
            return False
        if before is None or (before.state, before.reason) != (state, reason):
            db.execute(sa.insert(campaign_history).values(campaign=name, **values | {"at": at}))
    return True


def note(store: Store, name: str, reason: str, at: datetime) -> None:
    """Something to remember of a campaign that changes nothing: it stands as it did."""
    stands = sa.select(campaign.c.state).where(campaign.c.name == name).scalar_subquery()
    state = sa.func.coalesce(stands, CampaignState.RUNNING)
    with store.write() as db:
        db.execute(sa.insert(campaign_history).values(campaign=name, state=state, reason=reason, at=at))


def story_of(store: Store, name: str) -> list[Standing]:
    """How the campaign came to stand as it does, oldest first."""
    told = sa.select(
        campaign_history.c.campaign.label("name"),
        campaign_history.c.state,
        campaign_history.c.reason,
        campaign_history.c.at,
    )
    with store.read() as db:
        rows = db.execute(told.where(campaign_history.c.campaign == name).order_by(campaign_history.c.id)).all()
    return [_standing(row) for row in rows]


def state_of(store: Store, name: str) -> Standing | None:
    """Where the campaign stands; None when nobody has started, paused or cancelled it yet."""
    with store.read() as db:
        row = db.execute(sa.select(campaign).where(campaign.c.name == name)).first()
    return None if row is None else _standing(row)


def states(store: Store) -> list[Standing]:
    """All campaigns that have a state, by name."""
    with store.read() as db:
        return [_standing(row) for row in db.execute(sa.select(campaign).order_by(campaign.c.name))]


def _is_braked(state: str, reason: str) -> bool:
    return state == CampaignState.PAUSED and reason.startswith(BRAKED)


def _both(brake: str, reason: str) -> str:
    """Why it is held, once somebody or something else wants it held as well."""
    return reason if reason.startswith(BRAKED) else brake if reason in brake else f"{brake}; {reason}"


def _standing(row: Row) -> Standing:
    return Standing(name=row.name, state=CampaignState(row.state), reason=row.reason, at=row.at)
