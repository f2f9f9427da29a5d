"""CSV as the world writes it: right rows in, wrong rows named with their line, nothing lost, nothing read wrongly."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.audience import ImportResult
from engine.errors import BadFile
from engine.store import Store

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]

ANNA_AND_BO = {"anna@shop.test": "Väinö", "bo@shop.test": "Bo"}
TEXT = "email,given_name\nanna@shop.test,Väinö\nbo@shop.test,Bo\n"


def names(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {email: one["given_name"] for email, one in found.items()}


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        TEXT.encode("cp1252"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        ("sep=;\r\n" + TEXT.replace(",", ";")).encode("utf-8-sig"),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),  # an old Mac
        TEXT.rstrip("\n").encode(),
        (TEXT + "\n\n,\n  , \n").encode(),  # trailing blank lines, as spreadsheets leave them
        ("\n\n" + TEXT).encode(),
        TEXT.replace("email", " E-MAIL ").encode(),
        b'"email","given_name"\n"anna@shop.test","V\xc3\xa4in\xc3\xb6"\n"bo@shop.test","Bo"\n',
    ],
    ids=lambda content: repr(content[:24]),
)
def test_every_dialect_and_encoding_says_the_same(
    sqlite_store: Store, take: Take, people: People, content: bytes
) -> None:
    told = take(sqlite_store, "contacts", content)

    assert (2, 2, ()) == (told.rows, told.added, told.refused)
    assert ANNA_AND_BO == names(people(sqlite_store))


@pytest.mark.parametrize(
    ("content", "refused"),
    [
        # ragged rows
        (
            b"email,city\na@x.test,Turku,?\nb@x.test\nbo@shop.test,Oulu\n",
            {2: "3 cells, but the header has 2", 3: "1 cell"},
        ),
        # a quote that never closes takes only its own row along
        (b'email,city\na@x.test,"Turku\nbo@shop.test,Oulu\n', {2: "a quote is opened here and never closed"}),
        (b'email,city\na@x.test,"Tu"rku\nbo@shop.test,Oulu\n', {2: "text follows a closing quote"}),
        # a cell over two lines: the next fault's line is the file's own
        (b'email,city\nbo@shop.test,"Ou\r\nlu"\nnobody,Turku\n', {4: "no email address"}),
        # damaged bytes in a file that is UTF-8 otherwise
        ("email,city\na@x.test,Tämpäre\n".encode() + b"b@x.test,\xff\xfe\nbo@shop.test,Oulu\n", {3: "damaged bytes"}),
        # NUL
        (b"email,city\na\x00@x.test,Turku\nbo@shop.test,Oulu\n", {2: "the email address holds a control character"}),
        # a file cut in the middle
        (b"email,city\nbo@shop.test,Oulu\nanna@sho", {3: "1 cell, but the header has 2"}),
        # injection
        (
            b'email,city\n"b@y.test>\r\nRCPT TO:<evil@z.test",x\nbo@shop.test,Oulu\n',
            {2: "the email address holds a control"},
        ),
        (b'email,city\n"a@y.test,c@d.test",x\nbo@shop.test,Oulu\n', {2: "no email address"}),
        # an enormous cell, quoted and not
        (b"email,city\na@x.test," + b"x" * 200_000 + b"\nbo@shop.test,Oulu\n", {2: "a cell is longer than 131,072"}),
        (
            b"email,city\na@x.test," + b"x" * 3_000_000 + b"\nbo@shop.test,Oulu\n",
            {2: "the row is longer than 1,048,576"},
        ),
    ],
)
def test_wrong_rows_are_named_and_the_others_go_in(
    sqlite_store: Store, take: Take, people: People, content: bytes, refused: dict[int, str]
) -> None:
    told = take(sqlite_store, "contacts", content)

    assert list(refused) == [one.line for one in told.refused]
    assert all(one.why.startswith(refused[one.line]) for one in told.refused)
    assert told.rows == told.added + told.updated + told.unchanged + told.refused_rows
    assert "bo@shop.test" in people(sqlite_store)


def test_a_file_full_of_open_quotes_loses_no_other_row(sqlite_store: Store, take: Take, people: People) -> None:
    rows = "".join(f'a{n}@x.test,"open\nb{n}@x.test,"closed"\nc{n}@x.test,plain\n' for n in range(50))

    told = take(sqlite_store, "contacts", "email,city\n" + rows)

    assert told.rows == told.added + told.refused_rows
    assert {f"c{n}@x.test" for n in range(50)} <= people(sqlite_store).keys()
    assert {f"b{n}@x.test" for n in range(50)} <= people(sqlite_store).keys()


def test_a_header_alone_is_an_empty_import(sqlite_store: Store, take: Take) -> None:
    told = take(sqlite_store, "contacts", "email,given_name\n")

    assert (0, 0, 0, ()) == (told.rows, told.added, told.updated, told.refused)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"PK\x03\x04 a workbook", "an Excel workbook; unpack it, or save the sheet as CSV"),
        (b"\x1f\x8b\x08 packed", "packed with gzip; unpack it first"),
        (b'"email,city\na@x.test,Turku\n', "the first line is not a header"),
        (b"anna@shop.test;Anna\nbo@shop.test;Bo\n", "the first line looks like data"),
    ],
)
def test_what_is_no_csv_is_refused_as_a_whole(sqlite_store: Store, take: Take, content: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        take(sqlite_store, "contacts", content)


def test_memory_stays_flat_over_many_rows_and_enormous_ones(sqlite_store: Store, file: Any) -> None:
    import tracemalloc

    from engine.audience.kinds import CONTACTS
    from engine.audience.reading import open_file

    path = file(
        b"email,city\n" + b"".join(b"p%d@x.test,Turku\n" % n for n in range(60_000)) + b"y" * 30_000_000 + b"\n"
    )
    tracemalloc.start()
    rows = sum(1 for _ in open_file(path, CONTACTS, {}).rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 60_001 == rows
    assert peak < 12_000_000
