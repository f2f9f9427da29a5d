"""Whatever Python's csv module writes, in any dialect and encoding, comes in as it was."""

import csv
import io
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audience.kinds import CONTACTS
from engine.audience.reading import open_file

_CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12)
_WESTERN = st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=12)
_ROWS = st.lists(st.tuples(_CELL, _CELL), min_size=1, max_size=8)


def written(rows: list[tuple[str, str]], delimiter: str, quoting: Any, ends: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=ends)
    writer.writerow(["email", "given_name", "city"])
    for n, row in enumerate(rows):
        writer.writerow([f"p{n}@shop.test", *row])
    return out.getvalue()


def read(path: Path) -> list[tuple[str, str]]:
    rows = list(open_file(path, CONTACTS, {}).rows)
    assert [""] * len(rows) == [row.fault for row in rows]
    return [(str(row.values.get("given_name", "")), str(row.values.get("city", ""))) for row in rows]


@given(
    rows=_ROWS,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    ends=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_written_in_any_dialect_come_in_as_they_were(
    tmp_path: Path, rows: Any, delimiter: str, quoting: Any, ends: str, encoding: str
) -> None:
    path = tmp_path / f"{uuid.uuid4().hex}.csv"
    path.write_bytes(written(rows, delimiter, quoting, ends).encode(encoding))

    assert [(given_name.strip(), city.strip()) for given_name, city in rows] == read(path)


@given(rows=st.lists(st.tuples(_WESTERN, _WESTERN), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_old_western_encoding_comes_in_as_it_was(tmp_path: Path, file: Callable[..., Path], rows: Any) -> None:
    given_rows = [("Väinö élan", "Ålesund"), *rows]  # enough to tell it from UTF-8
    path = file(written(given_rows, ";", csv.QUOTE_ALL, "\r\n").encode("cp1252"))

    assert [(given_name.strip(), city.strip()) for given_name, city in given_rows] == read(path)
