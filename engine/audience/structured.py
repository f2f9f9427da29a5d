"""What do JSONL and Parquet files say, row by row? Their values become the texts and lists that a CSV cell holds."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any

from engine.audience.delimited import DAMAGED
from engine.audience.file_facts import BROKEN, FileFacts
from engine.errors import BadFile

_LONGEST = 1 << 20  # characters in a line of JSONL
_PEEK = 100  # rows looked at for the names of the columns
_ROWS_A_BATCH = 500


class Number(str):
    """A number written by a program: with a point, whatever --decimal says of the texts."""

    __slots__ = ()


Value = str | list[Any] | dict[str, Any]
Values = dict[str, Value]


def jsonl_columns(facts: FileFacts) -> list[str]:
    """The names that the first rows use."""
    rows = (values for _, values in islice(jsonl_rows(facts), _PEEK) if isinstance(values, dict))
    names = dict.fromkeys(name for values in rows for name in values)
    if not names:
        raise BadFile(f"{facts.path}: no line holds a JSON object; write one object a line (JSONL)")
    return list(names)


def jsonl_rows(facts: FileFacts) -> Iterator[tuple[int, Values | str]]:
    """The line and its object, or what is wrong with it. A null is left out, like a blank cell."""
    with facts.text() as file:
        number = 0
        while line := file.readline(_LONGEST):
            number += 1
            if len(line) == _LONGEST and line[-1] != "\n":
                while line and line[-1] != "\n":
                    line = file.readline(_LONGEST)
                yield number, f"the line is longer than {_LONGEST:,} characters"
            elif line.strip("\ufeff \t\r\n"):
                yield number, DAMAGED if BROKEN in line else _object(line)


def json_rows(text: str) -> list[tuple[int, Values | str]]:
    """The objects of one JSON value, an object or a list of them, or of JSON lines; numbered from 1, lines by line.

    BadFile when it is neither; what is wrong with a single object stands in its place.
    """
    try:
        found = _DECODER.decode(text.strip("\ufeff \t\r\n"))
    except json.JSONDecodeError as fault:
        lines = list(enumerate(text.strip("\ufeff").splitlines(), 1))
        if fault.msg != "Extra data" or not all(line.strip()[:1] in ("{", "") for _, line in lines):
            raise BadFile(f"the body is not JSON: {fault.msg} at character {fault.pos + 1}") from None
        return [(number, _object(line)) for number, line in lines if line.strip()]
    except (_Twice, RecursionError) as fault:
        raise BadFile(
            f"the body is not readable: {fault if isinstance(fault, _Twice) else 'nested too deeply'}"
        ) from None
    rows = found if isinstance(found, list) else [found]
    return [(n, _told(row) if isinstance(row, dict) else "not a JSON object") for n, row in enumerate(rows, 1)]


def parquet_columns(facts: FileFacts) -> list[str]:
    """The names in the file's schema."""
    with _parquet(facts) as file:
        return list(file.schema_arrow.names)


def parquet_rows(facts: FileFacts) -> Iterator[tuple[int, Values | str]]:
    """The number of the row (1 = first) and its values."""
    number = 0
    with _parquet(facts) as file:
        batches = file.iter_batches(batch_size=_ROWS_A_BATCH)
        while batch := _next_batch(batches, facts):
            for row in batch.to_pylist():
                number += 1
                yield number, _told(row)


def parquet_length(facts: FileFacts) -> int:
    """How many rows the file says it holds."""
    with _parquet(facts) as file:
        return int(file.metadata.num_rows)


def _object(line: str) -> Values | str:
    try:
        found = _DECODER.decode(line.strip("\ufeff \t\r\n"))
    except json.JSONDecodeError as fault:
        return f"not JSON: {fault.msg} at character {fault.pos + 1}"
    except (_Twice, RecursionError) as fault:
        return str(fault) if isinstance(fault, _Twice) else "not readable: nested too deeply"
    return _told(found) if isinstance(found, dict) else "not a JSON object"


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice("a name stands twice in the object")
    return found


def _no_number(text: str) -> Any:
    raise _Twice(f"{text} is no number")


# Numbers stay the very texts they were written as: an id keeps its zeros, an amount its decimals.
_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_float=Number, parse_int=Number, parse_constant=_no_number)


def _told(row: Mapping[str, Any]) -> Values | str:
    """A row's values as texts and lists, without the empty ones."""
    try:
        return {name: told for name, value in row.items() if (told := _text(value)) not in ("", [])}
    except UnicodeDecodeError:
        return DAMAGED


def _text(value: Any) -> Value:
    writer = _WRITERS.get(type(value))
    if writer is None:  # a class of its own: by what it is a kind of
        writer = next((one for kind, one in _WRITERS.items() if isinstance(value, kind)), str)
    return writer(value)


def _float(value: float) -> str:
    if value != value:
        return ""  # NaN is how data frames write an empty cell
    return Number(int(value) if value.is_integer() and abs(value) < 1e15 else repr(value))


# bool before int, datetime before date: each is a kind of the other.
_WRITERS: Mapping[type, Callable[[Any], Value]] = {
    Number: lambda value: value,
    str: str.strip,
    bool: lambda value: "true" if value else "false",
    int: Number,
    float: _float,
    Decimal: Number,
    datetime: datetime.isoformat,
    date: date.isoformat,
    bytes: bytes.decode,
    list: lambda value: value,
    dict: lambda value: value,
    type(None): lambda _value: "",
}


def _next_batch(batches: Iterator[Any], facts: FileFacts) -> Any:
    try:
        return next(batches, None)
    except (ValueError, OSError) as fault:  # ArrowInvalid is a ValueError
        raise BadFile(f"{facts.path} is damaged: {str(fault).splitlines()[0]}") from fault


def _parquet(facts: FileFacts) -> Any:
    try:
        # Heavy and optional: only who imports Parquet pays for it.
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise BadFile(
            f"{facts.path} is a Parquet file; reading it needs the extra `parquet`: pip install 'mailer[parquet]'"
        ) from None
    try:
        return pyarrow.parquet.ParquetFile(facts.path)
    except (pyarrow.ArrowException, OSError) as fault:
        raise BadFile(f"{facts.path} is no sound Parquet file: {str(fault).splitlines()[0]}") from fault
