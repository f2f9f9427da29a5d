"""What speaks for stopping a campaign? How its messages ended and what came back, since somebody last let it go on."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from engine.ledger.events import BOUNCE
from engine.ledger.returns import COMPLAINT
from engine.model import MessageState, PlanState
from engine.replies import ACTIONS
from engine.store import Store, from_micros, to_micros
from engine.store.tables import RETURNED, attempt, event, message, plan

_REFUSED = [word for word, one in ACTIONS.items() if one.campaign == "count_refusal"]
_BLOCKED = [word for word, one in ACTIONS.items() if one.campaign == "count_block"]
_CONTENT = "content"
_LOOK_AT = 200  # content refusals, the latest
_VARIABLE = re.compile(r"<[^<>]*>|\S*\d\S*")  # queue ids, times, addresses: what differs in equal answers


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeCounts:
    """A plan's messages since its brake was last taken off. What was tried has an answer, or lost it."""

    tried: int = 0
    sent: int = 0
    refused: int = 0  # at once, or by a bounce: nobody lives there, or no better reason was given
    blocked: int = 0  # refused, put off or bounced for reputation, policy or content
    complaints: int = 0
    alike: int = 0  # refusals of the content in the same words
    words: str = ""  # these words


def brake_counts(store: Store, plan_id: int) -> BrakeCounts:
    """The counts by which the brake decides. Costs an index scan of the plan, and a look at what went wrong."""
    with store.read() as db:
        row = db.execute(sa.select(plan.c.released_at, plan.c.brake_base).where(plan.c.id == plan_id)).one()
        base: Mapping[str, int] = row.brake_base or {}
        counted = _counted(db, plan_id, row.released_at)
        alike, words = _alike(db, plan_id, base.get("at", 0))
    since = {name: max(0, number - base.get(name, 0)) for name, number in counted.items()}
    return BrakeCounts(**since, alike=alike, words=words)


def take_brake_off(store: Store, plan_id: int, at: datetime) -> None:
    """From now on the counts start anew: what came in so far has been looked at."""
    with store.read() as db:
        released_at = db.scalar(sa.select(plan.c.released_at).where(plan.c.id == plan_id))
        base = _counted(db, plan_id, released_at) | {"at": to_micros(at)}
    with store.write() as db:
        db.execute(sa.update(plan).where(plan.c.id == plan_id).values(brake_base=base))


def braking_plans(store: Store, campaign: str, since: datetime) -> list[int]:
    """The campaign's plans whose troubles matter now: released since then, or with somebody still to be mailed."""
    waiting = sa.exists().where(
        message.c.plan_id == plan.c.id, message.c.state.in_([MessageState.PLANNED, MessageState.CLAIMED])
    )
    wanted = sa.select(plan.c.id).where(plan.c.campaign == campaign, plan.c.state == PlanState.RELEASED)
    with store.read() as db:
        return list(db.scalars(wanted.where((plan.c.released_at >= since) | waiting).order_by(plan.c.id)))


def _counted(db: sa.Connection, plan_id: int, released_at: datetime | None) -> dict[str, int]:
    mine = message.c.plan_id == plan_id
    states = _numbers(db, message.c.state, mine)
    troubled = message.c.state.in_([MessageState.REFUSED, MessageState.DEFERRED])
    answers = _numbers(db, message.c.reason, mine, troubled)
    bounces, complaints = _returned(db, plan_id, released_at)
    answers += bounces
    ended = (MessageState.SENT, MessageState.REFUSED, MessageState.DEFERRED, MessageState.UNCERTAIN)
    return {
        "tried": sum(states[one] for one in ended),
        "sent": states[MessageState.SENT],
        "refused": sum(answers[one] for one in _REFUSED),
        "blocked": sum(answers[one] for one in _BLOCKED),
        "complaints": complaints,
    }


def _numbers(db: sa.Connection, column: "sa.Column[str]", *which: sa.ColumnElement[bool]) -> Counter[str]:
    wanted = sa.select(column, sa.func.count()).where(*which).group_by(column)
    return Counter({row[0]: row[1] for row in db.execute(wanted)})


def _returned(db: sa.Connection, plan_id: int, released_at: datetime | None) -> tuple[Counter[str], int]:
    """Bounces by reason, and complaints: events since the release, each with the id of its message behind the colon."""
    colon = sa.case((event.c.kind == BOUNCE, len(BOUNCE) + 2), else_=len(COMPLAINT) + 2)
    wanted = (
        sa.select(event.c.kind, event.c.properties)
        .join(message, message.c.delivery_id == sa.func.substr(event.c.event_id, colon))
        .where(sa.text(f"event.{RETURNED}"), event.c.at >= released_at, message.c.plan_id == plan_id)
    )
    bounces: Counter[str] = Counter()
    complaints = 0
    for kind, properties in db.execute(wanted):
        if kind == BOUNCE:
            bounces[str(properties.get("reason", ""))] += 1
        else:
            complaints += 1
    return bounces, complaints


def _alike(db: sa.Connection, plan_id: int, since: int) -> tuple[int, str]:
    """How many messages were refused for their content in the same words, and these; codes and ids don't count."""
    wanted = (
        sa.select(attempt.c.reply)
        .join(message, message.c.id == attempt.c.message_id)
        .where(
            message.c.plan_id == plan_id,
            message.c.state == MessageState.REFUSED,
            message.c.reason == _CONTENT,
            attempt.c.reason == _CONTENT,
            attempt.c.at > from_micros(since),
        )
        .order_by(attempt.c.at.desc())
        .limit(_LOOK_AT)
    )
    said = Counter(" ".join(_VARIABLE.sub(" ", reply).split()) for reply in db.scalars(wanted))
    ((words, number),) = said.most_common(1) or [("", 0)]
    return number, words
