"""Money, numbers and days as each reader writes them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from engine.locale import day, minor_units, money, number


@pytest.mark.parametrize(
    ("expected", "language"),
    [
        ("€1,234.50", "en"),
        ("1\u00a0234,50\u00a0€", "fi"),
        ("۱٬۲۳۴٫۵۰ یورو", "fa"),
        ("1.234,50\u00a0€", "vi"),
        ("€1,234.50", "ms"),
        ("€1,234.50", "zh"),
        ("€1,234.50", "qq"),
        ("€1,234.50", None),
    ],
)
def test_a_price_is_written_as_its_reader_writes_prices(expected: str, language: str | None) -> None:
    assert expected == money(1234.5, "EUR", language)


@pytest.mark.parametrize(
    ("expected", "amount", "currency", "language"),
    [
        ("89.000\u00a0₫", 89000, "VND", "vi"),
        ("RM12.90", Decimal("12.90"), "MYR", "ms"),
        ("¥3.00", 3, "CNY", "zh"),
        ("۲۵۰٬۰۰۰ ریال", 250000, "IRR", "fa"),
        ("12,90\u00a0€", 12.9, "EUR", "fi"),
    ],
)
def test_a_price_has_its_currencys_decimals(
    expected: str, amount: float | Decimal, currency: str, language: str
) -> None:
    assert expected == money(amount, currency, language)


@pytest.mark.parametrize(
    ("expected", "language"),
    [("1,234.5", "en"), ("1\u00a0234,5", "fi"), ("۱٬۲۳۴٫۵", "fa"), ("1.234,5", "vi"), ("1,234.5", "zh")],
)
def test_a_number_has_its_readers_digits_and_marks(expected: str, language: str) -> None:
    assert expected == number(1234.5, language)


@pytest.mark.parametrize(
    ("expected", "language"),
    [
        ("March 21, 2026", "en"),
        ("21 March 2026", "en_GB"),
        ("21. maaliskuuta 2026", "fi"),
        ("۱ فروردین ۱۴۰۵", "fa"),
        ("21 tháng 3, 2026", "vi"),
        ("21 Mac 2026", "ms"),
        ("2026年3月21日", "zh"),
    ],
)
def test_a_day_is_written_out_and_in_jalali_for_persian_readers(expected: str, language: str) -> None:
    assert expected == day(date(2026, 3, 21), language)


def test_a_moment_gives_the_day_of_its_own_zone() -> None:
    assert "March 1, 2026" == day(datetime(2026, 3, 1, 23, 30, tzinfo=UTC), "en")


@pytest.mark.parametrize(("expected", "currency"), [(2, "EUR"), (0, "VND"), (0, "JPY"), (3, "KWD")])
def test_minor_units_are_the_currencys_own(expected: int, currency: str) -> None:
    assert expected == minor_units(currency)
