"""What does a cell say? Texts, days, moments, amounts, yes and no, each read strictly; ValueError tells why not.

The reasons name the fault and never quote a text that could be personal: they are shown, and kept with the import.
"""

import json
import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale

from engine import locale
from engine.audience.reading import Number, Value
from engine.clock import parse_moment
from engine.errors import Usage

CLEAR: Final = r"\N"  # a cell that takes away what is known
_TEXT_KEPT = 500
_ID_KEPT = 200
_LIST_KEPT = 100

# Control characters, line separators and what turns the direction of the text after it (Unicode UAX 9). The marks that
# Persian and Arabic need (ZWNJ, LRM, RLM) stay, and so does the joiner within emoji.
_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_INVISIBLE_ENDS = " \t\r\n\u00a0\u200b\u2060\ufeff"
_JOINERS = "\u200c\u200d\u200e\u200f"

_DATE = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[ T,]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_SHOPIFY_OFFSET = re.compile(r"(\d) (?:([+-]\d{2}:?\d{2})|UTC)$")
_PLACES: dict[str, tuple[int, int, int]] = {"dmy": (2, 1, 0), "mdy": (2, 0, 1), "ymd": (0, 1, 2)}

_GROUP = "[ \u00a0\u2009\u202f'’]"
_POINT = re.compile(rf"[+-]?(?:\d+|\d{{1,3}}(?:{_GROUP}\d{{3}})+|\d{{1,3}}(?:,\d{{3}})+(?=\.\d))(?:\.\d+)?")
_COMMA = re.compile(rf"[+-]?(?:\d+|\d{{1,3}}(?:{_GROUP}\d{{3}})+|\d{{1,3}}(?:\.\d{{3}})+(?=,\d))(?:,\d+)?")
_WRITTEN = re.compile(r"[+-]?\d{1,30}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_LARGEST = Decimal(10) ** 12

_YES = frozenset("yes y true t 1 on subscribed granted given opted_in opt_in opted-in opt-in".split())
_NO = frozenset(
    "no n false f 0 off unsubscribed not_subscribed denied withdrawn opted_out opt_out opted-out opt-out".split()
)
_UNDECIDED = frozenset("pending unconfirmed unknown".split())

_WEB = re.compile(r"https?://[^\s/?#@\\<>\"']+(?:[/?#][^\s\\<>\"]*)?", re.IGNORECASE)
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


def text(value: Value) -> str:
    """Clean text in one Unicode form: no control characters, no direction overrides, at most 500 characters."""
    said = _one(value).strip(_INVISIBLE_ENDS)
    if not said.isprintable():
        if _SURROGATE.search(said):
            raise ValueError("holds a half character (a lone surrogate)")
        said = _HARMFUL.sub(" ", said).strip(_INVISIBLE_ENDS)
        if not said.strip(_INVISIBLE_ENDS + _JOINERS):
            return ""  # a name that nobody can see is none
    if not said.isascii():
        said = unicodedata.normalize("NFC", said)
    return said[:_TEXT_KEPT].rstrip() if len(said) > _TEXT_KEPT else said


def loose(value: Value) -> str:
    """Text of anything: a column of the shop's own may hold lists and objects."""
    is_plain = isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    return text(value if is_plain else json.dumps(value, ensure_ascii=False))


def identifier(value: Value) -> str:
    """A key as the shop writes it, zeros and case kept; nothing is cut from it or cleaned, for it must stay unique."""
    said = _one(value).strip(_INVISIBLE_ENDS)
    if not said or not said.replace("\u00a0", " ").isprintable():
        raise ValueError("is blank or holds a control character")
    if len(said) > _ID_KEPT:
        raise ValueError(f"is longer than {_ID_KEPT} characters")
    return said if said.isascii() else unicodedata.normalize("NFC", said)


def listed(value: Value, separator: str = ";") -> list[str]:
    """The items of a list, each once, in the order given."""
    parts = value if isinstance(value, list) else _one(value).split(separator)
    found = dict.fromkeys(item for part in parts if (item := text(part if isinstance(part, str) else str(part))))
    if len(found) > _LIST_KEPT:
        raise ValueError(f"holds more than {_LIST_KEPT} items")
    return list(found)


def yes_or_no(value: Value) -> bool | None:
    """Yes, no, or None for an answer that is still to come (Shopify's `pending`)."""
    said = _one(value).strip(_INVISIBLE_ENDS).casefold().replace(" ", "_")
    if said in _YES:
        return True
    if said in _NO:
        return False
    if said in _UNDECIDED or not said:
        return None
    raise ValueError("is neither yes nor no")


def moment(value: Value, zone: ZoneInfo, order: str) -> datetime:
    """Aware UTC time; without an offset it is local time in `zone`."""
    return _moment(_one(value), zone, order)


@lru_cache(maxsize=8192)
def _moment(written: str, zone: ZoneInfo, order: str) -> datetime:
    """Lines of an order bear one date, and many orders one day."""
    said = written.strip(_INVISIBLE_ENDS)
    try:
        return parse_moment(_SHOPIFY_OFFSET.sub(lambda found: found[1] + (found[2] or "+00:00"), said), zone)
    except (Usage, OverflowError):
        pass
    year, month, day_, hour, minute, second = _parts(said, order)
    try:
        return datetime(year, month, day_, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(_no_date(order)) from None


def day(value: Value, order: str, latest: date) -> date:
    """A calendar day between 1900 and `latest`."""
    said = _one(value).strip(_INVISIBLE_ENDS)
    try:
        found = datetime.fromisoformat(said).date()
    except ValueError:
        year, month, day_, *_ = _parts(said, order)
        try:
            found = date(year, month, day_)
        except ValueError:
            raise ValueError(_no_date(order)) from None
        if found > latest and len(re.split(r"[./-]", said)[_PLACES[order or "ymd"][0]].split()[0]) == 2:
            found = date(year - 100, month, day_)  # a birth in '30 was in 1930
    if not date(1900, 1, 1) <= found <= latest:
        raise ValueError("lies before 1900 or in the future")
    return found


def amount(value: Value, decimals: str) -> Decimal:
    """A number, exactly as written; groups of three digits only where they can't be taken for decimals."""
    return _amount(_one(value), "program" if isinstance(value, Number) else decimals)


def minor(money: Decimal, currency: str) -> int:
    """Money in the currency's minor units, halves to the even one."""
    return int(money.scaleb(_places(currency)).to_integral_value(ROUND_HALF_EVEN))


def language_tag(value: Value, languages: tuple[str, ...]) -> str:
    """`en`, `pt-BR`, from any case; the language's name will do in English and in the shop's own languages."""
    said = text(value)
    if (code := _language_names(languages).get(said.casefold())) is not None:
        return code
    if not _TAG.fullmatch(said):
        raise ValueError("is no language; write it as en or pt-BR")
    first, *rest = said.replace("_", "-").split("-")
    return "-".join([first.lower(), *(_subtag(part) for part in rest)])


def country_code(value: Value) -> str:
    """`FI`, from any case or from the English name; other texts stay as they are."""
    said = text(value)
    if len(said) == 2 and said.isascii() and said.isalpha():
        return said.upper()
    return _country_names().get(said.casefold(), said)


def zone_name(value: Value) -> str:
    """An IANA time zone."""
    found = _zones().get(_one(value).strip(_INVISIBLE_ENDS).casefold().replace(" ", "_"))
    if found is None:
        raise ValueError("is no IANA time zone such as Europe/Helsinki")
    return found


def web_address(value: Value) -> str:
    """An http or https address that may stand in a mail: nothing that escapes, no name before an @."""
    said = _one(value).strip(_INVISIBLE_ENDS)
    if len(said) > 2000 or not _WEB.fullmatch(said) or not said.isprintable():
        raise ValueError("is no http or https address fit for a mail")
    return said


def soon(at: datetime) -> datetime:
    """The latest moment that a fact may bear: a day of grace for zones and clocks."""
    return at + timedelta(days=1)


def _one(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ";".join(value)
    raise ValueError("holds an object, where one value is wanted")


def _parts(said: str, order: str) -> list[int]:
    """Year, month, day and the clock, of a date that is not ISO 8601."""
    match = _DATE.fullmatch(said)
    if match is None:
        raise ValueError(_no_date(order))
    parts = (match[1], match[3], match[4])
    if len(match[1]) == 4:
        order = "ymd"  # a year in front has one reading
    if not order:
        raise ValueError("can be read in several ways; say --dates dmy, mdy or ymd, or write it as 2026-12-31")
    year, month, day_ = (parts[place] for place in _PLACES[order])
    if len(year) not in (2, 4):
        raise ValueError(_no_date(order))
    full = int(year) + (0 if len(year) == 4 else 2000 if int(year) < 69 else 1900)
    return [full, int(month), int(day_), *(int(part or 0) for part in match.groups()[4:])]


def _no_date(order: str) -> str:
    return f"is not a date as {order} or 2026-12-31" if order else "is not a date; write it as 2026-12-31"


def _no_amount(said: str, decimals: str) -> str:
    if decimals == "point" and _COMMA.fullmatch(said):
        return "has a comma; say --decimal comma if it marks the decimals, or leave the comma out"
    if decimals == "comma" and _POINT.fullmatch(said):
        return "has a point, but --decimal comma was said"
    return "is not a number"


@lru_cache(maxsize=8192)
def _amount(written: str, decimals: str) -> Decimal:
    """Prices and quantities come again and again. `program`: written by one, with a point."""
    said = written.strip(_INVISIBLE_ENDS)
    pattern = {"point": _POINT, "comma": _COMMA, "program": _WRITTEN}[decimals]
    if not pattern.fullmatch(said):
        raise ValueError(_no_amount(said, decimals))
    groups = "." if decimals == "comma" else ","
    found = Decimal(re.sub(_GROUP, "", said).replace(groups, "").replace(",", "."))
    if abs(found) >= _LARGEST:
        raise ValueError("is not a number of a sensible size")
    return found


@lru_cache
def _places(currency: str) -> int:
    return locale.minor_units(currency)


def _subtag(part: str) -> str:
    """Scripts are written Hans, regions CN (RFC 5646, 2.1.1)."""
    return part.title() if len(part) == 4 and part.isalpha() else part.upper() if len(part) <= 3 else part.lower()


@lru_cache
def _language_names(languages: tuple[str, ...]) -> dict[str, str]:
    shown = [found for code in (*languages, "en") if (found := locale.canonical(code))]
    return {
        name.casefold(): code.replace("_", "-") for one in shown for code, name in Locale.parse(one).languages.items()
    }


@lru_cache
def _country_names() -> dict[str, str]:
    return {name.casefold(): code for code, name in Locale("en").territories.items() if len(code) == 2}


@lru_cache
def _zones() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}
