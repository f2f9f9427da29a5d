"""What is sent? The reference message, from a workspace made, filled, planned and released like any other."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, time
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from benchmarks import people
from engine import ledger, pipeline
from engine.pipeline import Mailer

AT = datetime.combine(people.TODAY, time(9), UTC)
DOMAIN, SELECTOR = "shop.test", "s1"
_TEMPLATE = Path(__file__).parent / "template"
_PRODUCTS = 300
_SQLITE = "sqlite:///mailer.db"

_CONFIG = """
[shop]
name = "Corner & Co"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
url = "https://shop.test"
languages = ["en"]

[sender]
from = "Corner & Co Größe <hello@shop.test>"
feedback_id = "cornershop"
allow_test_domains = true

[transport.main]
host = "127.0.0.1"
port = {port}
tls = "off"
bounce_domain = "bounce.shop.test"

[tracking]
base_url = "https://mail.shop.test"

[database]
url = "{database}"
{dkim}"""
_DKIM = """
[dkim."shop.test"]
selector = "s1"
key_file = "dkim.pem"
"""
_CAMPAIGN = """
where    = "'{tag}' in tags"
template = "reference"
goal     = "order"
send_at  = "now"
"""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A workspace with one released plan for everybody measured, and one for each sender's warm-up."""

    folder: Path
    plan_id: int
    messages: int
    warm_ups: tuple[int, ...]

    def copy(self, folder: Path, port: int, *, signed: bool) -> "Reference":
        """The same workspace once more, nothing of it sent yet, with this mail server."""
        shutil.copytree(self.folder, folder)
        configure(folder, port, signed=signed)
        return Reference(folder=folder, plan_id=self.plan_id, messages=self.messages, warm_ups=self.warm_ups)


def make(folder: Path, *, contacts: int, messages: int, database: str = _SQLITE) -> Reference:
    """A workspace with so many contacts; so many of them get the message."""
    pipeline.init(folder, _config(1, signed=False, database=database))
    _write_key(folder / "dkim.pem")
    shutil.copytree(_TEMPLATE, folder / "templates" / "reference")
    mailer = pipeline.open_mailer(folder)
    try:
        _fill(mailer, contacts, messages)
        plan_id = _released(mailer, people.REFERENCE)
        warm_ups = tuple(_released(mailer, f"{people.WARM_UP}{n}") for n in range(people.WARM_UPS))
        planned = ledger.counts(mailer.store, plan_id)["messages"]
    finally:
        mailer.store.close()
    assert planned == messages, f"{planned} of {messages} messages are planned"
    return Reference(folder=folder, plan_id=plan_id, messages=messages, warm_ups=warm_ups)


def configure(folder: Path, port: int, *, signed: bool, database: str = _SQLITE) -> None:
    """Where its mail server is, and whether it signs."""
    (folder / "config.toml").write_text(_config(port, signed=signed, database=database), encoding="utf-8")


def drafted(mailer: Mailer, tag: str, occurrence: str = "once") -> pipeline.Planned:
    """A plan of the reference message for everybody with this tag."""
    (mailer.campaigns_dir / f"{tag}.toml").write_text(_CAMPAIGN.format(tag=tag), encoding="utf-8")
    return pipeline.make_plan(mailer, tag, AT, occurrence, quiet)


def quiet(_done: int, _total: int | None) -> None:
    """Nobody looks at the progress."""


def _config(port: int, *, signed: bool, database: str) -> str:
    return _CONFIG.format(port=port, dkim=_DKIM if signed else "", database=database)


def _fill(mailer: Mailer, contacts: int, messages: int) -> None:
    folder = mailer.folder / "files"
    folder.mkdir()
    people.write_contacts(folder / "contacts.csv", contacts, messages)
    people.write_products(folder / "products.csv", _PRODUCTS)
    people.write_orders(folder / "orders.csv", contacts, _PRODUCTS)
    for kind in ("contacts", "products", "orders"):
        found = pipeline.import_file(mailer, kind, folder / f"{kind}.csv", {}, "", "point", quiet)
        assert not found.refused, found.refused[:3]
    shutil.rmtree(folder)
    pipeline.refresh(mailer, AT, quiet)


def _released(mailer: Mailer, tag: str) -> int:
    made = drafted(mailer, tag)
    ledger.release(mailer.store, made.plan_id, AT, mailer.keys)
    return made.plan_id


def _write_key(path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*form))
