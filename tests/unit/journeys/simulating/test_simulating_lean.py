"""What a simulation leaves behind: nothing of anybody, and Python's collector as it was."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine import pipeline
from engine.errors import Usage
from engine.journeys.simulating import simulate
from engine.journeys.simulating.walking import Walk
from engine.pipeline import Mailer
from engine.store.tables import contact

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
[sender]
from = "Corner Shop <hello@shop.example>"
[transport.main]
kind = "outbox"
[clock]
fixed_at = 2026-03-01T12:00:00Z
"""
JOURNEY = """
start = { segment = "everybody" }
existing = true
[[step]]
id = "hello"
send = "note"
[[step]]
id = "rest"
wait = "3 days"
[[step]]
id = "again"
send = "note"
"""


@pytest.fixture
def mailer(tmp_path: Path) -> Iterator[Mailer]:
    folder = tmp_path / "shop"
    folder.mkdir()
    pipeline.init(folder, CONFIG)
    (folder / "segments.toml").write_text("[everybody]\nwhere = \"country == 'FI'\"\n")
    (folder / "journeys" / "hello.toml").write_text(JOURNEY)
    mailer = pipeline.open_mailer(folder)
    with mailer.store.write() as db:
        for n in range(1, 6):
            address = f"p{n}@shop.example"
            values = {"email": address, "address_key": address, "country": "FI", "mailing_consent": True}
            db.execute(contact.insert().values(values | {"created_at": NOW - timedelta(days=200), "changed": True}))
    yield mailer
    mailer.store.close()


@pytest.fixture
def collector() -> Iterator[None]:
    gc.collect()
    yield
    gc.enable()


def test_no_walk_is_left_for_the_collector(mailer: Mailer, collector: None) -> None:
    gc.disable()

    found = simulate(mailer, NOW, days=10, names=["hello"])

    assert found.data["messages"]["total"] == 10
    assert [one for one in gc.get_objects() if isinstance(one, Walk)] == []
    assert not gc.isenabled()


def test_the_collector_goes_on_after_a_simulation(mailer: Mailer, collector: None) -> None:
    simulate(mailer, NOW, days=10, names=["hello"])

    assert gc.isenabled()


def test_the_collector_goes_on_after_one_that_failed(mailer: Mailer, collector: None) -> None:
    with pytest.raises(Usage, match="nothing runs"):
        simulate(mailer, NOW, days=10)

    assert gc.isenabled()
