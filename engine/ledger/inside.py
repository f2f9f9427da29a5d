"""Who is inside a journey, where, and how did she get there? And those who leave or are woken together."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.chunking import CHUNK, write_in_turn
from engine.ledger.enrolments import COLUMNS, Enrolment, enrolment_from
from engine.model import EnrolmentState, HitKind, Verdict
from engine.store import Store, among, chunks
from engine.store.tables import enrolment, enrolment_step, hit, message

_INSIDE = enrolment.c.state == EnrolmentState.WAITING.value


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUp:
    """Enrolments that a fault holds where they are."""

    journey: str
    step: str
    reason: str
    enrolments: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The latest open or click in one mail of a journey."""

    campaign: str
    occurrence: str
    kind: HitKind
    at: datetime


Answers = Mapping[int, list[Answer]]  # by contact; empty for those without


@dataclass(frozen=True, slots=True, kw_only=True)
class WayStep:
    """A step that an enrolment passed."""

    visit: int
    step: str
    result: str
    leads_to: str
    at: datetime


def inside(store: Store, name: str) -> Mapping[tuple[int, str], int]:
    """How many stand at each step of each version of the journey. Costs a look at everybody inside."""
    wanted = sa.select(enrolment.c.version, enrolment.c.step, sa.func.count()).where(
        enrolment.c.journey == name, sa.text("enrolment.state = 'waiting'")
    )
    with store.read() as db:
        rows = db.execute(wanted.group_by(enrolment.c.version, enrolment.c.step)).all()
    return {(version, step): number for version, step, number in rows}


def is_anybody_inside(store: Store, name: str) -> bool:
    """Whether the journey has somebody who is not through."""
    wanted = sa.select(enrolment.c.id).where(enrolment.c.journey == name, sa.text("enrolment.state = 'waiting'"))
    with store.read() as db:
        return db.scalar(wanted.limit(1)) is not None


def ended_by_state(store: Store, name: str) -> Mapping[str, int]:
    """How many enrolments of the journey there ever were, by how they stand."""
    wanted = sa.select(enrolment.c.state, sa.func.count()).where(enrolment.c.journey == name)
    with store.read() as db:
        return {row[0]: row[1] for row in db.execute(wanted.group_by(enrolment.c.state))}


def enrolments_of(store: Store, contact_id: int, name: str | None = None) -> list[Enrolment]:
    """The contact's ways through journeys, newest first; through one of them."""
    wanted = sa.select(*COLUMNS).where(enrolment.c.contact_id == contact_id)
    if name is not None:
        wanted = wanted.where(enrolment.c.journey == name)
    with store.read() as db:
        return [enrolment_from(row) for row in db.execute(wanted.order_by(enrolment.c.id.desc()))]


def enrolments_in(store: Store, names: Collection[str]) -> list[Enrolment]:
    """Everybody's ways through these journeys, a contact's beside each other and in their order."""
    wanted = sa.select(*COLUMNS).where(among(enrolment.c.journey, names))
    with store.read() as db:
        rows = db.execute(wanted.order_by(enrolment.c.contact_id, enrolment.c.journey, enrolment.c.n)).all()
    return [enrolment_from(row) for row in rows]


def way_of(store: Store, enrolment_id: int) -> list[WayStep]:
    """The steps that this enrolment passed, in their order."""
    columns = [enrolment_step.c[field] for field in WayStep.__dataclass_fields__]
    wanted = sa.select(*columns).where(enrolment_step.c.enrolment_id == enrolment_id)
    with store.read() as db:
        return [WayStep(**row._mapping) for row in db.execute(wanted.order_by(enrolment_step.c.visit))]


def mails_of(store: Store, enrolment_id: int, contact_id: int, name: str) -> list[tuple[str, str, int]]:
    """The messages of one enrolment: campaign, occurrence and plan, in their order."""
    wanted = sa.select(message.c.campaign, message.c.occurrence, message.c.plan_id).where(
        message.c.contact_id == contact_id,
        sa.func.substr(message.c.campaign, 1, len(name) + 1) == f"{name}/",
        sa.func.substr(message.c.occurrence, 1, len(str(enrolment_id)) + 1) == f"{enrolment_id}/",
    )
    with store.read() as db:
        return [(row[0], row[1], row[2]) for row in db.execute(wanted.order_by(message.c.id))]


