"""A shop with caps and quiet hours, whose messages go out by a clock that the test turns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from engine import ledger
from engine.config import load_settings
from engine.ledger import Claim
from engine.links import Keys
from engine.model import EntryState, MessageState, Outcome, PlanEntry
from engine.pipeline.arbitrating import Arbiter
from engine.pipeline.workspace import Mailer
from engine.store import Store
from engine.store.tables import batch, contact, message, plan

KEYS = Keys(b"a secret of thirty-two characters")
SENT = Outcome(state=MessageState.SENT, reply="250 ok", stage=".")
CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street"
timezone = "{zone}"
[database]
url = "sqlite:///mailer.db"
[sender]
from = "hello@shop.example"
[transport.main]
kind = "outbox"
[tracking]
base_url = "https://mail.shop.example"
mode = "off"
{limits}
"""


@dataclass
class TurnShop:
    """Campaigns to few people, one sender or many, and a clock."""

    folder: Path
    store: Store
    now: datetime
    limits: str = ""
    zone: str = "Europe/Helsinki"
    _number: int = 0
    _arbiter: Arbiter | None = field(default=None)

    def open(self) -> Mailer:
        """The workspace, with the test's store and clock."""
        (self.folder / "config.toml").write_text(CONFIG.format(limits=self.limits, zone=self.zone))
        (self.folder / "secret.key").write_text("a secret of thirty-two characters")
        (self.folder / "secret.key").chmod(0o600)
        settings = load_settings(self.folder)
        return Mailer(folder=self.folder, settings=settings, store=self.store, keys=KEYS, clock=lambda: self.now)

    def person(self, **more: object) -> int:
        """A new contact; without more it is unknown where she lives."""
        self._number += 1
        name = f"p{self._number}-{self.now.timestamp():.0f}@shop.test"
        with self.store.write() as db:
            row = {"email": name, "address_key": name, "created_at": self.now, **more}
            return int(db.execute(sa.insert(contact).values(row).returning(contact.c.id)).scalar_one())

    def release(self, name: str, people: Sequence[int], **said: Any) -> int:
        """A released campaign to these; `said` is what its file would say."""
        send_at = said.pop("send_at", self.now)
        definition = {
            "name": name,
            "message_class": "marketing",
            "priority": 0,
            "expires": None,
            "max_lateness": None,
            "window": timedelta(days=14).total_seconds(),
            "transport": None,
            "goal": "order",
            **said,
        }
        entries = [
            PlanEntry(
                contact_id=one,
                email=None,
                state=EntryState.MESSAGE,
                variant="a",
                language="en",
                template_hash="t",
                send_at=send_at,
                context={"x": 1},
            )
            for one in people
        ]
        header = ledger.PlanHeader(campaign=name, occurrence="once", at=self.now, definition=definition)
        plan_id = ledger.freeze(self.store, header, entries)
        ledger.release(self.store, plan_id, self.now, KEYS)
        return plan_id

    def claim(self, plan_id: int | None = None, owner: str = "me") -> Claim | None:
        """The next batch, as it is claimed."""
        return ledger.claim(self.store, owner, self.now, plan_id)

    def let_go(self, claim: Claim) -> Claim | None:
        """Those of it who may go."""
        if self._arbiter is None:
            self._arbiter = Arbiter(self.open())
        return self._arbiter.let_go(claim, ledger.plan_of(self.store, claim.plan_id))

    def send_due(self, outcome: Outcome = SENT) -> None:
        """All that may go now goes."""
        while (claim := self.claim()) is not None:
            allowed = self.let_go(claim)
            if allowed is not None:
                self.hand_over(allowed, outcome)

    def hand_over(self, claim: Claim, outcome: Outcome = SENT) -> None:
        """The whole claim, answered with the same outcome."""
        last = claim.items[-1].ord + 1
        assert ledger.advance(self.store, claim, last, [], self.now, "main")
        assert ledger.finish(self.store, claim, [(item, outcome) for item in claim.items], self.now, "main")

    def run_through(self, until: datetime) -> None:
        """Send at every moment at which something comes up."""
        while True:
            self.send_due()
            coming = self.next_hour()
            if coming is None or coming > until:
                return
            self.now = coming

    def next_hour(self) -> datetime | None:
        """When the next batch comes up."""
        with self.store.read() as db:
            wanted = sa.select(sa.func.min(batch.c.not_before)).where(batch.c.state == "ready")
            return db.execute(wanted).scalar_one()

    def outcomes(self) -> dict[str, tuple[str, str, datetime | None]]:
        """State, reason and moment of sending by campaign, of campaigns with one message."""
        with self.store.read() as db:
            rows = db.execute(
                sa.select(plan.c.campaign, message.c.state, message.c.reason, message.c.sent_at).join(
                    message, message.c.plan_id == plan.c.id
                )
            )
            return {row.campaign: (row.state, row.reason, row.sent_at) for row in rows}

    def sent(self) -> dict[str, str]:
        """When the message of each campaign went out, UTC; only what did."""
        found = sorted((at, name) for name, (_, _, at) in self.outcomes().items() if at is not None)
        return {name: f"{at:%m-%d %H:%M}" for at, name in found}
