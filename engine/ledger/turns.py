"""Whose turn is it, when several messages want the same person and only so many may go to her?

What went out to somebody, what is on its way and what waits is looked at and decided upon in one transaction, one
sender at a time, so that two of them never give her more than the caps allow. Which message is let go is the caller's
judgement; here it is found out what there is to judge, and the judgement is carried out.

A message has its turn from the moment it was let go (`turn_at`). It counts while it is on its way, and by the moment it
went out from then on; one that was refused, skipped, put off or handed back has given its turn back.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.ledger.choosing import HELD_BACK
from engine.ledger.chunking import write_in_turn
from engine.ledger.claiming import Claim
from engine.ledger.items import Item
from engine.ledger.postponing import move
from engine.ledger.recording import Ending, Held, record
from engine.ledger.rows import Row
from engine.model import BatchState, CampaignState, MessageState, Outcome, PlanState, frozen
from engine.store import Store, among, chunks
from engine.store.tables import attempt, batch, batch_item, campaign, message, plan

QUIET, CAPPED, OUTRANKED = "quiet", "capped", "outranked"  # what postponed a message, as its batch says
SOON = timedelta(minutes=15)  # who comes up within it is a rival already

_TURN = 7_305_402_117_342  # names the advisory lock; any number, the same everywhere
_COUNTED = timedelta(days=30)  # no window of a cap is longer
_CONTACTS_A_TURN = 100
_IDS_A_QUERY = 500


@frozen
class Went:
    """A message that went out to somebody, or may have."""

    at: datetime
    message_class: str
    campaign: str


@frozen
class Waiting:
    """A message that is due and waits to be let go. From `ends_at` on it would be too late."""

    message_id: int
    contact_id: int
    campaign: str
    message_class: str
    priority: int
    send_at: datetime
    ends_at: datetime

    @property
    def rank(self) -> tuple[int, datetime, datetime, int]:
        """The least goes first: the highest priority, then who expires first, then who has waited longest."""
        return -self.priority, self.ends_at, self.send_at, self.message_id


@dataclass(slots=True, kw_only=True)
class Known:
    """What there is of one contact beside the message in question."""

    went: list[Went] = field(default_factory=list)  # in the last 30 days
    under_way: list[Waiting] = field(default_factory=list)  # let go, not known to be out
    rivals: list[Waiting] = field(default_factory=list)  # due, or due within a quarter of an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """Not now: from which moment on, and why, in a word."""

    until: datetime
    waits_for: str  # quiet | capped | outranked


Verdict = Later | Outcome | None  # None: it goes; an outcome: it never will
Judge = Callable[[Item, Waiting, Known], Verdict]


def take_turns(store: Store, claim: Claim, judge: Judge, at: datetime) -> Claim | None:
    """Let go whom `judge` lets go, postpone or end the others; gives the claim with those who go.

    None when somebody took the batch over: then nothing more is to be done with it. A batch is gone through in short
    transactions, some contacts in each, so that an opt-out never waits.
    """
    waiting = waiting_of(store, claim)
    rest = claim
    for some in chunks(sorted(claim.items, key=lambda one: one.contact_id), _CONTACTS_A_TURN):
        with write_in_turn(store) as db:
            if not store.is_sqlite:  # whose writers come one by one anyway
                db.execute(sa.select(sa.func.pg_advisory_xact_lock(_TURN)))
            if not _is_mine(db, claim):
                return None
            verdicts = _judged(db, some, waiting, judge, at)
            rest = _carry_out(db, store, rest, verdicts, at)
            _give_turns(db, [item.message_id for item in some if verdicts[item.ord] is None], at)
    return rest


def _judged(
    db: sa.Connection, some: Sequence[Item], waiting: Mapping[int, Waiting], judge: Judge, at: datetime
) -> dict[int, Verdict]:
    """The best first: of two messages to one contact the second finds the first under way."""
    known = known_of(db, {item.contact_id for item in some}, at, {item.message_id for item in some})
    verdicts: dict[int, Verdict] = {}
    for item in sorted(some, key=lambda one: waiting[one.message_id].rank):
        mine, hers = waiting[item.message_id], known[item.contact_id]
        verdicts[item.ord] = judge(item, mine, hers)
        if verdicts[item.ord] is None:
            hers.under_way.append(mine)
    return verdicts


def put_off(store: Store, claim: Claim, verdicts: Mapping[int, Verdict], at: datetime) -> Claim | None:
    """Postpone or end items by their `ord`, whatever else goes to their contacts; else as `take_turns`."""
    if not any(verdicts.values()):
        return claim
    with store.write() as db:
        return _carry_out(db, store, claim, verdicts, at) if _is_mine(db, claim) else None


def waiting_of(store: Store, claim: Claim) -> dict[int, Waiting]:
    """The claim's items as they stand in the queue, by message."""
    with store.read() as db:
        row = db.execute(_PLANS.where(plan.c.id == claim.plan_id)).one()
    return {
        one.message_id: _waiting(row, one.message_id, one.contact_id, one.send_at, is_retried=one.first_at is not None)
        for one in claim.items
    }


