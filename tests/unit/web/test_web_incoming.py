"""What the shop posts goes in as a file would: the same rows, the same refusals, and twice is once."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from tracked_shop import SENT_AT, Site, opened, quiet, served

from engine import audience, pipeline
from engine.store.tables import contact, event, import_run, order_line, orders, product

TOKEN = "kept-by-the-shop"
ALIVE = {"Authorization": f"Bearer {TOKEN}"}
EVE = {"email": "eve@people.test", "given_name": "Eve", "mailing_consent": "yes", "consent_source": "checkout"}


@pytest.fixture
def site(shop: Path) -> Iterator[Site]:
    """The server of a shop that may post."""
    (shop / "in.token").write_text(TOKEN + "\n")
    text = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(text.replace("[web]\n", '[web]\nin_token_file = "in.token"\n'))
    with served(shop) as site:
        yield site


def post(site: Site, kind: str, body: Any, **headers: str) -> requests.Response:
    data = body if isinstance(body, bytes | str) else json.dumps(body)
    said = {"Content-Type": "application/json", **ALIVE, **headers}
    return requests.post(f"{site.base}/in/{kind}", data=data, headers=said, timeout=20)


def number(site: Site, table: sa.Table) -> int:
    with site.mailer.store.read() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(table)) or 0


# ---------------------------------------------------------------- who may


def test_without_a_configured_token_nothing_is_there(calm_site: Site) -> None:
    assert 404 == post(calm_site, "contacts", EVE).status_code
    assert 4 == number(calm_site, contact)


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer another", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x"])
def test_without_the_token_nothing_goes_in(site: Site, said: str) -> None:
    answer = post(site, "contacts", EVE, Authorization=said)

    assert (401, "Bearer") == (answer.status_code, answer.headers["WWW-Authenticate"])
    assert 4 == number(site, contact)


def test_the_token_may_come_from_the_environment(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    text = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(text.replace("[web]\n", '[web]\nin_token_env = "SHOP_TOKEN"\n'))
    with served(shop) as site:
        assert 200 == post(site, "contacts", EVE).status_code


# ---------------------------------------------------------------- what goes in


def test_a_contact_is_in_as_soon_as_it_is_answered_and_twice_is_once(site: Site) -> None:
    first, second = post(site, "contacts", EVE), post(site, "contacts", EVE)

    assert (200, {"rows": 1, "added": 1, "updated": 0, "refused": []}) == (first.status_code, first.json())
    assert {"rows": 1, "added": 0, "updated": 0, "refused": []} == second.json()
    card = pipeline.contact_card(site.mailer, "eve@people.test")
    assert ("Eve", True) == (card["given_name"], card["mailing_consent"])


@pytest.mark.parametrize(
    "body",
    [
        '[{"event_id": "e1", "email": "anna@people.test", "kind": "visit", "at": "2026-02-28T10:00:00Z", "page": 7},'
        ' {"event_id": "e2", "email": "bahar@people.test", "kind": "visit", "at": "2026-02-28T11:00:00Z"}]',
        '{"event_id": "e1", "email": "anna@people.test", "kind": "visit", "at": "2026-02-28T10:00:00Z", "page": 7}\n'
        '{"event_id": "e2", "email": "bahar@people.test", "kind": "visit", "at": "2026-02-28T11:00:00Z"}\n',
        b"event_id,email,kind,at,page\n"
        b"e1,anna@people.test,visit,2026-02-28T10:00:00Z,7\ne2,bahar@people.test,visit,2026-02-28T11:00:00Z,\n",
    ],
    ids=["array", "lines", "csv"],
)
def test_many_rows_come_as_an_array_as_lines_or_as_csv(site: Site, body: str | bytes) -> None:
    kind = "text/csv; charset=utf-8" if isinstance(body, bytes) else "application/json"

    assert {"rows": 2, "added": 2, "updated": 0, "refused": []} == post(
        site, "events", body, **{"Content-Type": kind}
    ).json()
    with site.mailer.store.read() as db:
        rows = db.execute(sa.select(event).where(event.c.kind == "visit").order_by(event.c.event_id)).all()
    assert [("e1", "7"), ("e2", "")] == [(row.event_id, str(row.properties.get("page", ""))) for row in rows]


def test_an_object_over_many_lines_is_one_row(site: Site) -> None:
    assert 1 == post(site, "contacts", json.dumps(EVE, indent=2)).json()["added"]


def test_an_order_and_its_product(site: Site) -> None:
    line = {"order_id": "A-7", "email": "anna@people.test", "ordered_at": "2026-03-01T11:00:00Z", "currency": "GBP"}
    lines = [line | {"line_no": n, "product_id": "p9", "quantity": 1, "unit_price": "4.90"} for n in (1, 2)]
    before = [number(site, one) for one in (orders, order_line, product)]

    assert 1 == post(site, "products", {"product_id": "p9", "title": "Teapot", "price": "4.90"}).json()["added"]
    assert 2 == post(site, "orders", lines).json()["added"]
    lines[1]["quantity"] = 3
    assert {"rows": 2, "added": 0, "updated": 1, "refused": []} == post(site, "orders", lines).json()

    assert [before[0] + 1, before[1] + 2, before[2] + 1] == [number(site, one) for one in (orders, order_line, product)]
    assert 4 * 490 == sum(line_revenue(site, "A-7"))


def line_revenue(site: Site, order_id: str) -> list[int]:
    wanted = sa.select(order_line.c.revenue_cents).join(orders, orders.c.id == order_line.c.order_pk)
    with site.mailer.store.read() as db:
        return list(db.scalars(wanted.where(orders.c.order_id == order_id)))


def test_what_came_in_is_what_profiles_are_computed_from(site: Site) -> None:
    post(site, "orders", {"order_id": "A-8", "email": "eve@people.test", "ordered_at": "2026-03-01T11:00:00Z"}
         | {"product_id": "p1", "quantity": 2, "unit_price": "3.00", "currency": "GBP"})  # fmt: skip

    with site.mailer.store.read() as db:
        assert db.scalar(sa.select(contact.c.changed).where(contact.c.email == "eve@people.test"))


# ---------------------------------------------------------------- what is refused


def test_rows_are_refused_with_line_and_reason_as_in_a_file(site: Site, tmp_path: Path) -> None:
    rows = [EVE, {"email": "no address"}, {"given_name": "Nobody"}, 7]
    answer = post(site, "contacts", rows)
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(one) + "\n" for one in rows))
    with opened(site.mailer.folder) as mailer:
        as_file = pipeline.import_file(mailer, "contacts", file, {}, "", "point", quiet)

    assert (200, 1) == (answer.status_code, answer.json()["added"])
    assert [{"line": one.line, "why": one.why} for one in as_file.refused] == answer.json()["refused"]
    assert [2, 3, 4] == [one["line"] for one in answer.json()["refused"]]


def test_when_all_rows_are_refused_it_says_422(site: Site) -> None:
    answer = post(site, "contacts", [{"email": "no address"}])

    assert (422, 0, [1]) == (
        answer.status_code,
        answer.json()["added"],
        [one["line"] for one in answer.json()["refused"]],
    )


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "the body is empty"),
        ("{broken", "the body is not JSON"),
        ("hello", "the body is not JSON"),
        (b'{"email": "\xff"}', "the body is not UTF-8"),
        ('{"email": "a@b.test", "email": "c@d.test"}', "a name stands twice in the object"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_is_refused_in_a_sentence(site: Site, body: str | bytes, why: str) -> None:
    answer = post(site, "contacts", body)

    assert 422 == answer.status_code
    assert why in answer.json()["refused"][0]["why"]


def test_an_empty_list_is_nothing_and_no_fault(site: Site) -> None:
    assert (200, 0) == ((answer := post(site, "events", [])).status_code, answer.json()["rows"])


def test_unknown_kinds_and_types_are_named(site: Site) -> None:
    assert 404 == post(site, "suppressions", []).status_code
    assert 415 == post(site, "contacts", "<contact/>", **{"Content-Type": "application/xml"}).status_code


def test_a_body_of_more_than_eight_megabytes_is_not_read(site: Site) -> None:
    assert 413 == post(site, "events", b"[" + b" " * (8 << 20) + b"]").status_code


# ---------------------------------------------------------------- many of them


def test_a_burst_of_single_rows_goes_in_whole_and_leaves_nothing_behind(site: Site) -> None:
    runs = number(site, import_run)
    rows = [
        {"event_id": f"b{n}", "email": "anna@people.test", "kind": "b", "at": "2026-03-01T10:00:00Z"} for n in range(40)
    ]
    codes: list[int] = []

    def some(mine: list[dict[str, str]]) -> None:
        codes.extend(post(site, "events", one).status_code for one in mine)

    threads = [threading.Thread(target=some, args=(rows[n::4],)) for n in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert [200] * 40 == codes
    with site.mailer.store.read() as db:
        assert 40 == db.scalar(sa.select(sa.func.count()).where(event.c.kind == "b"))
    assert runs == number(site, import_run)


def test_an_opt_out_stands_whatever_the_shop_posts(site: Site) -> None:
    mailer = site.mailer
    audience.suppress(
        mailer.store, mailer.keys, "eve@people.test", "unsubscribed", SENT_AT, "t", mailer.settings.state_dir
    )

    post(site, "contacts", EVE)

    (one,) = audience.standings(mailer.store, mailer.keys, [audience.find(mailer.store, "eve@people.test")]).values()
    assert one.suppressed
