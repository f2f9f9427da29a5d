"""How do the variants compare? In turns, A B C, A B C, A B C, each beside the baseline of its own round.

On a machine with neighbours no rate means anything by itself; the ratio within a round does, and so does the CPU a
message. Every run gets a fresh copy of the workspace and a fresh mail server; its counts must agree with the ledger's.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from benchmarks import people
from benchmarks.meter import Cost, RunFailed, run_foreign, run_together
from benchmarks.reference import Reference
from benchmarks.sinks import Kind, Sink, postfix_tool
from engine import ledger, pipeline
from engine.store.tables import attempt, message

SOURCE, SOURCE_CHEAP = "smtp-source -s 8 -d", "smtp-source -s 8 -d into the cheap sink"
PLAIN, SIGNED, CHEAP = "engine, no DKIM", "engine, RSA-2048", "engine, no DKIM, into the cheap sink"
NAIVE, DRY = "naive Python, RSA-2048", "dry run"
YARDSTICK = "yardstick: an RSA-2048 signature by itself"


_SIGNATURES = 1_000


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is measured."""

    rounds: int = 3
    contacts: int = 20_000
    messages: int = 8_000
    source: int = 12_000  # of smtp-source, which sends fixed bytes
    naive: int = 100
    processes: int = 2


@dataclass(frozen=True, kw_only=True)
class Run:
    """One variant in one round."""

    variant: str
    messages: int
    cost: Cost
    sink_us: float = 0.0

    @property
    def rate(self) -> float:
        """Messages a second."""
        return self.messages / self.cost.seconds

    @property
    def client_us(self) -> float:
        """CPU a message of the sending side."""
        return self.cost.cpu / self.messages * 1e6


@dataclass(kw_only=True)
class Bench:
    """What all runs share: the workspace they copy, the servers they may use."""

    folder: Path
    size: Size
    reference: Reference
    octets: int  # of the reference message on the wire
    sink: Kind  # Postfix's, or what stands in for it
    cheap: Kind | None
    runs: list[Run] = field(default_factory=list)

    def play(self, told: Callable[[str], None]) -> None:
        """All rounds."""
        for number in range(1, self.size.rounds + 1):
            for variant, run in self._variants():
                one = run()
                self.runs.append(one)
                told(f"round {number}: {variant}: {one.client_us:,.0f} us CPU a message, {one.rate:,.0f} a second")

    def of(self, variant: str) -> list[Run]:
        """The runs of a variant, a round each; empty when it was left out."""
        return [run for run in self.runs if run.variant == variant]

    def engine(self, variant: str, kind: Kind, *, signed: bool, processes: int, watched: bool = False) -> Run:
        """The engine's own senders."""
        with self._sink(kind) as sink, self._workspace(sink.port, signed=signed) as mine:
            before = sink.cpu_seconds()
            more = ("watched",) if watched else ()
            senders = [("sender", mine.folder, mine.plan_id, mine.warm_ups[n], *more) for n in range(processes)]
            cost = run_together(*senders)
            used = _received(variant, sink, mine.messages + processes * people.WARM_UP_PEOPLE) - before
            _check_ledger(mine)
            return Run(variant=variant, messages=mine.messages, cost=cost, sink_us=used / mine.messages * 1e6)

    def _variants(self) -> Iterator[tuple[str, Callable[[], Run]]]:
        yield YARDSTICK, self._yardstick
        source, two = postfix_tool("smtp-source"), self.size.processes
        if source and self.sink.is_postfix:
            yield SOURCE, lambda: self._source(SOURCE, source, self.sink, self.size.source)
        yield PLAIN, lambda: self.engine(PLAIN, self.sink, signed=False, processes=two)
        yield SIGNED, lambda: self.engine(SIGNED, self.sink, signed=True, processes=two)
        cheap = self.cheap
        if source and cheap:
            yield SOURCE_CHEAP, lambda: self._source(SOURCE_CHEAP, source, cheap, 2 * self.size.source)
        if cheap:
            yield CHEAP, lambda: self.engine(CHEAP, cheap, signed=False, processes=two)
        yield NAIVE, self._naive
        yield DRY, self._dry

    def _source(self, variant: str, program: str, kind: Kind, messages: int) -> Run:
        with self._sink(kind) as sink:
            before = sink.cpu_seconds()
            size = ("-m", str(messages), "-l", str(self.octets))
            cost = run_foreign([program, "-s", "8", "-d", *size, f"127.0.0.1:{sink.port}"])
            used = _received(variant, sink, messages) - before
            return Run(variant=variant, messages=messages, cost=cost, sink_us=used / messages * 1e6)

    def _naive(self) -> Run:
        with self._sink(self.sink) as sink, self._workspace(sink.port, signed=False) as mine:
            before, count = sink.cpu_seconds(), min(self.size.naive, mine.messages)
            cost = run_together(("naive", mine.folder, mine.plan_id, count, sink.port))
            used = _received(NAIVE, sink, count) - before
            return Run(variant=NAIVE, messages=count, cost=cost, sink_us=used / count * 1e6)

    def _dry(self) -> Run:
        with self._workspace(1, signed=False) as mine:
            cost = run_together(("dry", mine.folder, mine.plan_id, mine.warm_ups[0]))
            return Run(variant=DRY, messages=mine.messages, cost=cost)

    def _yardstick(self) -> Run:
        return Run(variant=YARDSTICK, messages=_SIGNATURES, cost=run_together(("yardstick", _SIGNATURES)))

    @contextmanager
    def _sink(self, kind: Kind) -> Iterator[Sink]:
        sink = Sink(kind, self.folder)
        try:
            yield sink
        finally:
            sink.end()

    @contextmanager
    def _workspace(self, port: int, *, signed: bool) -> Iterator[Reference]:
        """A copy of which nothing has been sent yet."""
        folder = self.folder / "run"
        try:
            yield self.reference.copy(folder, port, signed=signed)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _received(variant: str, sink: Sink, expected: int) -> float:
    """CPU seconds that the server has used; RunFailed when it took more or fewer messages than were sent."""
    used = sink.cpu_seconds()
    if (took := sink.end()) != expected:
        raise RunFailed(f"{variant}: {expected} messages were sent, the server took {took}")
    return used


def _check_ledger(mine: Reference) -> None:
    """Every message has its outcome, and one attempt each."""
    mailer = pipeline.open_mailer(mine.folder)
    try:
        counts = ledger.counts(mailer.store, mine.plan_id)
        tried = sa.select(sa.func.count()).select_from(attempt.join(message, message.c.id == attempt.c.message_id))
        with mailer.store.read() as db:
            attempts = db.scalar(tried.where(message.c.plan_id == mine.plan_id))
    finally:
        mailer.store.close()
    if not counts["sent"] == attempts == mine.messages:
        raise RunFailed(f"{mine.messages} messages: the ledger holds {counts['sent']} sent, {attempts} attempts")
