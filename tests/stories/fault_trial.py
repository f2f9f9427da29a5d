"""One trial of the fault suite: a campaign goes out while something goes wrong; then every message is accounted for.

A seed decides what goes wrong when. It is printed with the result; MAILER_SEED repeats a run with another one.
"""

import os
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest
import sqlalchemy as sa
from faulty_server import DOUBTFUL, FINAL, FaultyServer
from sender_host import SenderHost, Worker
from story_shop import Shop, Standing, in_state, quiet, standings

from engine import ledger, pipeline
from engine.model import MessageState
from engine.store.tables import batch

SEED = int(os.environ.get("MAILER_SEED", "1"))
DEPTH = 1  # dots that one connection may have under way: what one kill leaves in doubt at most
Faulty = Callable[..., FaultyServer]  # `faulty(pause=0.01)`: a server that listens
_OPEN = ("waiting", "claimed", "deferred")
_ENDED = (MessageState.SENT, MessageState.REFUSED, MessageState.UNCERTAIN, MessageState.SKIPPED)
_ROUNDS = 14
_APART = timedelta(hours=6)  # between two rounds, on the operator's clock: greylisting and throttling have passed
_CONFIG = "\n[limits.brake]\nrefused = 0\nblocked = 0\n"  # the brake has its own stories


@dataclass(frozen=True, kw_only=True)
class Account:
    """How a plan's messages stand, beside what the server says."""

    messages: int
    sent: int
    refused: int
    uncertain: int
    uncertain_taken: int  # of them, how many the server has
    twice: int
    lost: int


@dataclass
class Trial:
    """A released plan, a server that remembers, and senders that end now and then."""

    name: str
    host: SenderHost
    shop: Shop
    server: FaultyServer
    capsys: pytest.CaptureFixture[str]
    plan: int = 0
    started: float = field(default_factory=time.monotonic)
    alive: list[Worker] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.random = Random(f"{SEED} {self.name}")
        self.mailer = self.shop.open()

    def release(self, tag: str, chunk: int = 100, timeout: float = 30, tls: str = "off", more: str = "") -> None:
        """Everybody with this tag is to get one; from here on messages may go out."""
        self.configure(timeout, tls, more)
        self.plan = self.shop.released(tag, chunk)
        self.mailer = self.shop.open()

    def configure(self, timeout: float = 30, tls: str = "off", more: str = "") -> None:
        """The workspace's settings; senders that start later have them."""
        self.shop.configure(self.server.port)
        file = self.shop.folder / "config.toml"
        text = file.read_text().replace("timeout = 30", f"timeout = {timeout}\n{more}")
        file.write_text(text.replace('tls = "off"', f'tls = "{tls}"') + _CONFIG)

    def start(self, **hardships: list[Any]) -> Worker:
        """One more sender."""
        worker = self.host.start("send_due", self.shop.folder, plan=self.plan, hardships=hardships)
        self.alive.append(worker)
        return worker

    def keep(self, number: int, **hardships: list[Any]) -> None:
        """As many senders as this at work: who ended, whyever, is followed by another as long as there is work."""
        for one in [one for one in self.alive if not one.is_alive()]:
            self.alive.remove(one)
            self.endings[str(one.wait().get("fault", "well"))] += 1
        while len(self.alive) < number and self.is_work_left():
            self.start(**hardships)

    def until(self, reached: Callable[[], bool], number: int = 2, **hardships: list[Any]) -> None:
        """Let so many work until then, or until there is nothing left to send."""
        while not reached():
            self.keep(number, **hardships)
            if not self.alive:
                return
            self.alive[0].rest(0.002)

    def wait(self) -> None:
        """Let all that work come to their end."""
        for one in self.alive:
            self.endings[str(one.wait().get("fault", "well"))] += 1
        self.alive.clear()

    def is_work_left(self) -> bool:
        """Whether some batch is not through."""
        with self.mailer.store.read() as db:
            left = sa.select(batch.c.id).where(batch.c.plan_id == self.plan, batch.c.state != "done").limit(1)
            return db.execute(left).first() is not None

    def holders(self) -> list[Worker]:
        """Those at work that hold a batch."""
        with self.mailer.store.read() as db:
            names = db.scalars(sa.select(batch.c.owner).where(batch.c.state == "leased"))
            owners = {int(name.split("|")[2]) for name in names}
        return [one for one in self.alive if one.pid in owners]

    def settle(self) -> None:
        """The dust settles: an operator resumes until nothing waits, her clock moving on."""
        self.wait()
        clock = self.mailer.clock
        for number in range(_ROUNDS):
            later = number * _APART
            mailer = replace(self.mailer, clock=lambda later=later: clock() + later)
            pipeline.resume(mailer, "story", None, quiet)
            if not self.open():
                return
        raise AssertionError(f"after {_ROUNDS} rounds there wait {self.open()}")

    def open(self) -> dict[str, int]:
        """What has not come to its end."""
        counts = ledger.counts(self.mailer.store, self.plan)
        return {key: int(str(counts[key])) for key in _OPEN if counts.get(key)}

    def found(self) -> dict[str, Standing]:
        """Every message by its recipient."""
        return dict(standings(self.mailer, self.plan))

    def assert_accounted(
        self, *, in_doubt_at_most: int = 0, skipped: frozenset[str] = frozenset(), **facts: object
    ) -> Account:
        """Nobody twice, nobody lost, everybody sent or with a true reason; and nobody in doubt without a cause.

        Who met a fault after the dot must be in doubt, and beside them at most so many, which the caller explains, as
        it does who was `skipped`.
        """
        found, took = self.found(), self.server.recipients()
        sent, refused, doubt, passed = (in_state(found, one) for one in _ENDED)
        lost = found.keys() - sent - refused - doubt - passed
        account = Account(
            messages=len(found),
            sent=len(sent),
            refused=len(refused),
            uncertain=len(doubt),
            uncertain_taken=len(doubt & took.keys()),
            twice=sum(took.values()) - len(took),
            lost=len(lost) + len(sent - took.keys()),
        )
        self._print(account, facts)
        assert 0 == account.twice, [one for one, times in took.items() if times > 1][:9]
        assert 0 == account.lost, [found[one] for one in sorted(lost)][:9]
        assert sent == took.keys() - doubt, "the ledger and the server differ"
        assert refused == self.server.met(*FINAL), "refused without a true reason"
        assert skipped == passed, "skipped without a true reason"
        met = self.server.met(*DOUBTFUL)
        assert met <= doubt, "somebody whose answer was lost is not in doubt"
        others = doubt - met - self.server.met("torn")  # the dot may have been under way when it tore the body
        assert len(others) <= in_doubt_at_most, [found[one] for one in sorted(others)][:9]
        counts = ledger.counts(self.mailer.store, self.plan)
        assert (len(sent), len(doubt)) == (counts["sent"], counts["uncertain"])
        return account

    def _print(self, account: Account, facts: dict[str, object]) -> None:
        kind = self.shop.url.partition(":")[0]
        told = ", ".join(f"{value} {key.replace('_', ' ')}" for key, value in facts.items())
        seconds = time.monotonic() - self.started
        with self.capsys.disabled():
            print(
                f"\n{self.name} on {kind}, MAILER_SEED={SEED}: {account.messages} messages, {told}: "
                f"{account.twice} twice, {account.lost} lost, {account.refused} refused, "
                f"{account.uncertain} uncertain ({account.uncertain_taken} taken), {seconds:.1f} s"
            )
