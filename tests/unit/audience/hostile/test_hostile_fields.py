"""Names and fields that break mailers: they arrive literally, without what could reach a header, or are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.audience import ImportResult
from engine.store import Store

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]


def quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


@pytest.mark.parametrize(
    "name",
    [
        "{{7*7}}",
        "{% raw %}",
        "{{{x}}}",
        "%recipient.x%",
        "-name-",
        "[[var]]",
        "100 % wool",
        "<script>alert(1)</script>",
        '" onerror="x',
        "&amp;",
        "=cmd|' /C calc'!A0",
        "null",
        "None",
        "undefined",
        "nan",
        "...",
        "a@b.c",
        "Bob <evil@x.test>, c",
        "👩\u200d👩\u200d👧",  # a family of three, joined
        "می\u200cخواهم",  # Persian needs the non-joiner
        "שלום",
        "\u200fעברית",
        "Z\u0317\u0351\u036ba",
    ],
)
def test_a_strange_name_arrives_literally(sqlite_store: Store, take: Take, people: People, name: str) -> None:
    take(sqlite_store, "contacts", f"email,given_name\nanna@shop.test,{quoted(name)}\n")

    assert name == people(sqlite_store)["anna@shop.test"]["given_name"]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("Anna\r\nBcc: evil@x.test", "Anna Bcc: evil@x.test"),
        ("An\x00na", "An na"),
        ("Anna\x85Berg", "Anna Berg"),  # NEL
        ("Anna\u2028Berg\u2029", "Anna Berg"),
        ("Anna\u202etxt.exe", "Anna txt.exe"),
        ("\u2066Anna\u2069", "Anna"),
        ("An\tna", "An na"),
        ("Ve\u0301ronique", "Véronique"),  # one form of the same letters
        ("x" * 10_000, "x" * 500),
        (" \u00a0\u200bAnna\ufeff ", "Anna"),
        ("\u200b", None),
        ("   ", None),
    ],
)
def test_what_could_reach_a_header_is_taken_out(
    sqlite_store: Store, take: Take, people: People, name: str, clean: str | None
) -> None:
    told = take(sqlite_store, "contacts", f"email,given_name\nanna@shop.test,{quoted(name)}\n")

    assert (1, clean) == (told.added, people(sqlite_store)["anna@shop.test"]["given_name"])


def test_a_half_character_refuses_its_row(sqlite_store: Store, take: Take) -> None:
    told = take(
        sqlite_store,
        "contacts",
        '{"email": "anna@shop.test", "given_name": "\\ud800"}\n{"email": "bo@shop.test"}\n',
        name="people.jsonl",
    )

    assert (1, 1, "given_name holds a half character (a lone surrogate)") == (
        told.added,
        told.refused[0].line,
        told.refused[0].why,
    )


def test_both_databases_take_every_name(store: Store, take: Take, people: People) -> None:
    name = "O'Brien \\ \" % ? :x %s {{7*7}} 👩\u200d👧"
    cell = quoted(name)
    take(store, "contacts", f"email,given_name,tags,note\nanna@shop.test,{cell},{cell},{cell}\n")

    one = people(store)["anna@shop.test"]
    assert (name, [name], name) == (one["given_name"], one["tags"], one["attributes"]["note"])


def test_leading_zeros_and_formulas_stay_as_they_are(sqlite_store: Store, take: Take, people: People) -> None:
    take(sqlite_store, "contacts", "email,external_id,postal_code\nanna@shop.test,007,00100\n")

    one = people(sqlite_store)["anna@shop.test"]
    assert ("007", "00100") == (one["external_id"], one["postal_code"])


def test_a_refusal_never_quotes_what_could_be_personal(sqlite_store: Store, take: Take) -> None:
    told = take(
        sqlite_store,
        "contacts",
        "email,timezone,mailing_consent\nsecret.name@@shop.test,,\nb@shop.test,Secretstreet 5,\nc@shop.test,,secret\n",
    )

    assert 3 == told.refused_rows
    assert not any("secret" in one.why.lower() for one in told.refused)