def went_to(store: Store, contact_ids: Collection[int], at: datetime) -> dict[int, list[Went]]:
    """What went out to each contact in the 30 days before `at`, or may have."""
    with store.read() as db:
        return {contact_id: hers.went for contact_id, hers in known_of(db, contact_ids, at).items()}


def known_of(
    db: sa.Connection, contact_ids: Collection[int], at: datetime, but: Collection[int] = ()
) -> Mapping[int, Known]:
    """What went, goes and waits to go to each of these contacts; messages of `but` are left out."""
    known: defaultdict[int, Known] = defaultdict(Known)
    sent: list[Row] = []
    unsent: list[Row] = []
    for some in chunks(sorted(contact_ids), _IDS_A_QUERY):
        since, hers = {"since": at - _COUNTED}, among(message.c.contact_id, some)
        # In this order: PostgreSQL looks anew at each of the two, and what is recorded as sent between them must be
        # met twice rather than never.
        unsent += db.execute(_UNSENT.where(hers), since)
        sent += db.execute(_SENT.where(hers), since)
    plans = {
        one.id: one
        for some in chunks(sorted({row.plan_id for row in (*sent, *unsent)}), _IDS_A_QUERY)
        for one in db.execute(_PLANS.where(among(plan.c.id, some)))
    }
    for row in sent:
        known[row.contact_id].went.append(_went(plans[row.plan_id], row.sent_at))
    seen = {*but, *(row.id for row in sent)}
    for row in unsent:
        if row.id not in seen:
            seen.add(row.id)  # one that was tried often has a row for each try
            _sort_in(known[row.contact_id], row, plans[row.plan_id], at)
    return known


def _sort_in(hers: Known, row: Row, its_plan: Row, at: datetime) -> None:
    if row.state == MessageState.UNCERTAIN:
        hers.went.append(_went(its_plan, row.turn_at or row.send_at))
        return
    one = _waiting(its_plan, row.id, row.contact_id, row.send_at)
    is_held = row.batch_state == BatchState.LEASED
    if row.state == MessageState.CLAIMED or (is_held and row.turn_at is not None):
        hers.under_way.append(one)
    elif its_plan.may_go and (is_held or (row.not_before is not None and row.not_before <= at + SOON)):
        hers.rivals.append(one)


def _went(its_plan: Row, moment: datetime) -> Went:
    return Went(at=moment, message_class=its_plan.message_class, campaign=its_plan.campaign)


def _waiting(
    its_plan: Row, message_id: int, contact_id: int, send_at: datetime, *, is_retried: bool = False
) -> Waiting:
    return Waiting(
        message_id=message_id,
        contact_id=contact_id,
        campaign=its_plan.campaign,
        message_class=its_plan.message_class,
        priority=its_plan.priority,
        send_at=send_at,
        ends_at=_ends_at(its_plan.definition, max(send_at, its_plan.released_at or send_at), is_retried),
    )


