"""The shop of the stories: its files, its people, and a look at how a plan's messages stand."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from engine import ledger, pipeline
from engine.model import MessageState
from engine.pipeline import Mailer
from engine.store.tables import attempt, message, plan_entry

PEOPLE = 620
CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
url = "https://shop.example"
[database]
url = "{url}"
[sender]
from = "Corner Shop <hello@shop.example>"
feedback_id = "cornershop"
allow_test_domains = true
[transport.main]
host = "127.0.0.1"
port = {port}
tls = "off"
bounce_domain = "bounce.shop.example"
timeout = 30
connections = {connections}
{login}
[tracking]
base_url = "https://mail.shop.example"
mode = "off"
[web]
listen = "127.0.0.1:{web}"
"""
CAMPAIGN = """
where    = "'{tag}' in tags"
template = "note"
goal     = "order"
send_at  = "now"
"""
NOTE = """<mjml>
<mj-head>
  <mj-title>News for {{ given_name | default("you") }}</mj-title>
  <mj-preview>Something new has come in, and it would go well with what you know.</mj-preview>
</mj-head>
<mj-body>
  <mj-section><mj-column>
    <mj-text>{{ greeting }}</mj-text>
    <mj-text>Something new has come in.</mj-text>
    <mj-text>[[ shop.name ]], [[ shop.postal_address ]]</mj-text>
    <mj-text><a href="{{ links.unsubscribe }}">Unsubscribe</a></mj-text>
  </mj-column></mj-section>
</mj-body>
</mjml>
"""
PRODUCTS = "product_id,title,category,price,stock,url\nT1,Tea,Drinks,4.90,10,https://shop.example/t1\n"
HEAD = "email,given_name,city,tags,mailing_consent,mailing_consent_at,consent_source\n"
ORDERS = "order_id,email,ordered_at,product_id,quantity,unit_price\n"


@dataclass
class Shop:
    """A workspace; `few` of its people are 25, `some` 120, `all` everybody."""

    folder: Path
    url: str
    _opened: list[Mailer] = field(default_factory=list)

    def open(self) -> Mailer:
        """The workspace as one process sees it."""
        self._opened.append(pipeline.open_mailer(self.folder))
        return self._opened[-1]

    def close(self) -> None:
        for one in self._opened:
            one.store.close()

    def configure(self, port: int, connections: int = 1, login: str = "", web: int = 1) -> None:
        """Where its mail server and its pages are."""
        text = CONFIG.format(url=self.url, port=port, connections=connections, login=login, web=web)
        (self.folder / "config.toml").write_text(text)

    def campaign(self, tag: str, name: str = "story", more: str = "") -> str:
        """A campaign for everybody with this tag."""
        (self.folder / "campaigns" / f"{name}.toml").write_text(CAMPAIGN.format(tag=tag) + more)
        return name

    def import_text(self, kind: str, text: str) -> None:
        """Import a file of this kind; every row must go in."""
        file = self.folder / f"{uuid.uuid4().hex}.csv"
        file.write_text(text)
        found = pipeline.import_file(self.open(), kind, file, {}, "", "point", quiet)
        assert not found.refused
        file.unlink()

    def released(self, tag: str, chunk: int = 500) -> int:
        """A plan for everybody with this tag, released; gives its number."""
        mailer, name = self.open(), self.campaign(tag)
        made = pipeline.make_plan(mailer, name, mailer.clock(), "once", quiet)
        ledger.release(mailer.store, made.plan_id, mailer.clock(), mailer.keys, chunk=chunk)
        return made.plan_id


def address(number: int) -> str:
    return f"p{number}@shop.test"


def people(first: int, last: int) -> str:
    """An import file."""
    rows = [f"{address(n)},Person {n},Round 0,{_tags(n)},yes,2026-01-01,shop" for n in range(first, last)]
    return HEAD + "\n".join(rows) + "\n"


def _tags(number: int) -> str:
    return ";".join(tag for tag, size in (("few", 25), ("some", 120), ("all", PEOPLE)) if number < size) or "more"


def quiet(_done: int, _total: int | None) -> None:
    """Nobody looks at the progress."""


def agreed(_made: pipeline.Planned) -> None:
    """The operator said yes."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How one message of a plan stands."""

    state: MessageState
    reason: str
    attempts: int
    message_id: str
    digest: str
    shown: str  # the digest that the dry run kept


def standings(mailer: Mailer, plan_id: int) -> Mapping[str, Standing]:
    """Every message of the plan by its recipient."""
    attempts = sa.select(sa.func.count()).where(attempt.c.message_id == message.c.id).scalar_subquery()
    wanted = (
        sa.select(message, attempts.label("attempts"), plan_entry.c.digest.label("shown"))
        .join(plan_entry, (plan_entry.c.plan_id == message.c.plan_id) & (plan_entry.c.n == message.c.n))
        .where(message.c.plan_id == plan_id)
    )
    emails = {one.entry.contact_id: one.entry.email for one in ledger.entries_of(mailer.store, plan_id)}
    with mailer.store.read() as db:
        rows = db.execute(wanted).all()
    return {
        emails[row.contact_id]: Standing(
            state=MessageState(row.state),
            reason=row.reason,
            attempts=row.attempts,
            message_id=row.delivery_id,
            digest=row.digest,
            shown=row.shown,
        )
        for row in rows
    }


def in_state(found: Mapping[str, Standing], state: MessageState) -> set[str]:
    """The recipients whose message stands so."""
    return {email for email, one in found.items() if one.state is state}
