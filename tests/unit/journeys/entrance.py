"""The entrance of journeys, as a test sets it up: people and what they do, journeys as values, ticks at any moment."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine import journeys, ledger
from engine.clock import clock_set_to
from engine.config import load_settings, new_key
from engine.journeys.admitting import publish_base
from engine.journeys.definition import Journey, Start, StartKind, Wait
from engine.links import Keys
from engine.model import CampaignState, EnrolmentState
from engine.pipeline import Mailer
from engine.store import Store
from engine.store.tables import contact, contact_attribute, enrolment, event, missed, orders, watch

CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
timezone = "{zone}"
[sender]
from = "Corner Shop <hello@shop.example>"
[transport.main]
kind = "outbox"
"""
REST = (Wait(id="rest", span=timedelta(days=3)),)


def moment(text: str) -> datetime:
    """`2026-03-01` or `2026-03-01 12:30`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def by_segment(name: str = "story", segment: str = "chosen", **more: Any) -> Journey:
    return Journey(name=name, start=Start(kind=StartKind.SEGMENT, name=segment), steps=REST, **more)


def by_event(kind: str = "cart", where: str = "", **more: Any) -> Journey:
    return Journey(name="story", start=Start(kind=StartKind.EVENT, name=kind, where=where), steps=REST, **more)


def by_order(where: str = "", **more: Any) -> Journey:
    return Journey(name="story", start=Start(kind=StartKind.ORDER, where=where), steps=REST, **more)


def by_day(name: str = "birth_date", **start: Any) -> Journey:
    return Journey(
        name="story",
        start=Start(kind=StartKind.DATE, name=name, **start),
        steps=REST,
        reentry=timedelta(0),
    )


class Entrance:
    def __init__(self, store: Store, folder: Path, segments: Mapping[str, str], zone: str = "Europe/Helsinki") -> None:
        (folder / "config.toml").write_text(CONFIG.format(zone=zone))
        new_key(folder / "secret.key")
        self.store, self.folder, self._number = store, folder, 0
        self.write_segments(segments)
        settings = load_settings(folder)
        clock = clock_set_to(moment("2026-03-01"))
        self.mailer = Mailer(
            folder=folder, settings=settings, store=store, keys=Keys(b"a test's secret, 32 bytes long.."), clock=clock
        )

    def write_segments(self, segments: Mapping[str, str]) -> None:
        text = "".join(f'[{name}]\nwhere = """{where}"""\n' for name, where in segments.items())
        (self.folder / "segments.toml").write_text(text)

    def contact(self, contact_id: int, created: str = "2025-01-01", **columns: Any) -> int:
        address = f"p{contact_id}@shop.example"
        values = {"email": address, "address_key": address, "created_at": moment(created), **columns}
        with self.store.write() as db:
            db.execute(contact.insert().values(id=contact_id, changed=True, **values))
        return contact_id

    def change(self, contact_id: int, **columns: Any) -> None:
        """As an import changes her."""
        with self.store.write() as db:
            db.execute(contact.update().where(contact.c.id == contact_id).values(changed=True, **columns))

    def tag(self, contact_id: int, *tags: str) -> None:
        self.change(contact_id, tags=list(tags))

    def attribute(self, contact_id: int, name: str, value: str) -> None:
        with self.store.write() as db:
            row = self.store.insert(contact_attribute).values(contact_id=contact_id, name=name, value=value)
            keys = ["contact_id", "name"]
            db.execute(row.on_conflict_do_update(index_elements=keys, set_={"value": row.excluded.value}))
        self.change(contact_id)

    def order(self, contact_id: int, at: str) -> None:
        self._number += 1
        with self.store.write() as db:
            new = {"order_id": f"o{self._number}", "contact_id": contact_id, "ordered_at": moment(at)}
            db.execute(orders.insert().values(new))
        self.change(contact_id)

    def event(self, contact_id: int, at: str, kind: str = "cart") -> None:
        self._number += 1
        with self.store.write() as db:
            new = {"event_id": f"e{self._number}", "contact_id": contact_id, "kind": kind, "at": moment(at)}
            db.execute(event.insert().values(new))
        self.change(contact_id)

    def publish(self, journey: Journey, at: str) -> None:
        """As `mailer journey start` does."""
        self.publish_unseen(journey, at)
        publish_base(self.mailer, journey.name, moment(at))

    def publish_unseen(self, journey: Journey, at: str) -> None:
        """Killed before the base was looked at."""
        when = moment(at)
        ledger.publish(self.store, journey.name, journeys.to_json(journey), journeys.digest(journey), when)
        ledger.set_journey_state(self.store, journey.name, CampaignState.RUNNING, "", when)

    def tick(self, at: str) -> None:
        journeys.enter(self.mailer, moment(at))

    def ends(self, contact_id: int, at: str) -> None:
        """Her way through the journey is over."""
        over = {"state": EnrolmentState.DONE, "due_at": None, "ended_at": moment(at)}
        mine = (enrolment.c.contact_id == contact_id, enrolment.c.state == EnrolmentState.WAITING)
        with self.store.write() as db:
            db.execute(enrolment.update().where(*mine).values(over))

    def came(self) -> list[int]:
        """Who came in, as often as they did, by number."""
        with self.store.read() as db:
            return list(db.scalars(sa.select(enrolment.c.contact_id).order_by(enrolment.c.contact_id)))

    def causes(self) -> list[str]:
        """What brought each of them in."""
        with self.store.read() as db:
            return list(db.scalars(sa.select(enrolment.c.cause).order_by(enrolment.c.id)))

    def lost(self) -> list[str]:
        """What was missed."""
        with self.store.read() as db:
            return list(db.scalars(sa.select(missed.c.occurrence).order_by(missed.c.occurrence)))

    def look_at(self, contact_id: int) -> datetime | None:
        """When the journey looks at her again by itself."""
        with self.store.read() as db:
            return db.scalar(sa.select(watch.c.look_at).where(watch.c.contact_id == contact_id))

    def touched(self) -> list[int]:
        """Whom the journeys have yet to look at."""
        return [one.contact_id for one in ledger.touched(self.store)]
