"""What was measured, in words and as JSON: the table, what each variant cost, and where the rest of the time goes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from benchmarks import memory, parts, people, picture, table
from benchmarks.memory import Peaks
from benchmarks.rounds import Bench, Run
from benchmarks.table import Row

_FUNCTIONS_SHOWN = 12
_HOW = """
Variants run in turns, A B C, A B C, A B C; a ratio divides figures of one round, and the table shows the median of the
rounds and their range. Client CPU is user and system time of the sender processes from the first claim to the last
commit; starting the interpreter, imports and a warm-up of {warm} messages come before and are not counted. Mail goes
as plaintext SMTP over loopback into servers that throw it away: no TLS, no network, no queue on disk. The ledger is
SQLite with synchronous=FULL; each message has its claim, journal, look at suppression and outcome. The count of every
run was compared with the server's and the ledger's, and {read} mails were read back: signatures verified by dkimpy,
words equal to the plain rendering, the naive sender's the same. The reference message has {octets:,} octets, {of}.
"""
_MESSAGE = "50 places for values, 4 recommended products, 13 tracked links, html and text"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One run of the benchmarks."""

    machine: dict[str, str]
    load: tuple[str, str]  # at the start and at the end
    seconds: float
    read: int  # mails that were read back
    bench: Bench
    rows: Sequence[Row]
    profiles: Sequence[Run]  # watched runs of one sender
    peaks: Peaks
    notes: Sequence[str]

    def write(self, folder: Path) -> None:
        """results.md, results.json and results.svg."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.md").write_text(self.markdown(), encoding="utf-8")
        (folder / "results.json").write_text(json.dumps(self._json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
        picture.draw(self.rows, folder / "results.svg")

    def markdown(self) -> str:
        """All of it."""
        size = self.bench.size
        how = _HOW.format(warm=people.WARM_UP_PEOPLE, read=self.read, octets=self.bench.octets, of=_MESSAGE)
        ran = f"{size.rounds} rounds of {size.messages:,} messages to some of {size.contacts:,} contacts"
        return "\n".join(
            [
                "# Speed, as measured\n",
                "Written by `make bench`; don't edit. ![the rows against must and aim](results.svg)\n",
                self.summary(),
                *(f"- {name}: {said}" for name, said in self.machine.items()),
                f"- load average at the start {self.load[0]}, at the end {self.load[1]}",
                f"- {ran}; {self.seconds:.0f} seconds in all",
                how,
                "## What each variant cost\n",
                table.runs_markdown(self.bench),
                *(self._profile(run) for run in self.profiles),
            ]
        )

    def summary(self) -> str:
        """The tables that are printed."""
        notes = "".join(f"\n{one}\n" for one in self.notes)
        return f"{table.markdown(self.rows)}{self._memory()}{notes}"

    def _memory(self) -> str:
        found = self.peaks
        verdict = "must" if found.ratio <= memory.MUST else "missed"
        sizes = f"{found.many_mb:.0f} MB for {found.many:,} against {found.few_mb:.0f} MB for {found.few:,}"
        limit = f"<= {memory.MUST} x"
        return f"| peak resident size of a sender | {limit} | - | **{found.ratio:.2f} x** ({sizes}) | {verdict} |\n"

    def _profile(self, run: Run) -> str:
        """Where a message's time goes, by part and by the dearest functions."""
        lines = [f"## Where the time goes: {run.variant}, one process, {run.client_us:,.0f} us a message\n"]
        lines += ["| part | us | share |", "|---|---|---|"]
        found = parts.by_part(run.cost.places, run.client_us)
        lines += [f"| {name} | {micros:,.1f} | {micros / run.client_us:.0%} |" for name, micros in found.items()]
        lines += ["", "| function, with all it calls outside the engine | us |", "|---|---|"]
        dearest = islice(parts.by_function(run.cost.places, run.client_us).items(), _FUNCTIONS_SHOWN)
        lines += [f"| `{place}` | {micros:,.1f} |" for place, micros in dearest]
        return "\n".join(lines) + "\n"

    def _json(self) -> dict[str, object]:
        found = self.peaks
        return {
            "machine": self.machine,
            "load": list(self.load),
            "seconds": round(self.seconds, 1),
            "octets": self.bench.octets,
            "rows": [table.as_json(row) for row in self.rows],
            "memory": {"few": found.few, "many": found.many, "few_mb": found.few_mb, "many_mb": found.many_mb},
            "runs": [
                {"variant": run.variant, "rate": run.rate, "client_us": run.client_us, "sink_us": run.sink_us}
                for run in self.bench.runs
            ],
            "profiles": {run.variant: parts.by_part(run.cost.places, run.client_us) for run in self.profiles},
            "notes": list(self.notes),
        }
