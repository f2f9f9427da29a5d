"""Workers of several machines on one PostgreSQL, the hints between them, and what became of everybody's mail."""

import shutil
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from faulty_server import FaultyServer
from running_shop import until
from sender_host import SenderHost, Worker
from story_shop import Shop, in_state, standings

from engine import ledger
from engine.model import MessageState
from engine.store.tables import batch

NEVER = 3600.0  # seconds: who looks as seldom as this works by hints alone


@dataclass
class Fleet:
    """A shop on PostgreSQL, its mail server, and the workers that a test starts."""

    shop: Shop
    host: SenderHost
    server: FaultyServer
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shop.configure(self.server.port)
        self.mailer = self.shop.open()

    def machine(self, name: str) -> Path:
        """The folder that another machine has: settings and secret, and nothing else."""
        folder = self.shop.folder.parent / name
        folder.mkdir()
        for file in ("config.toml", "secret.key"):
            shutil.copy(self.shop.folder / file, folder / file)
        return folder

    def worker(
        self, folder: Path | None = None, machine: str = "", look: float = 0, **hardships: Sequence[Any]
    ) -> Worker:
        """Start one."""
        where = folder or self.shop.folder
        self.workers.append(self.host.start("work", where, machine=machine, look=look, hardships=hardships))
        return self.workers[-1]

    def listening(self, number: int) -> None:
        """Wait until so many workers take hints, and one of them rests: it has followed a hint that meant nothing."""
        until(lambda: number == len(self.hints("SELECT id FROM procrastinate_workers")), "no worker takes hints")
        self.hints("INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('send', 'look', "
                   "jsonb_build_object('plan', 0, 'batch', 0))")  # fmt: skip
        until(lambda: [] == self.hints(), "nobody follows hints")

    def hints(self, statement: str = "SELECT queueing_lock FROM procrastinate_jobs ORDER BY id") -> list[Any]:
        """What lies in the hints' tables."""
        with self.mailer.store.write() as db:
            db.exec_driver_sql("SET LOCAL search_path TO mailer_hints")
            found = db.exec_driver_sql(statement)
            return list(found.scalars()) if found.returns_rows else []

    def counts(self, plan: int) -> dict[str, int]:
        """How many messages stand where."""
        found = ledger.counts(self.mailer.store, plan)
        return {key: int(str(found[key])) for key in ("sent", "waiting", "claimed", "uncertain")}  # type: ignore[literal-required]

    def all_sent(self, plan: int, seconds: float = 60) -> None:
        """Wait until nobody of this plan waits any more."""
        until(lambda: not self.is_open(plan), f"{self.counts(plan)}", seconds)

    def is_open(self, plan: int) -> bool:
        """Whether some batch of it is not through."""
        with self.mailer.store.read() as db:
            left = sa.select(batch.c.id).where(batch.c.plan_id == plan, batch.c.state != "done").limit(1)
            return db.execute(left).first() is not None

    def holders(self) -> list[Worker]:
        """The workers that hold a batch; those that were killed with one, too, until it is taken over."""
        with self.mailer.store.read() as db:
            names = db.scalars(sa.select(batch.c.owner).where(batch.c.state == "leased"))
            owners = {int(name.split("|")[2]) for name in names}
        return [one for one in self.workers if one.pid in owners]

    def stop(self, *workers: Worker) -> None:
        """End them in order; all, where none is named."""
        for one in workers or self.workers:
            if one.is_alive():
                one.signal(signal.SIGTERM)
        for one in workers or self.workers:
            one.wait(30)

    def assert_once_each(self, plan: int, *, in_doubt_at_most: int = 0) -> int:
        """Nobody got two, nobody is lost; gives how many are in doubt."""
        found, took = dict(standings(self.mailer, plan)), self.server.recipients()
        sent, doubt = in_state(found, MessageState.SENT), in_state(found, MessageState.UNCERTAIN)
        assert [] == [one for one, times in took.items() if times > 1]
        assert set() == found.keys() - sent - doubt, "lost"
        assert sent == took.keys() - doubt, "the ledger and the server differ"
        assert len(doubt) <= in_doubt_at_most
        return len(doubt)
