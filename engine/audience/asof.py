"""Which figures are true at this moment: the stored ones, or must they be computed from orders?

Stored figures of another moment are as good as those of this one when no order lies between the two. The stored
yardstick holds from its own moment on; before that it is measured as of then. Attributes, consent, tags and
recommendations have no history here: a past moment shows today's. Messages and clicks are counted up to the moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine import locale
from engine.audience import yardstick
from engine.audience.profile import Basis, Catalogue, Figures, figures
from engine.audience.refresh import FIRST_LANGUAGE, bought_between, stored
from engine.audience.yardstick import Yardstick
from engine.store import among
from engine.store.tables import profile


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """One moment, and all that is needed to see every contact as of it."""

    basis: Basis
    currency: str
    yardstick: Yardstick
    catalogue: Catalogue = field(default_factory=Catalogue)

    @property
    def at(self) -> datetime:
        """The moment."""
        return self.basis.at

    @property
    def minor(self) -> int:
        """How many minor units make one unit of the shop's currency: 100 cents, 1 yen."""
        return int(10 ** locale.minor_units(self.currency))


def look(db: sa.Connection, at: datetime, zone: ZoneInfo, currency: str) -> Lens:
    """The lens for a moment. Where the stored yardstick is younger, measuring reads every order up to then."""
    kept = stored(db)
    measured = kept.yardstick
    if measured is None or measured.as_of > at:
        measured = yardstick.from_orders(db, at, zone)
    language = kept.basis.language if kept.basis else FIRST_LANGUAGE
    return Lens(basis=Basis(at=at, zone=zone, language=language), currency=currency, yardstick=measured)


def are_stored(db: sa.Connection, basis: Basis) -> bool:
    """Whether the stored figures are those of `basis`."""
    kept = stored(db).basis
    if kept is None or replace(kept, at=basis.at) != basis:
        return False
    return not bought_between(db, kept.at, basis.at)


def figures_seen(db: sa.Connection, contact_ids: Sequence[int], lens: Lens) -> dict[int, Figures]:
    """The figures of these contacts as of the lens's moment, stored or computed. Some hundreds at a time."""
    if not are_stored(db, lens.basis):
        return figures(db, contact_ids, lens.basis, lens.catalogue)
    names = list(Figures.__dataclass_fields__)
    columns = [profile.c[name] for name in names]
    query = sa.select(profile.c.contact_id, *columns).where(among(profile.c.contact_id, contact_ids))
    return {row.contact_id: _figures(dict(zip(names, row[1:], strict=True))) for row in db.execute(query)}


def _figures(columns: dict[str, Any]) -> Figures:
    """A stored row; JSON gives lists, a value holds tuples."""
    lists = {name: tuple(value) for name, value in columns.items() if isinstance(value, list)}
    return Figures(**{**columns, **lists})
