"""A small shop lived through in virtual time by the live engine: the clock jumps to the next thing that is due.

And the same people, doing the same, for the simulator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from engine import audience, journeys, ledger, pipeline
from engine.clock import clock_set_to
from engine.journeys.admitting import publish_base
from engine.journeys.simulating.behaviour import NOTHING, ORDER, Answer, Happening, Letter
from engine.journeys.simulating.crowd import Crowd, Who
from engine.journeys.simulating.person import Person
from engine.pipeline import Mailer
from engine.pipeline.repeating import arm, run_repeats
from engine.pipeline.sending import send_due
from engine.pipeline.stopping import Stop
from engine.store import to_micros
from engine.store.tables import batch, contact, enrolment, event, hit, message, order_line, orders, schedule, watch

BEGIN = datetime(2026, 3, 2, 7, 13, 20, tzinfo=UTC)
CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
url = "https://shop.example"
timezone = "Europe/Helsinki"
[sender]
from = "Corner Shop <hello@shop.example>"
allow_test_domains = true
[transport.main]
kind = "outbox"
[clock]
fixed_at = 2026-03-02T07:13:20Z
{limits}
"""
NOTE = """<mjml><mj-head><mj-title>News</mj-title></mj-head><mj-body><mj-section><mj-column>
<mj-text>Something new has come in.</mj-text>
<mj-text>[[ shop.name ]], [[ shop.postal_address ]] <a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
_HEAD = "email,timezone,country,tags,mailing_consent,consent_source,tracking_consent,birth_date\n"
_SOON = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Deed:
    """What somebody does: an order, an event of a kind, or an opt-out."""

    who: int
    at: datetime
    what: str = ORDER


@dataclass(frozen=True, kw_only=True)
class Click:
    """She clicks in the nth mail of this name, so long after it came."""

    who: int
    mail: str
    nth: int
    after: timedelta


@dataclass(kw_only=True)
class Story:
    """Who there is, what runs, and what everybody does."""

    folder: Path
    people: Sequence[str]  # rows of a contacts file; the nth is contact n, from 1
    segments: Mapping[str, str] = field(default_factory=dict)
    journeys: Mapping[str, str] = field(default_factory=dict)
    campaigns: Mapping[str, str] = field(default_factory=dict)
    deeds: Sequence[Deed] = ()
    clicks: Sequence[Click] = ()
    limits: str = ""

    def open(self) -> Mailer:
        """The workspace, as it is before anything runs: everybody bought one thing once."""
        self.folder.mkdir()
        (self.folder / "segments.toml").write_text(
            "".join(f'[{name}]\nwhere = """{rule}"""\n' for name, rule in self.segments.items())
        )
        for kind, files in (("journeys", self.journeys), ("campaigns", self.campaigns)):
            (self.folder / kind).mkdir()
            for name, text in files.items():
                (self.folder / kind / f"{name}.toml").write_text(text)
        (self.folder / "templates" / "note").mkdir(parents=True)
        (self.folder / "templates" / "note" / "en.mjml").write_text(NOTE)
        pipeline.init(self.folder, CONFIG.format(limits=self.limits))
        for path in (self.folder / "campaigns").glob("*.toml"):
            if path.stem not in self.campaigns:
                path.unlink()
        for path in (self.folder / "journeys").glob("*.toml"):
            if path.stem not in self.journeys:
                path.unlink()
        mailer = pipeline.open_mailer(self.folder)
        rows = [f"p{n}@shop.example,{row}" for n, row in enumerate(self.people, start=1)]
        _import(mailer, "contacts", _HEAD + "\n".join(rows) + "\n")
        bought = [f"o{n},p{n}@shop.example,2025-09-01T10:00:00Z,t,1,5.00" for n in range(1, len(rows) + 1)]
        _import(
            mailer, "orders", "order_id,email,ordered_at,product_id,quantity,unit_price\n" + "\n".join(bought) + "\n"
        )
        pipeline.refresh(mailer, BEGIN, _quiet)
        return mailer


class LiveShop:
    """The live engine over a story."""

    def __init__(self, story: Story, mailer: Mailer) -> None:
        self._story, self._mailer, self._number = story, mailer, 0
        self._deeds = sorted(story.deeds, key=lambda one: one.at)
        self._clicks: list[tuple[datetime, int]] = []  # when, and in which message
        self._sent: set[int] = set()
        self._now = BEGIN

    def live(self, until: datetime) -> list[tuple[str, int, datetime]]:
        """Live on up to a moment; gives every mail that went out so far: of what, to whom, when."""
        mailer = self._mailer
        if self._now == BEGIN:
            for name in self._story.journeys:
                journeys.start(mailer, name, BEGIN)
                publish_base(mailer, name, BEGIN)
            for name in self._story.campaigns:
                arm(mailer, name, BEGIN)
        while self._now < until:
            self._tick(self._now)
            self._now = self._next(self._now)
        wanted = sa.select(message.c.campaign, message.c.contact_id, message.c.sent_at)
        with mailer.store.read() as db:
            rows = db.execute(wanted.where(message.c.sent_at.is_not(None), message.c.sent_at < until))
            return sorted((row.campaign, row.contact_id, row.sent_at) for row in rows)

    def _tick(self, now: datetime) -> None:
        mailer = replace(self._mailer, clock=clock_set_to(now))
        while self._deeds and self._deeds[0].at <= now:
            self._do(self._deeds.pop(0))
        for at, message_id in [one for one in self._clicks if one[0] <= now]:
            self._click(message_id, at)
        run_repeats(mailer, now)
        for step in (journeys.enter, journeys.advance):
            step(mailer, now)
        # A tag that a journey gave brings somebody in by the next tick.
        for step in (journeys.enter, journeys.advance):
            step(mailer, now)
        send_due(mailer, Stop())
        self._expect_clicks(now)

    def _next(self, now: datetime) -> datetime:
        later = [BEGIN + timedelta(days=10_000), *(one.at for one in self._deeds), *(one[0] for one in self._clicks)]
        with self._mailer.store.read() as db:
            for column in (enrolment.c.due_at, watch.c.look_at, schedule.c.next_due_at):
                later.append(db.scalar(sa.select(sa.func.min(column)).where(column > now)) or later[0])
            soonest = sa.select(sa.func.min(batch.c.not_before)).where(
                batch.c.state != "done", batch.c.not_before > now
            )
            later.append(db.scalar(soonest) or later[0])
        return min(one for one in later if one > now)

    def _do(self, deed: Deed) -> None:
        self._number += 1
        store = self._mailer.store
        if deed.what == "opt_out":
            state = self._mailer.settings.state_dir
            audience.opt_out(store, self._mailer.keys, deed.who, deed.at, "a test", state)
            ledger.touch_all(store, [deed.who])
            return
        with store.write() as db:
            if deed.what == ORDER:
                new = {"order_id": f"x{self._number}", "contact_id": deed.who, "ordered_at": deed.at}
                key = db.execute(orders.insert().values(new)).inserted_primary_key[0]
                line = {"order_pk": key, "line_no": 1, "product_id": "t", "quantity": 1.0, "unit_price_cents": 500}
                db.execute(order_line.insert().values(line | {"revenue_cents": 500}))
            else:
                new = {"event_id": f"e{self._number}", "contact_id": deed.who, "kind": deed.what, "at": deed.at}
                db.execute(event.insert().values(new))
            db.execute(contact.update().where(contact.c.id == deed.who).values(changed=True))

    def _expect_clicks(self, now: datetime) -> None:
        with self._mailer.store.read() as db:
            rows = db.execute(sa.select(message).where(message.c.sent_at.is_not(None)).order_by(message.c.id)).all()
        nth: dict[tuple[str, int], int] = {}
        for row in rows:
            key = (row.campaign, row.contact_id)
            nth[key] = nth.get(key, 0) + 1
            if row.id not in self._sent:
                self._sent.add(row.id)
                for one in self._story.clicks:
                    if (one.mail, one.who, one.nth) == (*key, nth[key]):
                        self._clicks.append((row.sent_at + one.after, row.id))

    def _click(self, message_id: int, at: datetime) -> None:
        self._clicks.remove((at, message_id))
        self._number += 1
        with self._mailer.store.write() as db:
            whose = db.scalar(sa.select(message.c.contact_id).where(message.c.id == message_id))
            row = {
                "spool_id": f"s{self._number}",
                "kind": "click",
                "message_id": message_id,
                "site": 0,
                "occurrence": 0,
            }
            db.execute(hit.insert().values(row | {"at": at, "method": "GET", "verdict": "human"}))
        ledger.touch_all(self._mailer.store, [whose])


class Scripted:
    """The same people for the simulator."""

    newcomers: Sequence[Who] = ()

    def __init__(self, story: Story, crowd: Crowd) -> None:
        self._story, self._crowd = story, crowd

    def happenings(self, place: int) -> list[Happening]:
        whose = int(self._crowd.ids[place])
        like = self._crowd.orders.of(place).start
        hers = sorted((one for one in self._story.deeds if one.who == whose), key=lambda one: one.at)
        return [Happening(to_micros(one.at), one.what, like if one.what == ORDER else -1) for one in hers]

    def answer(self, one: Person, _place: int, letter: Letter) -> Answer:
        for each in self._story.clicks:
            if (each.who, each.mail, each.nth) == (one.contact_id, letter.name, letter.nth):
                return Answer(clicked=each.after // _SOON)
        return NOTHING


def _import(mailer: Mailer, kind: str, text: str) -> None:
    path = mailer.folder / f"{kind}.csv"
    path.write_text(text, encoding="utf-8")
    found = pipeline.import_file(mailer, kind, path, {}, "", "point", _quiet)
    assert not found.refused


def _quiet(_done: int, _total: int | None) -> None:
    """Nobody looks."""
