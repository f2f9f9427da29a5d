"""The report, from the ledger and imported orders: as assigned, within the window, final only at its end."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from story_shop import ORDERS, Shop, address

from engine import ledger, pipeline
from engine.analysis import to_json
from engine.model import EntryState
from engine.pipeline import Mailer

GOAL = """
window  = "10 days"
holdout = 0.4

[[variant]]
name = "plain"

[[variant]]
name                = "coupon"
cost_per_conversion = 2.0
"""


def quiet(_done: int, _total: int | None) -> None:
    """Nobody watches."""


@pytest.fixture
def sent(shop: Shop, tmp_path: Path) -> Iterator[tuple[Shop, Mailer, datetime]]:
    """A campaign with two variants and a holdout, sent into a folder; gives when."""
    config = (shop.folder / "config.toml").read_text()
    config = config.replace('[transport.main]\nhost = "127.0.0.1"', '[transport.main]\nkind = "outbox"')
    config = config.replace("[database]", "margin = 0.5\n[database]")
    (shop.folder / "config.toml").write_text(config)
    shop.campaign("some", more=GOAL)
    mailer = shop.open()
    at = mailer.clock()
    pipeline.send(mailer, "story", None, "once", at, lambda _made: None, quiet)
    return shop, mailer, at


def arms(mailer: Mailer) -> dict[str, list[str]]:
    """The addresses drawn into each arm."""
    found: dict[str, list[str]] = {"plain": [], "coupon": [], "holdout": []}
    for one in ledger.entries_of(mailer.store, 1):
        arm = "holdout" if one.entry.state is EntryState.HOLDOUT else one.entry.variant
        if arm:
            found[arm].append(one.entry.email or "")
    return found


def bought(number: int, email: str, at: datetime, price: str = "10.00") -> str:
    return f"R{number},{email},{at.isoformat()},T1,1,{price}\n"


def test_orders_count_as_assigned_within_the_window_and_holdouts_count_too(
    sent: tuple[Shop, Mailer, datetime],
) -> None:
    shop, mailer, at = sent
    drawn = arms(mailer)
    orders = [
        bought(1, drawn["plain"][0], at + timedelta(days=1)),
        bought(2, drawn["plain"][1], at + timedelta(days=9), "30.00"),
        bought(3, drawn["plain"][2], at + timedelta(days=11)),  # too late
        bought(4, drawn["coupon"][0], at - timedelta(days=1)),  # before
        bought(5, drawn["coupon"][1], at + timedelta(days=2)),
        bought(6, drawn["holdout"][0], at + timedelta(days=3), "50.00"),
        bought(7, address(600), at + timedelta(days=30)),  # somebody else: tells how far orders are known
    ]
    shop.import_text("orders", ORDERS + "".join(orders))

    found = to_json(pipeline.report(mailer, "story", None, at + timedelta(days=31)))

    by_name = {one["name"]: one for one in [*found["variants"], found["holdout"]]}
    assert {"plain": (2, 40.0, 20.0), "coupon": (1, 10.0, 3.0), "holdout": (1, 50.0, 25.0)} == {
        name: (one["converted"], one["revenue"], one["profit"]) for name, one in by_name.items()
    }
    assert {name: len(people) for name, people in drawn.items()} == {n: one["assigned"] for n, one in by_name.items()}
    assert found["earned"]["final"] is True
    assert found["earned"]["low"] < found["earned"]["revenue"] < found["earned"]["high"]


def test_it_is_interim_until_imported_orders_reach_the_windows_end(sent: tuple[Shop, Mailer, datetime]) -> None:
    shop, mailer, at = sent
    later = at + timedelta(days=40)
    shop.import_text("orders", ORDERS + bought(1, address(600), at + timedelta(days=9)))

    early = to_json(pipeline.report(mailer, "story", None, later))
    shop.import_text("orders", ORDERS + bought(2, address(600), at + timedelta(days=11)))
    final = to_json(pipeline.report(mailer, "story", None, later))
    seen_before = to_json(pipeline.report(mailer, "story", None, at + timedelta(days=5)))

    assert (False, True, False) == tuple(one["earned"]["final"] for one in (early, final, seen_before))
    assert early["verdict"].startswith("Interim")
    assert {"interim"} == {one["decision"] for one in early["comparison"] + early["holdout"]["comparison"]}


def test_the_html_page_says_it_all_and_loads_nothing(sent: tuple[Shop, Mailer, datetime]) -> None:
    _, mailer, at = sent

    html = pipeline.report_html(mailer, pipeline.report(mailer, "story", None, at))

    assert all(word in html for word in ("plain", "coupon", "holdout", "Interim", "<svg"))
    assert not any(word in html for word in ('src="http', "<script", "@import", 'rel="stylesheet"'))


def test_unsent_messages_are_told(shop: Shop) -> None:
    shop.released("few")
    mailer = shop.open()

    found = to_json(pipeline.report(mailer, "story", None, datetime.now(UTC)))

    assert any("25 messages have not gone out yet" in check["message"] for check in found["checks"])


def test_a_plan_says_what_its_audience_can_show(shop: Shop) -> None:
    mailer = shop.open()
    at = mailer.clock()
    rows = "".join(bought(n, address(n), at - timedelta(days=3)) for n in range(60))
    shop.import_text("orders", ORDERS + rows)
    shop.campaign("some", more=GOAL)

    shows = pipeline.make_plan(mailer, "story", at, "once", quiet).summary["detectable_relative"]

    assert pytest.approx(0.5) == shows["baseline"]
    assert 0.2 < shows["against_holdout"] < 1.0
