"""Typing at a command line in this process, and reading what it says."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.app import run

CONFIG = """[shop]
name = "Harbour & Hill"
postal_address = "14 Quay Street, Bristol BS1 4DJ, United Kingdom"
url = "https://harbour.example"
currency = "GBP"
timezone = "Europe/London"
languages = ["en"]

[sender]
from = "Harbour & Hill <hello@harbour.test>"
allow_test_domains = true

[transport.main]
kind = "outbox"

[tracking]
base_url = "https://mail.harbour.test"

[clock]
fixed_at = 2026-03-01T12:00:00Z
"""

SECRET = "the desk's own secret; the draws of holdout and variant hang on it\n"

# Ten said yes, one said no, one was never asked.
PEOPLE = [f"p{n}@people.test" for n in range(12)]
_CONSENT = {10: "no", 11: ""}
CONTACTS = "email,given_name,language,mailing_consent,consent_source,tracking_consent\n" + "".join(
    f"{email},Person{chr(97 + n)},en,{_CONSENT.get(n, 'yes')},form,yes\n" for n, email in enumerate(PEOPLE)
)
PRODUCTS = "product_id,title,category,price,cost,stock,url\n" + "".join(
    f"t{n},Tea {n},c{n % 3},{n + 2}.50,{n + 1},10,https://harbour.example/t{n}\n" for n in range(8)
)
# Everybody bought once a month until October: all have lapsed.
ORDERS = "order_id,email,ordered_at,product_id,quantity,unit_price\n" + "".join(
    f"o{n}-{month},{email},2025-{month:02}-10,t{(n + month) % 8},1,4.50\n"
    for n, email in enumerate(PEOPLE)
    for month in (7, 8, 9, 10)
)


@dataclass(frozen=True)
class Typed:
    """What came of a command line."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)

    @property
    def jsonl(self) -> list[Any]:
        """The rows on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def fault(self) -> tuple[int, str]:
        """Exit code and the one sentence that was said; nothing else may stand anywhere."""
        assert self.out == ""
        assert self.err.startswith("error: ")
        assert self.err.endswith("\n")
        assert "Traceback" not in self.err
        sentence = self.err.removeprefix("error: ").removesuffix("\n")
        assert "\n" not in sentence
        return self.code, sentence


@dataclass(frozen=True)
class Desk:
    """Where somebody types."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def type(self, line: str) -> Typed:
        """Run `mailer LINE`."""
        self.capsys.readouterr()
        code = run(shlex.split(line))
        said = self.capsys.readouterr()
        return Typed(code, said.out, said.err)

    def wrong(self, line: str) -> tuple[int, str]:
        """Run a line that can't work: its exit code and its one sentence."""
        return self.type(line).fault
