"""Which promises are kept? One row a promise: what it must be, what it should be, what was measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.rounds import CHEAP, DRY, NAIVE, PLAIN, SIGNED, SOURCE, SOURCE_CHEAP, Bench, Run


@dataclass(frozen=True, kw_only=True)
class Row:
    """A promise. `values` are those of the rounds, none when it could not be measured: `note` says why."""

    what: str
    unit: str
    must: float
    aim: float
    values: tuple[float, ...]
    note: str = ""
    less_is_better: bool = False

    @property
    def value(self) -> float | None:
        """The median of the rounds."""
        return median(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """`aim`, `must`, `missed`, or `not measured`."""
        if self.value is None:
            return "not measured"
        return "aim" if self._reaches(self.aim) else "must" if self._reaches(self.must) else "missed"

    @property
    def times_the_must(self) -> float:
        """How many times better than it must be."""
        assert self.value is not None
        return self.must / self.value if self.less_is_better else self.value / self.must

    @property
    def aim_in_musts(self) -> float:
        """The aim on the scale of `times_the_must`."""
        return self.must / self.aim if self.less_is_better else self.aim / self.must

    def _reaches(self, mark: float) -> bool:
        assert self.value is not None
        return self.value <= mark if self.less_is_better else self.value >= mark


def rows_of(bench: Bench) -> list[Row]:
    """The table of the speed promises."""
    plain, signed, naive, dry = (bench.of(one) for one in (PLAIN, SIGNED, NAIVE, DRY))
    source, cheap_source, cheap = (bench.of(one) for one in (SOURCE, SOURCE_CHEAP, CHEAP))
    no_postfix = "" if source else "left out: Postfix's smtp-source and smtp-sink are not installed"
    no_cheap = "" if cheap_source and cheap else "left out: needs smtp-source and a C compiler"
    count = bench.size.processes
    return [
        _cpu("client CPU a message, no DKIM, all in", 230, 150, plain),
        _cpu("client CPU a message, RSA-2048, all in", 520, 420, signed),
        _ratio(f"rate against smtp-source, {count} processes, no DKIM", 0.45, 0.7, plain, source, _rate, no_postfix),
        _ratio(f"rate against smtp-source, {count} processes, RSA-2048", 0.30, 0.45, signed, source, _rate, no_postfix),
        _ratio(
            "cheap sink with CHUNKING, no DKIM, against smtp-source", 0.35, 1.0, cheap, cheap_source, _rate, no_cheap
        ),
        _ratio("against naive Python, RSA-2048, by CPU a message", 25, 40, naive, signed, _cost, ""),
        _dry(dry),
    ]


def markdown(rows: Sequence[Row]) -> str:
    """The table as it is printed and written."""
    head = "| what | must | aim | measured (range) | reached |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| {row.what} | {_sign(row)} {_shown(row, row.must)} | {_shown(row, row.aim)} | {_measured(row)} "
        f"| {row.verdict} |\n"
        for row in rows
    )


def runs_markdown(bench: Bench) -> str:
    """All variants with their rates and what they cost on both sides."""
    lines = ["| variant | messages a second (range) | client us | sink us |", "|---|---|---|---|"]
    for variant in dict.fromkeys(run.variant for run in bench.runs):
        runs = bench.of(variant)
        rates = [run.rate for run in runs]
        shown = f"{median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
        client, sink = (median(map(side, runs)) for side in (_cost, _sink_cost))
        lines.append(f"| {variant} | {shown} | {client:,.0f} | {f'{sink:,.0f}' if sink else '-'} |")
    return "\n".join(lines) + "\n"


def as_json(row: Row) -> dict[str, Any]:
    """A row for results.json."""
    said = {"what": row.what, "unit": row.unit, "must": row.must, "aim": row.aim, "measured": row.value}
    return said | {"values": list(row.values), "reached": row.verdict, "note": row.note}


def _cpu(what: str, must: float, aim: float, runs: Sequence[Run]) -> Row:
    values = tuple(map(_cost, runs))
    return Row(what=what, unit="us", must=must, aim=aim, values=values, less_is_better=True)


def _ratio(
    what: str,
    must: float,
    aim: float,
    over: Sequence[Run],
    under: Sequence[Run],
    figure: Callable[[Run], float],
    note: str,
) -> Row:
    """Each round's figure over that of the same round."""
    values = tuple(figure(one) / figure(other) for one, other in zip(over, under, strict=False))
    return Row(what=what, unit="x", must=must, aim=aim, values=values, note=note)


def _dry(runs: Sequence[Run]) -> Row:
    """By CPU, since a neighbour must not make it slower: what one core does when it has nothing else to do."""
    values = tuple(1e6 / run.client_us for run in runs)
    return Row(what="dry run of every recipient, one core", unit="/s", must=6_000, aim=12_000, values=values)


def _rate(run: Run) -> float:
    return run.rate


def _cost(run: Run) -> float:
    return run.client_us


def _sink_cost(run: Run) -> float:
    return run.sink_us


def _sign(row: Row) -> str:
    return "<=" if row.less_is_better else ">="


def _measured(row: Row) -> str:
    if row.value is None:
        return row.note
    between = f"{_shown(row, min(row.values))}-{_shown(row, max(row.values))}"
    return f"**{_shown(row, row.value)}** ({between})"


def _shown(row: Row, value: float) -> str:
    return {"us": f"{value:,.0f} us", "x": f"{value:.2f} x", "/s": f"{value:,.0f}/s"}[row.unit]
