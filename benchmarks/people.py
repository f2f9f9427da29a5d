"""Who is written to? People with names from many places, their orders and a catalogue: always the same ones."""

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

TODAY = date(2026, 3, 2)
REFERENCE = "reference"  # the tag of those who get the reference message
WARM_UP = "warm"  # and of those whose mail goes first, uncounted: warm0, warm1 ...
WARM_UPS = 2
WARM_UP_PEOPLE = 25

# Every fifth name needs more than ASCII.
_PLAIN = "Anna James Maria David Laura Peter Sofia Daniel Emma Martin Julia Thomas Nora Oscar Helen Victor".split()
_GIVEN = (*_PLAIN, "Zoë", "Łukasz", "François", "Søren")
_FAMILY = "Smith Jones Brown Garcia Miller Davis Martin Lopez Wilson Moore Virtanen Tran Novak Rossi Ali Chen".split()
_FAMILIES = (*_FAMILY, "Müller", "Nguyễn", "Ó Briain", "Åkerström")
_CITIES = ("Springfield", "Helsinki", "Tampere", "Leeds", "Malmö", "Porto", "Graz", "Ghent")
_CATEGORIES = ("Dairy & Eggs", "Bakery", "Tea", "Coffee", "Fruit", "Cheese", "Sweets", "Flowers", "Wine", "Soap")
_TIERS = ("Bronze", "Silver", "Gold", "Platinum")
_KINDS = ("Organic", "Small", "Smoked", "Old Town", "Crème", "Winter", "Golden", "Farmer's", "Wild", "Dark")

_CONTACT = (
    "email given_name family_name city country language tags mailing_consent mailing_consent_at consent_source "
    "tracking_consent store_city last_day savings tier points points_until member street district phone since coupon "
    "coupon_value coupon_until day_1 order_1 total_1 day_2 order_2 total_2 day_3 order_3 total_3"
).split()


def address(number: int) -> str:
    """The mailbox of one of them."""
    return f"p{number:07d}@people.test"


def write_contacts(path: Path, count: int, tagged: int) -> None:
    """A contacts file; the first `tagged` of them get the reference message, the last ones the warm-ups."""
    warm = {count - 1 - n: f"{WARM_UP}{n % WARM_UPS}" for n in range(WARM_UPS * WARM_UP_PEOPLE)}
    _write(path, _CONTACT, (_contact(n, REFERENCE if n < tagged else warm.get(n, "other")) for n in range(count)))


def write_products(path: Path, count: int) -> None:
    """A catalogue file."""
    _write(path, "product_id title category price stock url image_url".split(), (_product(n) for n in range(count)))


def write_orders(path: Path, people: int, products: int) -> None:
    """Three orders a person, with two products each: enough to recommend four more by."""
    head = "order_id line_no email ordered_at product_id quantity unit_price".split()
    _write(path, head, (line for n in range(people) for line in _orders(n, products)))


def _write(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


def _contact(number: int, tag: str) -> list[object]:
    draw = random.Random(number)
    city, since = draw.choice(_CITIES), date(2015, 1, 1) + timedelta(days=draw.randrange(3600))
    days = [TODAY - timedelta(days=some) for some in _days_ago(number)]
    orders = [
        cell for day in days for cell in (day, f"{draw.randrange(10**6):06d}", _money(draw.randrange(500, 20_000)))
    ]
    return [
        *(address(number), draw.choice(_GIVEN), draw.choice(_FAMILIES), city, "FI", "en", tag),
        *("yes", since, "shop", "yes"),
        *(city, days[0], _money(draw.randrange(30_000)), draw.choice(_TIERS), draw.randrange(5000), "31 December 2026"),
        *(f"M{number:07d}", f"{draw.randrange(1, 99)} Station Road", f"{draw.randrange(10**5):05d}"),
        *(f"+358 40 {draw.randrange(10**6):06d}", since.year),
        *(f"SAVE{draw.randrange(10**5):05d}", f"{draw.choice((10, 15, 20))} %", "31 March 2026"),
        *orders,
    ]


def _product(number: int) -> list[object]:
    draw = random.Random(-1 - number)
    category = _CATEGORIES[number % len(_CATEGORIES)]
    title = f"{draw.choice(_KINDS)} {category} No. {number}"
    where = f"https://shop.test/{number}"
    return [f"P{number}", title, category, f"{draw.randrange(100, 5000) / 100:.2f}", 1000, where, f"{where}.jpg"]


def _orders(number: int, products: int) -> Iterable[list[object]]:
    draw = random.Random(number + 10**9)
    taste = draw.randrange(len(_CATEGORIES))  # most of what somebody buys is of one category
    for order, days in enumerate(_days_ago(number), start=1):
        for line in (1, 2):
            chosen = draw.randrange(products // len(_CATEGORIES)) * len(_CATEGORIES) + taste
            bought = chosen if draw.random() < 0.8 else draw.randrange(products)
            day = TODAY - timedelta(days=days)
            yield [f"O{number}-{order}", line, address(number), f"{day}T10:00:00", f"P{bought}", 1, "9.90"]


def _days_ago(number: int) -> tuple[int, int, int]:
    return (3 + number % 20, 40 + number % 30, 90 + number % 50)


def _money(cents: int) -> str:
    return f"€{cents / 100:.2f}"
