"""How does any import file become rows? CSV, JSONL and Parquet alike: a line number, and values under our own names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.audience.columns import Header
from engine.audience.delimited import Delimited
from engine.audience.file_facts import body_facts, file_facts
from engine.audience.kinds import Kind
from engine.audience.structured import (
    Number,
    Value,
    Values,
    json_rows,
    jsonl_columns,
    jsonl_rows,
    parquet_columns,
    parquet_length,
    parquet_rows,
)
from engine.errors import BadFile

__all__ = ["Number", "Opened", "Row", "Value", "Values", "open_body", "open_file"]


@dataclass(slots=True)
class Row:
    """One row. Blank cells are not among the values; `fault` says why the row can't be read."""

    line: int  # 1 = the file's first; of Parquet, which has no lines, the row
    values: Values = field(default_factory=dict)
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An import file, its header understood."""

    header: Header
    sha256: str
    about: int  # how many rows, more or less
    rows: Iterator[Row]


def open_file(path: Path, kind: Kind, mapping: Mapping[str, str]) -> Opened:
    """Find out what the file is and what its columns mean; BadFile when it can't be imported as this kind."""
    facts = file_facts(path)
    header = Header(kind, path, mapping)
    if facts.is_parquet:
        header.understand(parquet_columns(facts))
        about, rows = parquet_length(facts), _from_values(parquet_rows(facts), header)
    elif facts.is_jsonl:
        # JSON is Unicode (RFC 8259, 8.1): bytes that are not are damage, never the old Western encoding.
        facts = replace(facts, encoding="utf-8") if facts.encoding == "cp1252" else facts
        header.understand(jsonl_columns(facts))
        about, rows = facts.lines, _from_values(jsonl_rows(facts), header)
    else:
        table = Delimited(facts, header.recognised)
        about, rows = facts.lines, _from_cells(table, header.understand(table.header))
    return Opened(header=header, sha256=facts.sha256, about=about, rows=rows)


def open_body(data: bytes, kind: Kind, name: str, *, is_csv: bool) -> Opened:
    """The rows of a request's body, CSV or JSON; BadFile when it is neither."""
    facts = body_facts(data, name)
    header = Header(kind, facts.path, {})
    if is_csv:
        table = Delimited(facts, header.recognised)
        rows = _from_cells(table, header.understand(table.header))
    else:
        try:  # JSON is Unicode; of each row is told what it lacks
            told = json_rows(data.decode("utf-8"))
        except UnicodeDecodeError:
            raise BadFile(f"{name} is not UTF-8") from None
        rows = _from_values(iter(told), header)
    return Opened(header=header, sha256=facts.sha256, about=facts.lines, rows=rows)


def _from_cells(table: Delimited, names: tuple[str | None, ...]) -> Iterator[Row]:
    kept = [(place, name) for place, name in enumerate(names) if name is not None]
    for line, cells in table.rows():
        if isinstance(cells, str):
            yield Row(line, fault=cells)
        else:
            yield Row(line, {name: cell for place, name in kept if (cell := cells[place].strip())})


def _from_values(rows: Iterator[tuple[int, Values | str]], header: Header) -> Iterator[Row]:
    for line, values in rows:
        if isinstance(values, str):
            yield Row(line, fault=values)
            continue
        try:
            names = header.names(tuple(values))
        except BadFile as fault:  # this row alone has two names for one thing
            yield Row(line, fault=str(fault))
            continue
        yield Row(line, {name: value for name, value in zip(names, values.values(), strict=True) if name})