def held_up(store: Store) -> list[HeldUp]:
    """Whom a fault holds, by journey, step and fault."""
    by = (enrolment.c.journey, enrolment.c.step, enrolment.c.reason)
    held = sa.text("enrolment.state = 'waiting' AND enrolment.reason <> ''")
    wanted = sa.select(*by, sa.func.count().label("enrolments")).where(held).group_by(*by).order_by(*by)
    with store.read() as db:
        return [HeldUp(**row._mapping) for row in db.execute(wanted)]


def leave_all(store: Store, name: str, reason: str, at: datetime) -> int:
    """Everybody inside the journey leaves it, in short transactions; gives how many."""
    some = sa.select(enrolment.c.id).where(enrolment.c.journey == name, sa.text("enrolment.state = 'waiting'"))
    over = {"state": EnrolmentState.LEFT, "reason": reason, "due_at": None, "ended_at": at}
    out = sa.update(enrolment).where(enrolment.c.id.in_(some.limit(CHUNK)), _INSIDE)
    left = 0
    while True:
        with write_in_turn(store) as db:
            gone = db.execute(out.values(**over, seq=enrolment.c.seq + 1)).rowcount
        if not gone:
            return left
        left += gone


def wake_older(store: Store, name: str, version: int, gone: Collection[str], at: datetime) -> int:
    """Look now at those on an older version who wait at a step that this one has not; gives how many were woken."""
    if not gone:
        return 0
    some = (
        sa.select(enrolment.c.id)
        .where(enrolment.c.journey == name, sa.text("enrolment.state = 'waiting'"))
        .where(enrolment.c.version < version, enrolment.c.step.in_(sorted(gone)), enrolment.c.due_at > at)
        .limit(CHUNK)
    )
    woken = 0
    while True:
        with write_in_turn(store) as db:
            number = db.execute(sa.update(enrolment).where(enrolment.c.id.in_(some)).values(due_at=at)).rowcount
        if not number:
            return woken
        woken += number


def human_answers(store: Store, contact_ids: Sequence[int], names: Collection[str], at: datetime) -> Answers:
    """What people, not machines, did up to `at` in the mails that these journeys sent to these contacts."""
    found: defaultdict[int, list[Answer]] = defaultdict(list)
    its_journey = [sa.func.substr(message.c.campaign, 1, len(name) + 1) == f"{name}/" for name in sorted(names)]
    wanted = (
        sa.select(message.c.contact_id, message.c.campaign, message.c.occurrence, hit.c.kind, sa.func.max(hit.c.at))
        .join(hit, hit.c.message_id == message.c.id)
        .where(hit.c.verdict == Verdict.HUMAN, hit.c.at <= at, sa.or_(*its_journey))
        .group_by(message.c.contact_id, message.c.campaign, message.c.occurrence, hit.c.kind)
    )
    for some in chunks(contact_ids, CHUNK):
        with store.read() as db:
            rows = db.execute(wanted.where(among(message.c.contact_id, some))).all()
        for contact_id, campaign, occurrence, kind, latest in rows:
            found[contact_id].append(Answer(campaign=campaign, occurrence=occurrence, kind=HitKind(kind), at=latest))
    return found


def entered_at(store: Store, message_ids: Sequence[int]) -> Mapping[int, datetime]:
    """When each contact came into the journey that this message of hers belongs to."""
    found: dict[int, datetime] = {}
    for some in chunks(message_ids, CHUNK):
        with store.read() as db:
            whose = dict(
                map(
                    tuple,
                    db.execute(sa.select(message.c.occurrence, message.c.contact_id).where(among(message.c.id, some))),
                )
            )
            ids = {int(occurrence.partition("/")[0]) for occurrence in whose}
            rows = db.execute(
                sa.select(enrolment.c.contact_id, enrolment.c.entered_at).where(among(enrolment.c.id, ids))
            )
            found |= {row.contact_id: row.entered_at for row in rows}
    return found
