"""In which time zone does a contact live? Her own, else her region's, else her country's, else the shop's.

Countries come from the time zone database's own table (zone.tab of the tzdata package). A country of several zones
gives the one most people live in; the table lists that first, but for the few named here.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo, available_timezones

from engine.model import Profile

_MOST_PEOPLE = {
    "AU": "Australia/Sydney",
    "BR": "America/Sao_Paulo",
    "CA": "America/Toronto",
    "RU": "Europe/Moscow",
    "UA": "Europe/Kyiv",
    "UZ": "Asia/Tashkent",
}

_CALLED = {"uk": "GB", "great britain": "GB", "united kingdom": "GB", "usa": "US", "south korea": "KR"}

# Regions by zone, as ISO 3166-2 code and name; where a zone's border cuts through one, what most of its people keep.
_REGIONS: Mapping[str, Mapping[str, str]] = {
    "US": {
        "America/New_York": "CT Connecticut, DE Delaware, DC District of Columbia, FL Florida, GA Georgia, IN Indiana, "
        "KY Kentucky, ME Maine, MD Maryland, MA Massachusetts, MI Michigan, NH New Hampshire, NJ New Jersey, "
        "NY New York, NC North Carolina, OH Ohio, PA Pennsylvania, RI Rhode Island, SC South Carolina, VT Vermont, "
        "VA Virginia, WV West Virginia",
        "America/Chicago": "AL Alabama, AR Arkansas, IL Illinois, IA Iowa, KS Kansas, LA Louisiana, MN Minnesota, "
        "MS Mississippi, MO Missouri, NE Nebraska, ND North Dakota, OK Oklahoma, SD South Dakota, TN Tennessee, "
        "TX Texas, WI Wisconsin",
        "America/Denver": "CO Colorado, ID Idaho, MT Montana, NM New Mexico, UT Utah, WY Wyoming",
        "America/Phoenix": "AZ Arizona",
        "America/Los_Angeles": "CA California, NV Nevada, OR Oregon, WA Washington",
        "America/Anchorage": "AK Alaska",
        "Pacific/Honolulu": "HI Hawaii",
    },
    "CA": {
        "America/St_Johns": "NL Newfoundland and Labrador",
        "America/Halifax": "NS Nova Scotia, NB New Brunswick, PE Prince Edward Island",
        "America/Toronto": "ON Ontario, QC Quebec, NU Nunavut",
        "America/Winnipeg": "MB Manitoba",
        "America/Regina": "SK Saskatchewan",
        "America/Edmonton": "AB Alberta, NT Northwest Territories",
        "America/Vancouver": "BC British Columbia",
        "America/Whitehorse": "YT Yukon",
    },
    "AU": {
        "Australia/Sydney": "NSW New South Wales, ACT Australian Capital Territory",
        "Australia/Melbourne": "VIC Victoria",
        "Australia/Hobart": "TAS Tasmania",
        "Australia/Brisbane": "QLD Queensland",
        "Australia/Adelaide": "SA South Australia",
        "Australia/Darwin": "NT Northern Territory",
        "Australia/Perth": "WA Western Australia",
    },
    "BR": {
        "America/Manaus": "AM Amazonas",
        "America/Cuiaba": "MT Mato Grosso",
        "America/Campo_Grande": "MS Mato Grosso do Sul",
        "America/Porto_Velho": "RO Rondônia",
        "America/Boa_Vista": "RR Roraima",
        "America/Rio_Branco": "AC Acre",
    },
    "MX": {
        "America/Tijuana": "BCN Baja California",
        "America/Mazatlan": "BCS Baja California Sur, SIN Sinaloa, NAY Nayarit",
        "America/Hermosillo": "SON Sonora",
        "America/Cancun": "ROO Quintana Roo",
    },
    "PT": {"Atlantic/Azores": "20 Açores", "Atlantic/Madeira": "30 Madeira"},
    "ES": {"Atlantic/Canary": "CN Canarias, GC Las Palmas, TF Santa Cruz de Tenerife"},
}


def zone_of(profile: Profile, shop_zone: ZoneInfo) -> ZoneInfo:
    """The zone whose clock this contact reads."""
    return known_zone(profile.timezone, profile.region, profile.country) or shop_zone


def known_zone(timezone: str | None, region: str | None, country: str | None) -> ZoneInfo | None:
    """The zone that these say somebody lives in; None when they say nothing."""
    return _zone(timezone or "", region or "", country or "")


def country_of(country: str | None) -> str:
    """The ISO 3166 code of a country as somebody wrote it (`DE`, `Germany`, `UK`); empty when it is none."""
    return _country_code(country or "")


@cache
def _zone(own: str, region: str, country: str) -> ZoneInfo | None:
    name = _names().get(own.strip().casefold())
    if name is None:
        code = _country_code(country)
        known = _regions().get(code, {})
        name = known.get(region.strip().casefold().removeprefix(f"{code.casefold()}-")) or _countries().get(code)
    return ZoneInfo(name) if name else None


@cache
def _country_code(country: str) -> str:
    said = country.strip()
    return (
        said.upper() if len(said) == 2 and said.casefold() not in _CALLED else _country_names().get(said.casefold(), "")
    )


@cache
def _names() -> dict[str, str]:
    return {name.casefold(): name for name in available_timezones()}


@cache
def _regions() -> dict[str, dict[str, str]]:
    """Zone by a region's code or name, in lower case, by country."""
    table: dict[str, dict[str, str]] = {}
    for country, zones in _REGIONS.items():
        spellings = ((word, zone) for zone, text in zones.items() for word in _spellings(text))
        table[country] = dict(spellings)
    return table


def _spellings(text: str) -> list[str]:
    return [word.casefold() for region in text.split(", ") for word in region.split(" ", 1)]


@cache
def _countries() -> dict[str, str]:
    """The first zone of each country in zone.tab, or the one with most people."""
    first: dict[str, str] = {}
    for code, _, zone, *_ in _rows("zone.tab"):
        first.setdefault(code, zone)
    return first | _MOST_PEOPLE


@cache
def _country_names() -> dict[str, str]:
    return {name.casefold(): code for code, name, *_ in _rows("iso3166.tab")} | _CALLED


def _rows(table: str) -> list[list[str]]:
    text = (files("tzdata.zoneinfo") / table).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