def _ends_at(definition: Mapping[str, Any], since: datetime, is_retried: bool) -> datetime:
    """What was tried in time may be tried again later: lateness ends only what never was."""
    ends = [since + timedelta(seconds=definition["window"])]
    if definition["expires"] is not None:
        ends = [datetime.fromisoformat(definition["expires"])]
    if definition.get("good_for") is not None:  # a journey's mail
        ends.append(since + timedelta(seconds=definition["good_for"]))
    if definition["max_lateness"] is not None and not is_retried:
        ends.append(since + timedelta(seconds=definition["max_lateness"]))
    return min(ends)


def _carry_out(db: sa.Connection, store: Store, claim: Claim, verdicts: Mapping[int, Verdict], at: datetime) -> Claim:
    later: defaultdict[Later, list[Item]] = defaultdict(list)
    over: list[Ending] = []
    for item in claim.items:
        verdict = verdicts.get(item.ord)
        if isinstance(verdict, Later):
            later[verdict].append(item)
        elif verdict is not None:
            over.append(Ending(item.message_id, item.attempt, verdict))
    record(db, store, Held(batch_id=claim.batch_id, fence=claim.fence), over, at, transport="")
    for one, items in later.items():
        move(db, store, claim, {item.ord for item in items}, one.until, claim.destination, one.waits_for)
    return replace(claim, items=tuple(item for item in claim.items if verdicts.get(item.ord) is None))


def _give_turns(db: sa.Connection, message_ids: Sequence[int], at: datetime) -> None:
    for some in chunks(message_ids, _IDS_A_QUERY):
        db.execute(sa.update(message).where(among(message.c.id, some)).values(turn_at=at))


def _is_mine(db: sa.Connection, claim: Claim) -> bool:
    mine = (batch.c.id == claim.batch_id, batch.c.fence == claim.fence, batch.c.state == BatchState.LEASED)
    return db.execute(sa.select(batch.c.id).where(*mine).with_for_update()).first() is not None


_PLANS = sa.select(
    plan.c.id,
    plan.c.campaign,
    plan.c.priority,
    plan.c.definition,
    plan.c.released_at,
    sa.func.coalesce(plan.c.definition["message_class"].as_string(), "marketing").label("message_class"),
    sa.and_(
        plan.c.state == PlanState.RELEASED,
        sa.func.coalesce(campaign.c.state, CampaignState.RUNNING).not_in(HELD_BACK),
    ).label("may_go"),
).outerjoin(campaign, campaign.c.name == plan.c.campaign)

# Apart, so that either is a range of the index on contact and moment of sending.
_SENT = sa.select(message.c.id, message.c.contact_id, message.c.plan_id, message.c.sent_at).where(
    message.c.sent_at > sa.bindparam("since", type_=message.c.sent_at.type), message.c.state == MessageState.SENT
)
_UNSENT = (
    sa.select(
        message.c.id,
        message.c.contact_id,
        message.c.plan_id,
        message.c.state,
        message.c.send_at,
        message.c.turn_at,
        batch.c.state.label("batch_state"),
        batch.c.not_before,
    )
    .outerjoin(batch_item, batch_item.c.message_id == message.c.id)
    .outerjoin(attempt, (attempt.c.message_id == message.c.id) & (attempt.c.n == batch_item.c.attempt))
    .outerjoin(batch, batch.c.id == batch_item.c.batch_id)
    .where(
        message.c.sent_at.is_(None),
        sa.or_(
            message.c.state.in_([MessageState.PLANNED, MessageState.CLAIMED]) & attempt.c.n.is_(None),
            (message.c.state == MessageState.UNCERTAIN)
            & (
                sa.func.coalesce(message.c.turn_at, message.c.send_at)
                > sa.bindparam("since", type_=message.c.sent_at.type)
            ),
        ),
    )
)
