"""What does one row say about an order? A row is a line of it; its date and buyer may stand on the first line only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.audience import values
from engine.audience.address import Address, address
from engine.audience.import_run import ImportOptions
from engine.audience.reading import Value, Values
from engine.audience.values import CLEAR


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A line of an order, with the buyer and the date of the whole."""

    order_id: str
    line_no: int
    address: Address | None
    external_id: str | None
    ordered_at: datetime
    product_id: str | None
    quantity: float
    returned: float
    unit_price_cents: int
    discount_cents: int
    revenue_cents: int


@dataclass(slots=True)
class _Basket:
    """The order that the rows are in the middle of."""

    order_id: str
    address: Address | None = None
    external_id: str | None = None
    ordered_at: datetime | None = None
    is_cancelled: bool = False
    numbers: frozenset[int] = frozenset()


_REMEMBERED = 50_000  # cells already read


class OrderReader:
    """Reads rows in the file's order: what a basket's later rows leave blank is what its first one said."""

    def __init__(self, options: ImportOptions) -> None:
        self._options = options
        self._basket = _Basket("")
        self._read: dict[tuple[str, type, str], Any] = {}
        # Lines so far of every order, so that a file without line numbers numbers them: a few dozen bytes an order.
        self._lines_by_order: dict[int, int] = {}

    def read(self, cells: Values) -> OrderLine:
        """The row, checked; ValueError names the column and the reason."""
        order_id = self._cell(cells, "order_id", values.identifier)
        if order_id is None:
            raise ValueError("no order_id")
        # Numbered before anything can fail: a refused line keeps its place, so that mending it moves no other.
        line_no = self._line_no(order_id, cells)
        basket = self._basket_of(order_id, cells)
        if line_no in basket.numbers:
            raise ValueError(f"line_no {line_no} of this order stands in the file twice")
        line = self._line(basket, line_no, cells)
        basket.numbers |= {line_no}
        return line

    def _line_no(self, order_id: str, cells: Values) -> int:
        said = self._cell(cells, "line_no", self._amount)
        if said is not None:
            if said != int(said) or not 0 <= said < 2**31:
                raise ValueError("line_no is not a whole number")
            return int(said)
        known = hash(order_id)
        self._lines_by_order[known] = self._lines_by_order.get(known, 0) + 1
        return self._lines_by_order[known]

    def _basket_of(self, order_id: str, cells: Values) -> _Basket:
        if self._basket.order_id != order_id:
            self._basket = _Basket(order_id)
        basket = self._basket
        mailbox = self._cell(cells, "email", self._address)
        external_id = self._cell(cells, "external_id", values.identifier)
        ordered_at = self._cell(cells, "ordered_at", self._moment)
        if (mailbox and basket.address and mailbox.key != basket.address.key) or (
            external_id and basket.external_id and external_id != basket.external_id
        ):
            raise ValueError("the line above gives the same order to another contact")
        basket.address, basket.external_id = basket.address or mailbox, basket.external_id or external_id
        basket.ordered_at = basket.ordered_at or ordered_at  # the first line's date is the order's
        basket.is_cancelled = basket.is_cancelled or "cancelled_at" in cells
        if basket.address is None and basket.external_id is None:
            raise ValueError("neither email nor external_id says who bought, here or in the order's lines above")
        if basket.ordered_at is None:
            raise ValueError("no ordered_at, here or in the order's lines above")
        return basket

    def _line(self, basket: _Basket, line_no: int, cells: Values) -> OrderLine:
        currency = self._cell(cells, "currency", values.identifier)
        if currency is not None and currency.upper() != self._options.currency:
            raise ValueError(f"currency is not the shop's, {self._options.currency}; one workspace has one currency")
        quantity = self._cell(cells, "quantity", self._amount)
        quantity = Decimal(1) if quantity is None else quantity
        returned = self._cell(cells, "returned", self._amount) or Decimal(0)
        returned = quantity if basket.is_cancelled else returned
        price = self._cell(cells, "unit_price", self._amount) or Decimal(0)
        discount = self._cell(cells, "discount", self._amount) or Decimal(0)
        _check(quantity, returned, price, discount)
        # What came back takes its part of the discount with it.
        kept = (quantity - returned) * price - discount * (quantity - returned) / quantity
        assert basket.ordered_at is not None
        return OrderLine(
            order_id=basket.order_id,
            line_no=line_no,
            address=basket.address,
            external_id=basket.external_id,
            ordered_at=basket.ordered_at,
            product_id=self._cell(cells, "product_id", values.identifier)
            or self._cell(cells, "product_name", values.identifier),
            quantity=float(quantity),
            returned=float(returned),
            unit_price_cents=values.minor(price, self._options.currency),
            discount_cents=values.minor(discount, self._options.currency),
            revenue_cents=values.minor(kept, self._options.currency),
        )

    def _cell(self, cells: Values, name: str, read: Callable[[Value], Any]) -> Any:
        """None for a blank cell. Quantities, prices, buyers and dates repeat from line to line: each is read once."""
        cell = cells.get(name, "")
        if not cell or cell == CLEAR:
            return None
        key = (name, type(cell), cell if isinstance(cell, str) else repr(cell))
        if key in self._read:
            return self._read[key]
        try:
            found = read(cell)
        except ValueError as fault:
            raise ValueError(str(fault) if name == "email" else f"{name} {fault}") from None
        if len(self._read) >= _REMEMBERED:
            self._read.clear()
        self._read[key] = found
        return found

    def _amount(self, cell: Value) -> Decimal:
        return values.amount(cell, self._options.decimal)

    def _moment(self, cell: Value) -> datetime:
        return values.moment(cell, self._options.zone, self._options.dates)

    def _address(self, cell: Value) -> Address:
        return address(cell if isinstance(cell, str) else "", self._options.allow_test_domains)


def _check(quantity: Decimal, returned: Decimal, price: Decimal, discount: Decimal) -> None:
    if quantity <= 0:
        raise ValueError("quantity is not above 0; goods sent back belong into the column returned")
    if not 0 <= returned <= quantity:
        raise ValueError("returned is below 0 or above quantity")
    if price < 0 or discount < 0:
        raise ValueError("unit_price or discount is below 0")
    # Shops round a unit price; the line's discount may then exceed it by as much.
    if discount > quantity * price + quantity * Decimal("0.01"):
        raise ValueError("discount is larger than quantity x unit_price; it is the money off the whole line")
