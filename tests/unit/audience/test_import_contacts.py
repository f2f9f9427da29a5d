"""Contacts from a file: columns understood, rows joined, nothing lost, the same file twice changes nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from engine.audience import ImportResult
from engine.errors import BadFile, Usage
from engine.model import RefusedRow
from engine.store import Store
from engine.store.tables import contact, contact_attribute

Take = Callable[..., ImportResult]
People = Callable[[Store], dict[str, dict[str, Any]]]


def test_every_column_arrives_in_its_place(store: Store, take: Take, people: People) -> None:
    told = take(
        store,
        "contacts",
        "email,external_id,given_name,family_name,full_name,honorific,gender,birth_date,language,country,region,city,"
        "postal_code,timezone,job_title,company,industry,company_size,income_band,interests,tags,mailing_consent,"
        "mailing_consent_at,consent_source,consent_wording,tracking_consent,Favourite Colour\n"
        "Anna@Shop.test,C-001,Anna,Berg,Anna Berg,Dr,female,1980-05-17,PT_br,fi,Pirkanmaa,Tampere,"
        "00100,europe/helsinki,Cook,Kala Oy,Food,250,high,fish; sea ;fish,vip;autumn,yes,"
        "2025-01-02,web form,I want mail,no,blue\n",
    )

    one = people(store)["Anna@shop.test"]
    assert (1, 1, 0, ()) == (told.rows, told.added, told.updated, told.refused)
    assert ("anna@shop.test", "C-001", "Anna", "Berg") == (
        one["address_key"],
        one["external_id"],
        one["given_name"],
        one["family_name"],
    )
    assert (date(1980, 5, 17), "pt-BR", "FI", "Europe/Helsinki", "00100") == (
        one["birth_date"],
        one["language"],
        one["country"],
        one["timezone"],
        one["postal_code"],
    )
    assert ("250", 250.0, ["fish", "sea"], ["vip", "autumn"]) == (
        one["company_size"],
        one["company_size_number"],
        one["interests"],
        one["tags"],
    )
    assert (True, False, True) == (one["mailing_consent"], one["tracking_consent"], one["changed"])
    assert {"favourite_colour": "blue"} == one["attributes"]


def test_other_spellings_of_a_header_are_understood(sqlite_store: Store, take: Take, people: People) -> None:
    take(sqlite_store, "contacts", "\ufeff E-Mail Address ;First Name; LAST-NAME\nanna@shop.test;Anna;Berg\n")

    assert ("Anna", "Berg") == tuple(
        people(sqlite_store)["anna@shop.test"][name] for name in ("given_name", "family_name")
    )


def test_a_mapping_wins_over_the_columns_own_name(sqlite_store: Store, take: Take, people: People) -> None:
    said = {"Kunde Mail": "email", "email": "attributes.old_email"}
    take(sqlite_store, "contacts", "kunde mail,email\nanna@shop.test,old\n", mapping=said)

    assert {"old_email": "old"} == people(sqlite_store)["anna@shop.test"]["attributes"]


@pytest.mark.parametrize(
    ("text", "said", "why"),
    [
        ("given_name,emali\nAnna,a@b.test\n", {}, r"column email is missing; did you mean 'emali'.*--map emali=email"),
        ("anna@shop.test,Anna\nbo@shop.test,Bo\n", {}, r"the first line looks like data"),
        ("email,Email\na@b.test,c@d.test\n", {}, r"both 'email' \(column 1\) and 'Email' \(column 2\) mean email"),
        ("email,name\na@b.test,x\n", {"nmae": "full_name"}, r"--map names a column 'nmae' .* did you mean 'name'"),
        ("email,name\na@b.test,x\n", {"name": "given_nam"}, r"no column 'given_nam'; did you mean 'given_name'"),
        ("", {}, r"is empty"),
        ("\n\n \n", {}, r"is empty"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused_as_a_whole(
    sqlite_store: Store, take: Take, text: str, said: dict[str, str], why: str
) -> None:
    with pytest.raises(BadFile, match=why):
        take(sqlite_store, "contacts", text, mapping=said)


def test_a_file_that_is_not_there_is_named(sqlite_store: Store, take: Take, tmp_path: Any, options: Any) -> None:
    from engine.audience import import_contacts

    with pytest.raises(BadFile, match=r"nobody\.csv is not a file"):
        import_contacts(sqlite_store, tmp_path / "nobody.csv", options, datetime(2026, 3, 1, tzinfo=UTC))


def test_strange_options_are_refused(sqlite_store: Store, take: Take) -> None:
    with pytest.raises(Usage, match="dmy, mdy or ymd"):
        take(sqlite_store, "contacts", "email\n", dates="ydm")


def test_the_same_file_twice_changes_nothing(store: Store, take: Take, people: People) -> None:
    text = (
        "email,given_name,colour,mailing_consent,mailing_consent_at\n"
        "anna@shop.test,Anna,blue,yes,2025-01-02\n"
        "ANNA@shop.test,Anna B,red,no,2025-01-03\n"
        "bo@shop.test,Bo,,yes,\n"
        "no address,Cy,,,\n"
    )
    first = take(store, "contacts", text)
    with store.write() as db:
        db.execute(sa.update(contact).values(changed=False))
    before = people(store)

    again = take(store, "contacts", text)

    assert (4, 2, 1, 0, 1) == (first.rows, first.added, first.updated, first.unchanged, first.refused_rows)
    assert (4, 0, 0, 3, first.refused) == (again.rows, again.added, again.updated, again.unchanged, again.refused)
    assert (1, 0) == (again.mailable, again.trackable)
    assert before == people(store)


def test_a_file_that_comes_again_after_another_one_is_taken_at_its_word(
    sqlite_store: Store, take: Take, people: People
) -> None:
    for city in ("Turku", "Oulu", "Turku"):
        told = take(sqlite_store, "contacts", f"email,city\nanna@shop.test,{city}\n")

    assert (0, 1, "Turku") == (told.added, told.updated, people(sqlite_store)["anna@shop.test"]["city"])


def test_spellings_of_one_mailbox_are_one_contact(store: Store, take: Take, people: People) -> None:
    told = take(
        store,
        "contacts",
        "email,given_name,city\nanna@é.test,Anna,\nANNA@xn--9ca.test,,Turku\nAnna Berg <anna@e\u0301.test>,,Oulu\n",
    )

    one = people(store)["anna@xn--9ca.test"]
    assert (1, 2, "Anna", "Oulu") == (told.added, told.updated, one["given_name"], one["city"])


def test_a_blank_cell_keeps_what_is_known_and_a_mark_clears_it(store: Store, take: Take, people: People) -> None:
    take(store, "contacts", "email,given_name,city,tags,colour\nanna@shop.test,Anna,Turku,vip,blue\n")
    take(store, "contacts", "email,given_name,city,tags,colour\nanna@shop.test,\u200b, ,,\n")
    assert ("Anna", "Turku", ["vip"]) == tuple(
        people(store)["anna@shop.test"][name] for name in ("given_name", "city", "tags")
    )

    told = take(store, "contacts", "email,given_name,city,tags,colour\nanna@shop.test,\\N,\\N,\\N,\\N\n")

    one = people(store)["anna@shop.test"]
    assert (1, None, None, [], {}) == (told.updated, one["given_name"], one["city"], one["tags"], one["attributes"])


def test_only_those_for_whom_something_changed_are_marked(sqlite_store: Store, take: Take, people: People) -> None:
    take(sqlite_store, "contacts", "email,city\nanna@shop.test,Turku\nbo@shop.test,Oulu\n")
    with sqlite_store.write() as db:
        db.execute(sa.update(contact).values(changed=False))

    take(sqlite_store, "contacts", "email,city\nanna@shop.test,Turku\nbo@shop.test,Espoo\n")

    assert {"anna@shop.test": False, "bo@shop.test": True} == {
        email: one["changed"] for email, one in people(sqlite_store).items()
    }


def test_an_external_id_finds_the_contact_who_took_another_address(store: Store, take: Take, people: People) -> None:
    take(store, "contacts", "email,external_id,mailing_consent\nold@shop.test,C1,no\n")

    told = take(store, "contacts", "email,external_id\nnew@shop.test,C1\n")

    assert (0, 1) == (told.added, told.updated)
    assert {"new@shop.test": ("C1", False)} == {
        email: (one["external_id"], one["mailing_consent"]) for email, one in people(store).items()
    }


def test_two_contacts_may_swap_their_addresses_in_one_file(store: Store, take: Take, people: People) -> None:
    take(store, "contacts", "email,external_id\na@shop.test,A\nb@shop.test,B\n")

    told = take(
        store,
        "contacts",
        "email,external_id\nc@shop.test,B\nb@shop.test,A\na@shop.test,B\nc@shop.test,C\n",
    )

    assert (1, 3) == (told.added, told.updated)
    assert {"a@shop.test": "B", "b@shop.test": "A", "c@shop.test": "C"} == {
        email: one["external_id"] for email, one in people(store).items()
    }


def test_rows_that_contradict_what_is_known_are_refused(store: Store, take: Take) -> None:
    take(store, "contacts", "email,external_id\nanna@shop.test,A\nbo@shop.test,B\n")

    told = take(
        store,
        "contacts",
        "email,external_id,city\nanna@shop.test,B,Turku\nanna@shop.test,X,Turku\n,Y,Turku\n,A,Turku\n",
    )

    assert (
        RefusedRow(line=2, why="the email address belongs to one contact and the external_id to another"),
        RefusedRow(line=3, why="the email address belongs to a contact with another external_id"),
        RefusedRow(line=4, why="no email address, and the external_id is not known"),
    ) == told.refused
    assert 1 == told.updated


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("birth_date", "1980-02-30", "birth_date is not a date; write it as 2026-12-31"),
        ("birth_date", "2031-01-01", "birth_date lies before 1900 or in the future"),
        ("birth_date", "01/02/1980", "birth_date can be read in several ways; say --dates dmy, mdy or ymd"),
        ("timezone", "Helsinki", "timezone is no IANA time zone such as Europe/Helsinki"),
        ("language", "12", "language is no language; write it as en or pt-BR"),
        ("mailing_consent", "perhaps", "mailing_consent is neither yes nor no"),
        ("mailing_consent", "\\N", "mailing_consent can't be cleared; say no to withdraw it"),
        ("external_id", "C" * 201, "external_id is longer than 200 characters"),
        ("email", "\\N", "no email address"),
    ],
)
def test_a_cell_that_cannot_be_read_refuses_its_row(
    sqlite_store: Store, take: Take, column: str, cell: str, why: str
) -> None:
    header = "email" if column == "email" else f"email,{column}"
    row = cell if column == "email" else f"anna@shop.test,{cell}"

    told = take(sqlite_store, "contacts", f"{header}\n{row}\nbo@shop.test{',' if column != 'email' else ''}\n")

    assert (2, 1, 1) == (told.rows, told.added, told.refused_rows)
    assert 2 == told.refused[0].line
    assert told.refused[0].why.startswith(why)


@pytest.mark.parametrize(
    ("dates", "cell", "day"),
    [
        ("dmy", "01/02/1980", date(1980, 2, 1)),
        ("mdy", "01/02/1980", date(1980, 1, 2)),
        ("dmy", "1.2.80", date(1980, 2, 1)),
        ("dmy", "1.2.30", date(1930, 2, 1)),  # nobody was born in 2030
        ("ymd", "80-02-01", date(1980, 2, 1)),
        ("", "1980/02/01", date(1980, 2, 1)),  # the year in front leaves one reading
    ],
)
def test_dates_are_read_as_the_owner_says(
    sqlite_store: Store, take: Take, people: People, dates: str, cell: str, day: date
) -> None:
    take(sqlite_store, "contacts", f"email,birth_date\nanna@shop.test,{cell}\n", dates=dates)

    assert day == people(sqlite_store)["anna@shop.test"]["birth_date"]


@pytest.mark.parametrize(
    ("language", "told"), [("EN", "en"), ("zh_hans_cn", "zh-Hans-CN"), ("Finnish", "fi"), ("suomi", "fi")]
)
def test_a_language_is_understood_by_tag_and_by_name(
    sqlite_store: Store, take: Take, people: People, language: str, told: str
) -> None:
    take(sqlite_store, "contacts", f"email,language\nanna@shop.test,{language}\n", languages=("fi",))

    assert told == people(sqlite_store)["anna@shop.test"]["language"]


@pytest.mark.parametrize(("country", "told"), [("fi", "FI"), ("Finland", "FI"), ("Narnia", "Narnia")])
def test_a_country_is_understood_by_code_and_by_name(
    sqlite_store: Store, take: Take, people: People, country: str, told: str
) -> None:
    take(sqlite_store, "contacts", f"email,country\nanna@shop.test,{country}\n")

    assert told == people(sqlite_store)["anna@shop.test"]["country"]


def test_attributes_are_stored_with_the_number_they_read_as(store: Store, take: Take) -> None:
    take(store, "contacts", "email,points,attributes.size,points\nanna@shop.test,0012.5,XL,7\n")

    with store.read() as db:
        rows = db.execute(sa.select(contact_attribute).order_by(contact_attribute.c.name)).all()
    assert [("points", "0012.5", 12.5), ("points_2", "7", 7.0), ("size", "XL", None)] == [
        (row.name, row.value, row.number) for row in rows
    ]


def test_progress_is_told_chunk_by_chunk(sqlite_store: Store, file: Any, options: Any, at: datetime) -> None:
    from engine.audience import import_contacts

    told: list[tuple[int, int | None]] = []
    path = file("email\n" + "".join(f"p{n}@shop.test\n" for n in range(1200)))
    import_contacts(sqlite_store, path, options, at, lambda done, total: told.append((done, total)))

    assert [1000, 1200] == [done for done, _ in told]
    assert all(total is not None and total >= 1200 for _, total in told)


def test_refused_rows_beyond_the_limit_are_counted(sqlite_store: Store, take: Take) -> None:
    told = take(sqlite_store, "contacts", "email\n" + "nobody\n" * 30, refused_limit=10)

    assert (30, 30, list(range(2, 12))) == (told.rows, told.refused_rows, [one.line for one in told.refused])
