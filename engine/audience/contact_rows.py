"""What does one row say about a contact? Its cells as checked values; no database here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, cast

from engine.audience import values
from engine.audience.address import Address, address
from engine.audience.consent import Statement
from engine.audience.import_run import ImportOptions
from engine.audience.kinds import ATTRIBUTES
from engine.audience.reading import Value, Values
from engine.audience.values import CLEAR
from engine.clock import local_day

_TEXTS = (
    "given_name family_name full_name honorific gender region city postal_code job_title company industry "
    "company_size income_band".split()
)
_CONSENT = frozenset(
    "mailing_consent mailing_consent_at consent_source consent_wording tracking_consent tracking_consent_at "
    "opted_out".split()
)

_NUMBER_KEPT = re.compile(r"^'(?=\+?\d)")
_READ_BEFORE = 20_000  # cells kept with their meaning


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRow:
    """What a row says. A value of None clears what is known; what the row leaves open is not in it."""

    address: Address | None
    external_id: str | None
    fields: Mapping[str, Any]
    attributes: Mapping[str, str | None]
    statements: tuple[Statement, ...]


class ContactReader:
    """Reads rows as the owner says they are meant."""

    def __init__(self, options: ImportOptions, at: datetime, source: str, is_shopify: bool) -> None:
        self._options, self._at, self._source = options, at, source
        self._is_shopify = is_shopify
        self._read_before: dict[tuple[str, str] | None, Any] = {}
        self._stated_before: dict[tuple[str, ...], tuple[Statement, ...]] = {}
        separator = "," if is_shopify else ";"
        today = local_day(at, options.zone)
        self._readers: dict[str, Callable[[Value], Any]] = {
            **dict.fromkeys((*_TEXTS, "consent_source", "consent_wording"), values.text),
            **dict.fromkeys(("mailing_consent", "tracking_consent", "opted_out"), values.yes_or_no),
            **dict.fromkeys(("mailing_consent_at", "tracking_consent_at"), self._said_at),
            "birth_date": lambda cell: self._birth_date(cell, today),
            "language": lambda cell: values.language_tag(cell, options.languages),
            "country": values.country_code,
            "timezone": values.zone_name,
            "interests": lambda cell: values.listed(cell, separator),
            "tags": lambda cell: values.listed(cell, separator),
        }

    def read(self, cells: Values) -> ContactRow:
        """The row, checked; ValueError names the column and the reason."""
        fields: dict[str, Any] = {}
        attributes: dict[str, str | None] = {}
        found, external_id = None, None
        for name, cell in (_unquoted(cells) if self._is_shopify else cells).items():
            if name == "email":
                found = address(cell if isinstance(cell, str) else "", self._options.allow_test_domains)
            elif name == "external_id":
                external_id = self._identifier(cell)
            elif name not in _CONSENT:
                told = None if cell == CLEAR else self._told(name, cell)
                if told == "" or told == []:
                    continue  # blank, once its invisible characters are gone
                if name.startswith(ATTRIBUTES):
                    attributes[name.removeprefix(ATTRIBUTES)] = told
                else:
                    fields[name] = told
        if found is None and external_id is None:
            raise ValueError("no email address")
        return ContactRow(
            address=found,
            external_id=external_id,
            fields=fields,
            attributes=attributes,
            statements=() if _CONSENT.isdisjoint(cells) else self._statements(cells),
        )

    def _told(self, name: str, cell: Value) -> Any:
        """The cell, read by its column; cities, tags and dates come again and again and are read once."""
        known = (name, cell) if type(cell) is str else None
        if known in self._read_before:
            return self._read_before[known]
        try:
            told = self._readers.get(name, values.loose)(cell)
        except ValueError as fault:
            raise ValueError(f"{name} {fault}") from None
        if known is not None:
            if len(self._read_before) >= _READ_BEFORE:
                self._read_before.clear()
            self._read_before[known] = told
        return told

    def _identifier(self, cell: Value) -> str:
        try:
            told = values.identifier(cell)
        except ValueError as fault:
            raise ValueError(f"external_id {fault}") from None
        if told == CLEAR:
            raise ValueError("external_id can't be cleared")
        return told

    def _birth_date(self, cell: Value, today: date) -> date:
        return values.day(cell, self._options.dates, today)

    def _statements(self, cells: Values) -> tuple[Statement, ...]:
        """What the row says of consent; thousands of rows say the same."""
        said = tuple([str(cells.get(name, "")) for name in _CONSENT])
        if said not in self._stated_before:
            if len(self._stated_before) >= _READ_BEFORE:
                self._stated_before.clear()
            self._stated_before[said] = self._read_statements(cells)
        return self._stated_before[said]

    def _read_statements(self, cells: Values) -> tuple[Statement, ...]:
        mailing, tracking = self._answer(cells, "mailing_consent"), self._answer(cells, "tracking_consent")
        if self._answer(cells, "opted_out"):
            if mailing:
                raise ValueError("mailing_consent says yes and opted_out says yes too: one of them is wrong")
            mailing = False
        source, wording = self._said(cells, "consent_source") or self._source, self._said(cells, "consent_wording")
        found = []
        if mailing is not None:
            said_at = self._moment(cells, "mailing_consent_at")
            found.append(Statement(purpose="mailing", given=mailing, at=said_at, source=source, wording=wording))
        if tracking is not None:
            said_at = self._moment(cells, "tracking_consent_at")
            found.append(Statement(purpose="tracking", given=tracking, at=said_at, source=source, wording=wording))
        return tuple(found)

    def _said(self, cells: Values, name: str) -> str:
        cell = cells.get(name, "")
        return "" if cell == CLEAR else str(self._told(name, cell))

    def _answer(self, cells: Values, name: str) -> bool | None:
        cell = cells.get(name, "")
        if cell == CLEAR:
            raise ValueError(f"{name} can't be cleared; say no to withdraw it")
        return cast("bool | None", self._told(name, cell)) if cell else None

    def _moment(self, cells: Values, name: str) -> datetime | None:
        cell = cells.get(name, "")
        return None if not cell or cell == CLEAR else cast(datetime, self._told(name, cell))

    def _said_at(self, cell: Value) -> datetime:
        found = values.moment(cell, self._options.zone, self._options.dates)
        if found > values.soon(self._at):
            raise ValueError("lies in the future")
        return found


def _unquoted(cells: Values) -> Values:
    """Shopify keeps spreadsheets from rounding ids, postal codes and phone numbers by a leading apostrophe."""
    return {name: _NUMBER_KEPT.sub("", cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
