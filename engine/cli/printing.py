"""How is it shown? A table for people, JSON or JSON lines for programs; progress with time left on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from engine.model import Finding, Severity

stdout = Console(highlight=False)
stderr = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """What data looks like on stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", case_sensitive=False, help="table (default on a terminal), json, or jsonl (a line a row)."
    ),
]
AtOption = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Act as of this moment (ISO 8601); default: now.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Don't ask; needed where no terminal is.")]


def chosen(asked: Format | None) -> Format:
    """The asked format, or a table on a terminal and JSON in a pipe."""
    return asked or (Format.TABLE if sys.stdout.isatty() else Format.JSON)


def say(sentence: str) -> None:
    """One line of news on stderr, never wrapped: somebody may look for it in a log."""
    stderr.print(sentence, markup=False, soft_wrap=True)


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], asked: Format | None) -> None:
    """Many rows: a table with these columns, a JSON list, or a line a row (streamed)."""
    form = chosen(asked)
    if form is Format.JSONL:
        for row in rows:
            print(to_json(row))
    elif form is Format.JSON:
        print(to_json(list(rows)))
    else:
        stdout.print(a_table(columns, ([_cell(row.get(name)) for name in columns] for row in rows)))


def show_one(data: Mapping[str, Any], asked: Format | None, table: Callable[[], None] | None = None) -> None:
    """One answer: its JSON, or what `table` prints for people (default: a line a key)."""
    if chosen(asked) is not Format.TABLE:
        print(to_json(data))
    elif table:
        table()
    else:
        grid = Table.grid(padding=(0, 2))
        for key, value in data.items():
            grid.add_row(f"[bold]{key}[/bold]", _cell(value))
        stdout.print(grid)


def show_findings(findings: Sequence[Finding]) -> None:
    """Findings for people, the worst first, each with its place and up to three examples."""
    colours = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "blue"}
    for one in sorted(findings, key=lambda f: list(Severity).index(f.severity)):
        times = f" ({one.count} times)" if one.count > 1 else ""
        stdout.print(
            f"[{colours[one.severity]}]{one.severity}[/] {one.code} {_cell(one.where)}: {_cell(one.message)}{times}"
        )
        for example in one.examples[:3]:
            stdout.print(f"    {_cell(example)}", style="dim")


def findings_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The stable JSON of findings."""
    return [
        {
            "code": f.code,
            "where": f.where,
            "message": f.message,
            "severity": f.severity.value,
            "count": f.count,
            "examples": list(f.examples),
        }
        for f in findings
    ]


def a_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table: figures right, words left."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    cells = list(rows)
    for index, name in enumerate(columns):
        figures = bool(cells) and all(_is_figure(row[index]) for row in cells)
        table.add_column(name, justify="right" if figures else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    return table


class Bar:
    """A progress bar that can also say what it waits for."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._what = what
        self._task = progress.add_task(what, total=None)

    def __call__(self, done: int, total: int | None) -> None:
        """So much of it is done."""
        self._progress.update(self._task, completed=done, total=total)

    def tell(self, said: str) -> None:
        """What keeps it from going on, beside the bar; a line of its own where stderr is no terminal."""
        self._progress.update(self._task, description=f"{self._what}: {escape(said)}" if said else self._what)
        if said and not stderr.is_terminal:
            say(said)


@contextmanager
def progress_of(what: str) -> Iterator[Bar]:
    """A progress bar with time left on stderr; silent where stderr is no terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=stderr, transient=True, disable=not stderr.is_terminal) as bar:
        yield Bar(bar, what)


def to_json(data: Any) -> str:
    """JSON with moments as ISO 8601; in ASCII where the terminal or pipe can't take every script."""
    any_script = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(data, ensure_ascii=not any_script, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, set, frozenset)):
        return list(value)
    return str(value)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(one)}" for key, one in value.items()) or "-"
    return escape(str(value))


def _is_figure(text: str) -> bool:
    return text == "-" or text.replace(",", "").replace(".", "", 1).lstrip("-").removesuffix(" %").isdigit()
