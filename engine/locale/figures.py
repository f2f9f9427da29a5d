"""How do money, numbers and days look to this reader?"""

from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache

import jdatetime
from babel.dates import format_date
from babel.numbers import format_currency, format_decimal, get_currency_precision

from engine.locale.languages import babel_locale

# Babel's fa data keeps Latin digits and marks, and the Gregorian calendar; Iranians read neither in a letter.
_PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")


@lru_cache(maxsize=65536)
def money(amount: float | Decimal, currency: str, language: str | None) -> str:
    """An amount in the main unit (12.5 = twelve and a half), as this reader writes prices."""
    locale = babel_locale(language)
    if locale.language == "fa":
        # Number first, then the currency's name: the symbols of Latin script jump about in right-to-left text.
        text = format_currency(amount, currency, locale=locale, format_type="name")
        return text.replace("ریال ایران", "ریال").translate(_PERSIAN)
    return format_currency(amount, currency, locale=locale)


@lru_cache(maxsize=65536)
def number(value: float | Decimal, language: str | None) -> str:
    """A number with this reader's digits, grouping and decimal mark; at most three decimals."""
    locale = babel_locale(language)
    text = format_decimal(value, locale=locale)
    return text.translate(_PERSIAN) if locale.language == "fa" else text


@lru_cache(maxsize=65536)
def day(value: date | datetime, language: str | None) -> str:
    """The day written out with its month's name; Persian readers get the Jalali calendar.

    An aware moment gives the day of its own zone: bring it to the reader's zone before.
    """
    locale = babel_locale(language)
    only = value.date() if isinstance(value, datetime) else value
    if locale.language == "fa":
        there = jdatetime.date.fromgregorian(date=only)
        return f"{there.day} {jdatetime.date.j_months_fa[there.month - 1]} {there.year}".translate(_PERSIAN)
    return format_date(only, "long", locale=locale)


def minor_units(currency: str) -> int:
    """How many decimals the currency's amounts have: 2 for EUR, 0 for VND and IRR."""
    return int(get_currency_precision(currency))
