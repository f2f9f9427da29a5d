"""What does the usual way cost? Jinja2, EmailMessage, dkimpy, smtplib, and one SQLAlchemy commit a message.

`python -m benchmarks.naive WORKSPACE PLAN COUNT PORT`: the first so many messages of a plan, the same words to the same
people, as somebody writes it in an afternoon. Of the engine it takes nothing but its input: the compiled template and
the frozen values, read before the word.
"""

import base64
import hashlib
import hmac
import smtplib
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dkim
import sqlalchemy as sa
from jinja2 import Environment, StrictUndefined, Template, pass_context
from jinja2.runtime import Context

from benchmarks.meter import at_the_word
from benchmarks.reference import DOMAIN, SELECTOR
from engine import ledger, pipeline
from engine.message import CompiledTemplate

_SECRET = b"the naive sender's secret"
_SIGNED = b"from to subject date message-id list-unsubscribe list-unsubscribe-post mime-version content-type".split()
_BASE = "https://mail.shop.test"

_MESSAGES = sa.table("sent", sa.column("id"), sa.column("at"), sa.column("state"))


class Naive:
    """Templates, a key, a connection to the database: what is opened once."""

    def __init__(self, folder: Path, template: CompiledTemplate) -> None:
        self._html = _environment(autoescape=True).from_string(template.html.source)
        self._text = _environment(autoescape=False).from_string(template.text.source)
        self._subject = _environment(autoescape=False).from_string(template.subject.source)
        self._key = (folder / "dkim.pem").read_bytes()
        self._database = sa.create_engine(f"sqlite:///{folder / 'naive.db'}")
        with self._database.begin() as db:
            db.exec_driver_sql("CREATE TABLE sent (id TEXT PRIMARY KEY, at TEXT, state TEXT)")

    def mail(self, email: str, context: Mapping[str, Any], number: int) -> bytes:
        """One signed mail."""
        links = {name: _link(name, email, 0) for name in ("unsubscribe", "preferences", "view")}
        values = {**context, "links": links, "_pixel": f"{_link('o', email, 0)}.gif"}
        mail = EmailMessage(policy=SMTP)
        mail["From"] = Address("Corner & Co Größe", "hello", DOMAIN)
        mail["To"] = Address(str(context["_to_name"]), addr_spec=email)
        mail["Subject"] = " ".join(_filled(self._subject, values, email).split())
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = f"<{number}@{DOMAIN}>"
        mail["List-Unsubscribe"] = f"<{links['unsubscribe']}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        mail.set_content(_filled(self._text, values, email))
        mail.add_alternative(_filled(self._html, values, email), subtype="html")
        data = mail.as_bytes()
        signature: bytes = dkim.sign(data, SELECTOR.encode(), DOMAIN.encode(), self._key, include_headers=_SIGNED)
        return signature + data

    def record(self, number: int) -> None:
        """One commit."""
        with self._database.connect() as db:
            db.execute(sa.insert(_MESSAGES).values(id=str(number), at=str(datetime.now(UTC)), state="sent"))
            db.commit()


def people_of(folder: Path, plan_id: int, count: int) -> tuple[CompiledTemplate, list[tuple[str, Mapping[str, Any]]]]:
    """The template of a plan, and address and values of its first messages."""
    mailer = pipeline.open_mailer(folder)
    try:
        entries = [one.entry for one in islice(ledger.entries_of(mailer.store, plan_id), count)]
        compiled = ledger.template(mailer.store, entries[0].template_hash)
        assert compiled is not None
        return CompiledTemplate.from_bytes(compiled), [(entry.email or "", entry.context) for entry in entries]
    finally:
        mailer.store.close()


def main() -> None:
    """Make ready, wait, send."""
    folder, plan_id, count, port = sys.argv[1:]
    template, people = people_of(Path(folder), int(plan_id), int(count))
    naive = Naive(Path(folder), template)
    naive.mail(*people[0], number=0)  # the first one pays for late imports: not counted, as it isn't for the engine

    def work() -> None:
        with smtplib.SMTP("127.0.0.1", int(port)) as server:
            for number, (email, context) in enumerate(people):
                server.sendmail(f"hello@{DOMAIN}", [email], naive.mail(email, context, number))
                naive.record(number)

    at_the_word(work)


def _environment(*, autoescape: bool) -> Environment:
    """Plain Jinja2, with the few filters of the compiled template in their shortest form."""
    environment = Environment(autoescape=autoescape, undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters.update(_address=str, _part=_quoted, money="€{:,.2f}".format, take=_take, _link=_counted)
    return environment


def _filled(template: Template, values: Mapping[str, Any], email: str) -> str:
    return template.render(values, _email=email, _rounds=Counter())


@pass_context
def _counted(context: Context, _destination: str, site: int) -> str:
    """A link's address: one HMAC a link."""
    rounds: Counter[int] = context["_rounds"]
    rounds[site] += 1
    return f"{_link('c', context['_email'], site)}/{site}-{rounds[site] - 1}"


def _link(kind: str, email: str, site: int) -> str:
    tag = hmac.new(_SECRET, f"{kind}:{email}:{site}".encode(), hashlib.sha256).digest()
    return f"{_BASE}/{kind[0]}/{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def _quoted(value: object) -> str:
    return quote(str(value), safe="")


def _take(items: list[Any], count: int) -> list[Any]:
    return items[:count]


if __name__ == "__main__":
    main()
