"""How do our values lie in both databases? Moments as integer microseconds, days as yyyymmdd, lists as JSON."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Dialect, Integer, types
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import JSON

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC time of `to_micros`."""
    return _EPOCH + micros * _MICROSECOND


class UtcTime(types.TypeDecorator[datetime]):
    """An aware UTC time as microseconds since 1970: the same exact arithmetic and order on both databases."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive times at the door of the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without zone reached the database: {value!r}")
        return to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Aware UTC."""
        return None if value is None else from_micros(value)


class Day(types.TypeDecorator[date]):
    """A calendar day as the integer yyyymmdd, so that ages can be computed by whole-number division."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect) -> int | None:
        """20261203 for 3 December 2026."""
        return None if value is None else value.year * 10000 + value.month * 100 + value.day

    def process_result_value(self, value: int | None, dialect: Dialect) -> date | None:
        """The day again."""
        return None if value is None else date(value // 10000, value // 100 % 100, value % 100)


# JSON on both; PostgreSQL's binary form can be searched by its operators.
Json: types.TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")
# Surrogate keys: SQLite gives rowids only to INTEGER, PostgreSQL needs 64 bits for a busy ledger.
BigId: types.TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
