"""JSONL and Parquet come in as CSV does."""

import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from engine import audience
from engine.errors import BadFile
from engine.store import Store

Take = Callable[..., audience.ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]


def test_jsonl_arrives_with_its_types(sqlite_store: Store, take: Take, people: People) -> None:
    take(
        sqlite_store,
        "contacts",
        '{"e-mail": "anna@shop.test", "customer_id": 17, "tags": ["vip", "autumn"], "mailing_consent": true,'
        ' "points": 12.50, "city": null, "home": {"floor": 3}}\n'
        '\n{"e-mail": "bo@shop.test", "hobby": "chess"}\n',
        name="people.jsonl",
    )

    found = people(sqlite_store)
    anna = found["anna@shop.test"]
    assert ("17", ["vip", "autumn"], True, {"points": "12.50", "home": '{"floor": "3"}'}) == (
        anna["external_id"],
        anna["tags"],
        anna["mailing_consent"],
        anna["attributes"],
    )
    assert {"hobby": "chess"} == found["bo@shop.test"]["attributes"]


def test_wrong_lines_of_jsonl_are_named(sqlite_store: Store, take: Take) -> None:
    told = take(
        sqlite_store,
        "contacts",
        b'{"email": "anna@shop.test"}\n{"email": \n[1, 2]\n{"email": "b@x.test", "email": "c@x.test"}\n'
        b'{"email": "d@x.test", "points": NaN}\n{"email": "e@x.test", "city": "\xff"}\n'
        + b"[" * 100_000
        + b"\n"
        + b'{"email": "'
        + b"x" * 2_000_000
        + b'"}\n{"E-Mail": "f@x.test", "e mail": "g@x.test"}\n'
        b'{"given_name": "Bo"}\n',
        name="people.jsonl",
    )

    assert {
        2: "not JSON",
        3: "not a JSON object",
        4: "a name stands twice in the object",
        5: "NaN is no number",
        6: "damaged bytes",
        7: "not readable",
        8: "the line is longer than 1,048,576 characters",
        9: "both 'E-Mail' (column 1) and 'e mail' (column 2) mean email",
        10: "no email address",
    } == {one.line: one.why.split(";")[0].split(": ")[-1 if one.line == 9 else 0] for one in told.refused}
    assert 1 == told.added


def test_a_file_without_the_needed_name_is_refused(sqlite_store: Store, take: Take) -> None:
    with pytest.raises(BadFile, match=r"column email is missing; did you mean 'emali'"):
        take(sqlite_store, "contacts", '{"emali": "anna@shop.test"}\n', name="people.jsonl")
    with pytest.raises(BadFile, match=r"no line holds a JSON object"):
        take(sqlite_store, "contacts", '["anna@shop.test"]\n', name="people.jsonl")


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "people.parquet"
    table = pyarrow.table(
        {
            "Email": ["anna@shop.test", None, "nobody", "bo@shop.test"],
            "birth_date": [date(1980, 5, 17), None, None, None],
            "tags": [["vip"], None, [], None],
            "points": [12.0, float("nan"), 1.0, 0.5],
            "limit": [Decimal("10.50"), None, None, None],
            "mailing_consent": [True, None, None, False],
            "mailing_consent_at": [datetime(2025, 1, 2, 10, tzinfo=UTC)] * 4,
        }
    )
    pyarrow.parquet.write_table(table, path)
    return path


def test_parquet_arrives_with_its_types(
    sqlite_store: Store, parquet: Path, options: audience.ImportOptions, at: datetime, people: People
) -> None:
    told = audience.import_contacts(sqlite_store, parquet, options, at)

    found = people(sqlite_store)
    anna = found["anna@shop.test"]
    assert (4, 2, [2, 3]) == (told.rows, told.added, [one.line for one in told.refused])
    assert (date(1980, 5, 17), ["vip"], {"points": "12", "limit": "10.50"}, True) == (
        anna["birth_date"],
        anna["tags"],
        anna["attributes"],
        anna["mailing_consent"],
    )
    assert ({"points": "0.5"}, False) == (found["bo@shop.test"]["attributes"], found["bo@shop.test"]["mailing_consent"])


def test_a_damaged_parquet_file_is_named(
    sqlite_store: Store, parquet: Path, options: audience.ImportOptions, at: datetime
) -> None:
    parquet.write_bytes(parquet.read_bytes()[:-50])

    with pytest.raises(BadFile, match="no sound Parquet file"):
        audience.import_contacts(sqlite_store, parquet, options, at)


def test_without_pyarrow_the_extra_is_named(
    sqlite_store: Store, parquet: Path, options: audience.ImportOptions, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(BadFile, match=r"mailer\[parquet\]"):
        audience.import_contacts(sqlite_store, parquet, options, at)
