"""What becomes of a person's messages and journeys when she is forgotten? They count on, as nobody's."""

from datetime import datetime

import sqlalchemy as sa

from engine.links import Keys
from engine.model import EnrolmentState
from engine.store import among
from engine.store.tables import attempt, call, enrolment, enrolment_step, hit, message, plan, plan_entry

_REASON = "erased"
_ABOUT_A_READER = dict.fromkeys(("ip", "agent", "referer", "accept_language"), "")


def forget_contact(db: sa.Connection, keys: Keys, contact_id: int, at: datetime) -> None:
    """Erasure: what was frozen of this person and what others said of her goes, and her journeys end.

    That she was planned for and mailed, and how it ended, stays: the shop's figures rest on it.
    """
    # Asked plan by plan, so that the unique key (plan, contact) finds the rows.
    frozen = sa.update(plan_entry).where(
        plan_entry.c.plan_id.in_(sa.select(plan.c.id)), plan_entry.c.contact_id == contact_id
    )
    db.execute(frozen.values(context=None, detail="", digest=""))
    hers = sa.select(message.c.id).where(message.c.contact_id == contact_id)
    # Servers like to quote the address that they refuse.
    db.execute(sa.update(attempt).where(attempt.c.message_id.in_(hers)).values(reply=""))
    db.execute(sa.update(hit).where(hit.c.message_id.in_(hers)).values(_ABOUT_A_READER))
    _forget_calls(db, keys, contact_id)
    inside = sa.update(enrolment).where(
        enrolment.c.contact_id == contact_id, enrolment.c.state == EnrolmentState.WAITING
    )
    over = {"state": EnrolmentState.LEFT, "reason": _REASON, "due_at": None, "ended_at": at}
    db.execute(inside.values(**over, seq=enrolment.c.seq + 1))  # whoever decided her next step meanwhile is too late


def _forget_calls(db: sa.Connection, keys: Keys, contact_id: int) -> None:
    """A webhook's body holds her number and a hash of her address; one that nobody answered yet is not tried again."""
    steps = (
        sa.select(enrolment_step.c.journey, enrolment_step.c.step, enrolment.c.id, enrolment_step.c.visit)
        .join(enrolment, enrolment.c.id == enrolment_step.c.enrolment_id)
        .where(enrolment.c.contact_id == contact_id)
    )
    hers = [
        keys.delivery_id(f"{name}/{step}", f"{enrolment_id}/{visit}", contact_id)
        for name, step, enrolment_id, visit in db.execute(steps)
    ]
    db.execute(sa.update(call).where(among(call.c.key, hers)).values(body={}, due_at=None, tries=call.c.tries + 1))
