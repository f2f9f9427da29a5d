"""Who was in a journey, in which arm, and what came back of her mails? Everybody once, from her first entry on."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.events import BOUNCE
from engine.ledger.rows import Query
from engine.model import HitKind, MessageState, Verdict
from engine.store import Store
from engine.store.tables import enrolment, enrolment_step, event, hit, message

HOLDOUT = "holdout"
MAILED = "mailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Traveller:
    """One contact of a journey: her arm, since when she is measured, and what her mails brought."""

    contact_id: int
    arm: str  # mailed or holdout; of an experiment: its arm
    since: datetime
    sent: int = 0
    bounced: int = 0
    human_opens: int = 0
    human_clicks: int = 0


def travellers(store: Store, journey: str) -> list[Traveller]:
    """Everybody who ever was in the journey, from her first entry on."""
    wanted = sa.select(
        enrolment.c.contact_id,
        sa.case((enrolment.c.held_out, HOLDOUT), else_=MAILED).label("arm"),
        enrolment.c.entered_at.label("since"),
    ).where(enrolment.c.journey == journey, enrolment.c.n == 1)
    return _with_mails(store, journey, wanted)


def split_travellers(store: Store, journey: str, split: str) -> list[Traveller]:
    """Everybody who came to this experiment, from the first time on; who is held out got no mail in any arm."""
    first = (
        sa.select(enrolment_step.c.enrolment_id, sa.func.min(enrolment_step.c.visit).label("visit"))
        .join(enrolment, enrolment.c.id == enrolment_step.c.enrolment_id)
        .where(
            enrolment_step.c.journey == journey,
            enrolment_step.c.step == split,
            ~enrolment.c.held_out,
            enrolment.c.n == 1,
        )
        .group_by(enrolment_step.c.enrolment_id)
        .subquery()
    )
    wanted = (
        sa.select(enrolment.c.contact_id, enrolment_step.c.result.label("arm"), enrolment_step.c.at.label("since"))
        .join(
            first,
            (first.c.enrolment_id == enrolment_step.c.enrolment_id) & (first.c.visit == enrolment_step.c.visit),
        )
        .join(enrolment, enrolment.c.id == enrolment_step.c.enrolment_id)
    )
    return _with_mails(store, journey, wanted)


def _with_mails(store: Store, journey: str, wanted: Query) -> list[Traveller]:
    with store.read() as db:
        people = db.execute(wanted).all()
        mails = {row.contact_id: row for row in db.execute(_mails(journey))}
    found = []
    for row in people:
        mail = mails.get(row.contact_id)
        counts = {} if mail is None else {name: int(getattr(mail, name)) for name in _COUNTED}
        found.append(Traveller(contact_id=row.contact_id, arm=row.arm, since=row.since, **counts))
    return found


_COUNTED = ("sent", "bounced", "human_opens", "human_clicks")


def _mails(journey: str) -> Query:
    """What became of everybody's mails of all steps."""
    mine = message.c.campaign.startswith(f"{journey}/", autoescape=True)
    hits = (
        sa.select(hit.c.message_id, _human(HitKind.OPEN).label("opens"), _human(HitKind.CLICK).label("clicks"))
        .join(message, message.c.id == hit.c.message_id)
        .where(mine)
        .group_by(hit.c.message_id)
        .subquery()
    )
    bounced = sa.exists().where(event.c.event_id == sa.literal(f"{BOUNCE}:") + message.c.delivery_id)
    return (
        sa.select(
            message.c.contact_id,
            sa.func.sum(sa.case((message.c.state == MessageState.SENT, 1), else_=0)).label("sent"),
            sa.func.sum(sa.case((bounced, 1), else_=0)).label("bounced"),
            sa.func.sum(sa.func.coalesce(hits.c.opens, 0)).label("human_opens"),
            sa.func.sum(sa.func.coalesce(hits.c.clicks, 0)).label("human_clicks"),
        )
        .outerjoin(hits, hits.c.message_id == message.c.id)
        .where(mine)
        .group_by(message.c.contact_id)
    )


def _human(kind: HitKind) -> sa.ColumnElement[int]:
    return sa.func.sum(sa.case(((hit.c.kind == kind) & (hit.c.verdict == Verdict.HUMAN), 1), else_=0))
