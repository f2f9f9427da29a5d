"""A long import broken off goes on where it stopped; two at once make each contact once; nobody waits long."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine import audience
from engine.links import Keys
from engine.store import Store, open_store
from engine.store.tables import contact, import_run, order_line

PEOPLE = "email,city,mailing_consent,external_id\n" + "".join(
    f"p{n}@shop.test,Turku,{'yes' if n % 2 else 'no'},C{n}\n" if n % 100 else f"nobody {n},,,\n" for n in range(1, 1701)
)


class PulledPlugError(Exception):
    """The machine went down."""


def breaking_at(rows: int) -> Callable[[int, int | None], None]:
    def progress(done: int, total: int | None) -> None:
        if done >= rows:
            raise PulledPlugError

    return progress


def test_a_broken_off_import_goes_on_and_counts_everything(
    store: Store, file: Any, options: audience.ImportOptions, at: datetime
) -> None:
    path = file(PEOPLE)
    with pytest.raises(PulledPlugError):
        audience.import_contacts(store, path, options, at, breaking_at(1000))
    with store.read() as db:
        assert [(1000, False)] == [(row.rows_done, row.finished) for row in db.execute(sa.select(import_run))]
        assert 990 == db.scalar(sa.select(sa.func.count()).select_from(contact))

    told = audience.import_contacts(store, path, options, at)

    assert (1700, 1683, 0, 0, 17) == (told.rows, told.added, told.updated, told.unchanged, told.refused_rows)
    assert [101 + 100 * n for n in range(17)] == [one.line for one in told.refused]
    assert 850 == told.mailable
    with store.read() as db:
        assert 1683 == db.scalar(sa.select(sa.func.count()).select_from(contact))
        assert [(1700, True)] == [(row.rows_done, row.finished) for row in db.execute(sa.select(import_run))]


def test_an_import_broken_off_again_and_again_ends_the_same(
    sqlite_store: Store, file: Any, options: audience.ImportOptions, at: datetime
) -> None:
    text = "order_id,email,ordered_at,product_id,price\n" + "".join(
        f"O{n // 3},p{n // 9}@shop.test,2026-01-02,P{n % 7},{n % 5}.50\n" for n in range(2000)
    )
    path = file(text, "orders.csv")
    for rows in (500, 1000, 1500, 2000):
        with pytest.raises(PulledPlugError):
            audience.import_orders(sqlite_store, path, options, at, breaking_at(rows))

    told = audience.import_orders(sqlite_store, path, options, at)

    assert (2000, 2000, 0, ()) == (told.rows, told.added, told.updated, told.refused[:3])
    with sqlite_store.read() as db:
        assert (2000, 3) == (
            db.scalar(sa.select(sa.func.count()).select_from(order_line)),
            db.scalar(sa.select(sa.func.max(order_line.c.line_no))),
        )


def test_a_conflict_found_while_writing_is_told_again_after_a_break(
    sqlite_store: Store, file: Any, options: audience.ImportOptions, at: datetime
) -> None:
    audience.import_contacts(sqlite_store, file("email,external_id\nanna@shop.test,A\n"), options, at)
    path = file("email,external_id\nanna@shop.test,B\n" + "".join(f"p{n}@shop.test,\n" for n in range(700)), "b.csv")
    with pytest.raises(PulledPlugError):
        audience.import_contacts(sqlite_store, path, options, at, breaking_at(500))

    told = audience.import_contacts(sqlite_store, path, options, at)

    assert (701, 700, 1, [2]) == (told.rows, told.added, told.refused_rows, [one.line for one in told.refused])


def test_the_same_bytes_read_another_way_are_another_import(
    sqlite_store: Store, file: Any, options: audience.ImportOptions, at: datetime
) -> None:
    path = file("email,birth_date\nanna@shop.test,01/02/1980\n")
    audience.import_contacts(sqlite_store, path, replace(options, dates="dmy"), at)

    told = audience.import_contacts(sqlite_store, path, replace(options, dates="mdy"), at)

    assert 1 == told.updated


def test_two_imports_at_once_make_each_contact_once(
    store: Store, store_url: str, file: Any, options: audience.ImportOptions, at: datetime
) -> None:
    rows = [f"p{n}@shop.test,C{n}\n" for n in range(1500)]
    paths = [
        file("email,external_id\n" + "".join(rows), "forward.csv"),
        file("email,external_id\n" + "".join(reversed(rows)), "backward.csv"),
        file(
            "order_id,email,ordered_at\n" + "".join(f"O{n},P{n}@shop.test,2026-01-02\n" for n in range(1500)), "o.csv"
        ),
    ]
    verbs = [audience.import_contacts, audience.import_contacts, audience.import_orders]

    def take(verb: Callable[..., audience.ImportResult], path: Path) -> audience.ImportResult:
        own = open_store(store_url)
        try:
            return verb(own, path, options, at)
        finally:
            own.close()

    with ThreadPoolExecutor(3) as pool:
        told = list(pool.map(take, verbs, paths))

    with store.read() as db:
        assert 1500 == db.scalar(sa.select(sa.func.count()).select_from(contact))
        assert 1500 == db.scalar(sa.select(sa.func.count(contact.c.external_id)))
    assert [1500, 1500, 1500] == [one.rows for one in told]
    assert [0, 0, 0] == [one.refused_rows for one in told]


def test_an_opt_out_during_an_import_is_quick_and_has_the_last_word(
    store: Store, file: Any, options: audience.ImportOptions, at: datetime, keys: Keys, tmp_path: Path
) -> None:
    audience.import_contacts(store, file("email\nanna@shop.test\n"), options, at)
    anna = audience.find(store, "anna@shop.test")
    text = "email,mailing_consent\n" + "".join(f"p{n}@shop.test,yes\nanna@shop.test,yes\n" for n in range(2000))
    started, waits = threading.Event(), []

    def progress(done: int, total: int | None) -> None:
        started.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(audience.import_contacts, store, file(text, "b.csv"), options, at, progress)
        started.wait(30)
        begun = time.monotonic()
        audience.opt_out(store, keys, anna, at, "one-click", tmp_path)
        waits.append(time.monotonic() - begun)
        running.result()

    assert waits[0] < 1
    stands = audience.standings(store, keys, [anna])[anna]
    assert (True, False) == (stands.suppressed, stands.mailing_consent)
