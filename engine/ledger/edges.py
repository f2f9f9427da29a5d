"""How many went which way through a journey, where do people stand, and where did they end? For its drawing."""

from collections.abc import Iterator

import sqlalchemy as sa

from engine.model import EnrolmentState, MessageState
from engine.store import Store
from engine.store.tables import enrolment, enrolment_step, message, plan

_TIMES = sa.func.count()


def edge_counts(
    store: Store, journey: str, version: int | None = None, *, held_out: bool | None = None
) -> dict[tuple[str, str, str], int]:
    """How often each way was gone, by step, what came of it, and where it led.

    Of one version: by those who are in it, or ended in it. `held_out` leaves only the holdout, or only the others.
    """
    done = enrolment_step
    wanted = sa.select(done.c.step, done.c.result, done.c.leads_to, _TIMES).where(done.c.journey == journey)
    whose = list(_whose(version, held_out))
    if whose:
        wanted = wanted.join(enrolment, enrolment.c.id == done.c.enrolment_id).where(*whose)
    with store.read() as db:
        rows = db.execute(wanted.group_by(done.c.step, done.c.result, done.c.leads_to)).all()
    return {(step, result, leads_to): times for step, result, leads_to, times in rows}


def standing_by_step(
    store: Store, journey: str, version: int | None = None, *, held_out: bool | None = None
) -> dict[str, int]:
    """How many are inside, by the step at which they stand."""
    wanted = sa.select(enrolment.c.step, _TIMES).where(
        enrolment.c.journey == journey, enrolment.c.state == EnrolmentState.WAITING, *_whose(version, held_out)
    )
    with store.read() as db:
        rows = db.execute(wanted.group_by(enrolment.c.step)).all()
    return {row[0]: row[1] for row in rows}


def ends_by_step(
    store: Store, journey: str, version: int | None = None, *, held_out: bool | None = None
) -> dict[tuple[str, str], int]:
    """How many are no longer inside, by the step at which it ended (`end`: behind the last) and by their state."""
    wanted = sa.select(enrolment.c.step, enrolment.c.state, _TIMES).where(
        enrolment.c.journey == journey, enrolment.c.state != EnrolmentState.WAITING, *_whose(version, held_out)
    )
    with store.read() as db:
        rows = db.execute(wanted.group_by(enrolment.c.step, enrolment.c.state)).all()
    return {(step, state): people for step, state, people in rows}


def mails_sent(store: Store, journey: str) -> int:
    """How many of its mails went out."""
    mine = sa.func.substr(plan.c.campaign, 1, len(journey) + 1) == f"{journey}/"
    went = message.c.state == MessageState.SENT
    with store.read() as db:
        return db.scalar(sa.select(_TIMES).select_from(plan).join(message).where(mine, went)) or 0


def _whose(version: int | None, held_out: bool | None) -> Iterator[sa.ColumnElement[bool]]:
    if version is not None:
        yield enrolment.c.version == version
    if held_out is not None:
        yield enrolment.c.held_out.is_(held_out)
