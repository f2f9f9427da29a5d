"""A journey of the stories' shop, and what became of everybody in it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa
from story_shop import Shop

from engine import journeys, ledger
from engine.clock import clock_set_to
from engine.ledger import Newcomer
from engine.pipeline import Mailer
from engine.store.tables import call, contact, enrolment, enrolment_step, message, plan_entry

STORY = """
start   = {{ hand = true }}
goal    = "event:bought"
{more}
{steps}
"""
MAIL_WAIT_MAIL = """
[[step]]
id   = "hello"
send = "note"

[[step]]
id   = "rest"
wait = "3 days"

[[step]]
id   = "again"
send = "note"
"""


def write_journey(shop: Shop, steps: str, more: str = "", name: str = "story") -> str:
    """A file of journeys/."""
    folder = shop.folder / "journeys"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(STORY.format(steps=steps, more=more))
    return name


def let_in(mailer: Mailer, name: str, ids: Sequence[int], at: datetime, held_out: bool = False, cause: str = "") -> int:
    """Enrol them on the version that runs."""
    found = ledger.journey_of(mailer.store, name)
    assert found is not None
    first = journeys.from_json(found.definition).first
    newcomers = [
        Newcomer(journey=name, version=found.version, contact_id=one, cause=cause, held_out=held_out, step=first)
        for one in ids
    ]
    return ledger.enrol(mailer.store, newcomers, at, None)


def contacts(mailer: Mailer, number: int) -> list[int]:
    """The ids of the first of the shop's people."""
    with mailer.store.read() as db:
        return list(db.scalars(sa.select(contact.c.id).order_by(contact.c.id).limit(number)))


def stands_at(mailer: Mailer, at: datetime) -> Mailer:
    """The same workspace, at another moment."""
    return replace(mailer, clock=clock_set_to(at))


def states(mailer: Mailer, name: str = "story") -> Mapping[tuple[str, str], int]:
    """How many enrolments stand in which state at which step."""
    with mailer.store.read() as db:
        rows = db.execute(sa.select(enrolment.c.state, enrolment.c.step).where(enrolment.c.journey == name)).all()
    return Counter((row.state, row.step) for row in rows)


def ways(mailer: Mailer) -> Mapping[int, list[tuple[int, str, str, str]]]:
    """Every step that was done, by enrolment: visit, step, result and where it led."""
    found: dict[int, list[tuple[int, str, str, str]]] = {}
    with mailer.store.read() as db:
        rows = db.execute(sa.select(enrolment_step).order_by("enrolment_id", "visit")).all()
    for row in rows:
        found.setdefault(row.enrolment_id, []).append((row.visit, row.step, row.result, row.leads_to))
    return found


def mails(mailer: Mailer) -> Mapping[str, int]:
    """How many messages there are, by campaign."""
    with mailer.store.read() as db:
        rows = db.execute(sa.select(message.c.campaign, sa.func.count()).group_by(message.c.campaign)).all()
    return {row[0]: row[1] for row in rows}


def entries(mailer: Mailer) -> Mapping[tuple[str, str], int]:
    """How many plan entries there are, by state and reason."""
    with mailer.store.read() as db:
        rows = db.execute(sa.select(plan_entry.c.state, plan_entry.c.reason)).all()
    return Counter((row.state, row.reason) for row in rows)


def called(mailer: Mailer) -> int:
    """How many webhooks were ordered."""
    with mailer.store.read() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(call)) or 0
