"""`python -m benchmarks`: measure everything, print the table, write results.md, results.json and results.svg."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import machine, memory, people, reference, samples, table
from benchmarks.report import Report
from benchmarks.rounds import PLAIN, SIGNED, Bench, Size
from benchmarks.sinks import Kind, cheap_sink, postfix_tool, reading_sink, smtp_sink

_NO_POSTFIX = "Postfix's smtp-sink and smtp-source are not installed: another sink stands in, two rows are left out."
_NO_COMPILER = "There is no C compiler: the cheap sink is left out, with its row."


def main() -> None:
    """Measure, print, write."""
    chosen = _arguments()
    size = Size(
        rounds=chosen.rounds,
        contacts=chosen.contacts,
        messages=chosen.messages,
        source=chosen.source,
        naive=chosen.naive,
    )
    with tempfile.TemporaryDirectory(prefix="mailer-bench-", dir=chosen.scratch) as name:
        report = measured(size, Path(name), few=chosen.few, many=chosen.many)
    report.write(chosen.out)
    print(report.summary())
    _say(f"{report.seconds:.0f} s; written to {chosen.out}")


def measured(size: Size, folder: Path, *, few: int, many: int) -> Report:
    """All of it, in this scratch folder."""
    began, load = time.monotonic(), machine.load()
    cheap, postfix = cheap_sink(folder), smtp_sink() if postfix_tool("smtp-source") else None
    _say(f"a workspace with {size.contacts:,} contacts; {size.messages:,} of them get the message")
    made = reference.make(folder / "made", contacts=size.contacts, messages=size.messages)
    octets, read = samples.check(made, folder)
    bench = Bench(
        folder=folder, size=size, reference=made, octets=octets, sink=postfix or _stand_in(cheap), cheap=cheap
    )
    bench.play(_say)
    _say("where the time goes")
    profiles = [
        bench.engine(variant, bench.sink, signed=variant == SIGNED, processes=1, watched=True)
        for variant in (PLAIN, SIGNED)
    ]
    _say(f"peak memory for {few:,} and {many:,} messages")
    peaks = memory.sender_peaks(made, few, many, folder / "memory", _stand_in(cheap))
    return Report(
        machine=machine.described(),
        load=(load, machine.load()),
        seconds=time.monotonic() - began,
        read=read,
        bench=bench,
        rows=table.rows_of(bench),
        profiles=profiles,
        peaks=peaks,
        notes=[note for note, needed in ((_NO_POSTFIX, postfix), (_NO_COMPILER, cheap)) if needed is None],
    )


def _stand_in(cheap: Kind | None) -> Kind:
    return cheap or reading_sink()


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    size = Size()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=size.rounds, help="how often each variant runs")
    parser.add_argument("--contacts", type=int, default=size.contacts, help="people in the database")
    parser.add_argument("--messages", type=int, default=size.messages, help="messages a run")
    parser.add_argument("--source", type=int, default=size.source, help="messages a run of smtp-source")
    parser.add_argument("--naive", type=int, default=size.naive, help="messages a run of the naive sender")
    parser.add_argument("--few", type=int, default=5_000, help="peak memory: messages of the small send")
    parser.add_argument("--many", type=int, default=50_000, help="peak memory: messages of the large send")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where the results go")
    parser.add_argument("--scratch", type=Path, default=None, help="where workspaces are made; a real disk")
    chosen = parser.parse_args()
    if chosen.contacts < chosen.messages + people.WARM_UPS * people.WARM_UP_PEOPLE:
        parser.error("--contacts must be larger than --messages by those of the warm-ups")
    return chosen


if __name__ == "__main__":
    main()
