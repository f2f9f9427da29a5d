"""Where does a field lie in the database? What the owner of the tables hands to `to_sql`."""

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import ColumnElement

from engine.model import FieldKind


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlField:
    """The expressions that hold one field. NULL is Missing. Which of them are set follows from `kind`.

    TEXT     text     a text expression; the empty text counts as Missing
    NUMBER   number   any numeric expression (integer columns too); rules compute with it as a double
    BOOLEAN  flag     a Boolean column
    MOMENT   moment   a `UtcTime` column, or an integer expression in microseconds since 1970
    LIST     items    a `Json` column with an array of texts; NULL (a missing joined row) counts as the empty list
    LOOSE    text and number: the text, and `number_of(text)` as it was stored at import

    A number lies between 1e-20 and 1e20 in size, or is 0: rules prove by that that no step of theirs overflows.
    """

    kind: FieldKind
    text: ColumnElement[Any] | None = None
    number: ColumnElement[Any] | None = None
    flag: ColumnElement[Any] | None = None
    moment: ColumnElement[Any] | None = None
    items: ColumnElement[Any] | None = None


class Columns(Protocol):
    """What the owner of the tables supplies, for one moment.

    Whatever depends on the moment (`age`, `days_since_last_order`, `lifecycle`, scores) is an expression over stored
    columns, built for the same `at` that `to_sql` gets. `attribute` is best a correlated scalar subquery on
    `contact_attribute` for `value` and one for `number`; it is asked only for the names in `Rule.names`, and may be
    asked more than once for the same name. A field that no row ever holds (an unknown attribute) gives NULLs.
    """

    def field(self, name: str) -> SqlField:
        """The expressions of a name in `model.FIELDS`; its kind must be the one given there."""
        ...

    def attribute(self, name: str) -> SqlField:
        """The expressions of `attributes.NAME`, always LOOSE; NAME may hold any characters."""
        ...
