"""Which products does each contact see? Two stored lists, rebuilt at night: buy again, and new for you.

The two answer different needs, since about half of what people buy they have bought before. Whoever never bought
sees what sells best now. A list is rewritten only where its products or reasons change; a stored score is that of
the night when its list last changed. Stock may change until the mail goes out: look at it again when reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from engine.audience.baskets import History, Ints, history, read_lines, rows_of
from engine.audience.picking import Choice, Shelf, choose_again, choose_new, read_shelf
from engine.audience.taste import Taste, learn, new_for_you_scores
from engine.clock import local_day
from engine.model import Progress
from engine.store import Store, among, chunks, from_micros, to_micros
from engine.store.tables import contact, recommendation

BUY_AGAIN, NEW_FOR_YOU = "buy_again", "new_for_you"

_CONTACTS_AT_ONCE = 256  # 256 x 5,000 scores: 10 MB
_CONTACTS_A_WRITE = 25  # of up to 40 rows: some 10 ms

_UTC = ZoneInfo("UTC")

Reason = Mapping[str, object]


class Pick(NamedTuple):
    """One row of a contact's lists."""

    list: str
    rank: int
    product_id: str
    score: float
    reason: Reason

    @property
    def shown(self) -> tuple[str, int, str, Reason]:
        """What a reader would notice: all but the score, which ages every day."""
        return (self.list, self.rank, self.product_id, self.reason)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Models:
    """All that the lists of one night are made from."""

    past: History
    shelf: Shelf
    taste: Taste
    again: Choice
    zone: ZoneInfo


def rebuild_recommendations(store: Store, at: datetime, progress: Progress, zone: ZoneInfo = _UTC) -> int:
    """Bring both lists of every contact up to what was known at `at`; gives the contacts whose lists changed."""
    models = fit(store, at, zone)
    changed = _forget_erased(store)
    ids = _contact_ids(store)
    for start, part in enumerate(chunks(ids, _CONTACTS_AT_ONCE)):
        changed += _save(store, lists_of(models, part))
        progress(start * _CONTACTS_AT_ONCE + len(part), len(ids))
    return changed


def fit(store: Store, at: datetime, zone: ZoneInfo) -> Models:
    """Read the shop's history up to `at`, today's catalogue, and learn from them."""
    past = history(read_lines(store, last=at), at)
    shelf = read_shelf(store, past.products)
    again = choose_again(past, shelf, to_micros(at))
    return Models(past=past, shelf=shelf, taste=learn(past), again=again, zone=zone)


def lists_of(models: Models, contact_ids: Sequence[int]) -> dict[int, list[Pick]]:
    """Both lists of some contacts, as they should stand in the store."""
    rows = rows_of(contact_ids, models.past)
    known = rows[rows >= 0]
    chosen = choose_new(new_for_you_scores(models.taste, known), models.taste.items, models.shelf)
    new = iter([_new_picks(models, chosen, n, int(row)) for n, row in enumerate(known)])
    popular = _popular_picks(models)
    return {
        contact_id: [*_again_picks(models, int(row)), *next(new)] if row >= 0 else popular
        for contact_id, row in zip(contact_ids, rows, strict=True)
    }


def _again_picks(models: Models, row: int) -> list[Pick]:
    past, again = models.past, models.again
    start, end = np.searchsorted(again.row, [row, row + 1])
    pairs_from, pairs_to = np.searchsorted(past.row, [row, row + 1])
    pairs = pairs_from + np.searchsorted(past.column[pairs_from:pairs_to], again.column[start:end])
    return [
        Pick(BUY_AGAIN, int(again.rank[i]), past.products[again.column[i]], float(again.score[i]), reason)
        for i, reason in zip(range(start, end), (_bought_times(models, pair) for pair in pairs), strict=True)
    ]


def _bought_times(models: Models, pair: int) -> Reason:
    last = local_day(from_micros(int(models.past.last[pair])), models.zone)
    return {"code": "bought_times", "times": int(models.past.times[pair]), "last": last.isoformat()}


def _new_picks(models: Models, chosen: Choice, n: int, row: int) -> list[Pick]:
    """The picks of the n-th row of `chosen`, who is `row` in the history."""
    start, end = np.searchsorted(chosen.row, [n, n + 1])
    columns = chosen.column[start:end]
    return [
        Pick(NEW_FOR_YOU, int(chosen.rank[i]), models.past.products[chosen.column[i]], float(chosen.score[i]), reason)
        for i, reason in zip(range(start, end), _reasons(models, row, columns), strict=True)
    ]


def _reasons(models: Models, row: int, columns: Ints) -> list[Reason]:
    """For each product the bought one that speaks loudest for it; where none does, it is simply popular."""
    taste, title = models.taste, models.shelf.title
    bought = taste.bought.indices[taste.bought.indptr[row] : taste.bought.indptr[row + 1]]
    titled = [int(item) for item in sorted(bought) if title[taste.items[item]]]
    if not titled:
        return [{"code": "popular"}] * len(columns)
    said = taste.weights[np.ix_(np.array(titled), np.searchsorted(taste.items, columns))]
    loudest = said.argmax(axis=0)
    return [
        {"code": "because", "title": title[taste.items[titled[who]]]} if said[who, n] > 0 else {"code": "popular"}
        for n, who in enumerate(loudest)
    ]


def _popular_picks(models: Models) -> list[Pick]:
    """For those who never bought: what sells best now."""
    chosen = choose_new(models.taste.edge[None, :], models.taste.items, models.shelf)
    return [
        Pick(NEW_FOR_YOU, int(rank), models.past.products[column], float(score), {"code": "popular"})
        for column, score, rank in zip(chosen.column, chosen.score, chosen.rank, strict=True)
    ]


def _contact_ids(store: Store) -> list[int]:
    with store.read() as db:
        return list(
            db.execute(sa.select(contact.c.id).where(contact.c.email.is_not(None)).order_by(contact.c.id)).scalars()
        )


def _forget_erased(store: Store) -> int:
    """Drop the lists of contacts without an address: they were erased."""
    erased = sa.select(contact.c.id).where(contact.c.email.is_(None))
    with store.read() as db:
        listed = db.execute(
            sa.select(recommendation.c.contact_id).distinct().where(recommendation.c.contact_id.in_(erased))
        ).scalars()
        ids = list(listed)
    for part in chunks(ids, _CONTACTS_A_WRITE):
        with store.write() as db:
            db.execute(sa.delete(recommendation).where(among(recommendation.c.contact_id, part)))
    return len(ids)


def _save(store: Store, lists: Mapping[int, Sequence[Pick]]) -> int:
    """Replace the rows of those whose lists differ, a few contacts a transaction; gives how many differed."""
    stored = _stored(store, list(lists))
    differing = [one for one, picks in lists.items() if stored.get(one, []) != [pick.shown for pick in picks]]
    for part in chunks(differing, _CONTACTS_A_WRITE):
        with store.write() as db:
            # Somebody may have been erased since the lists were made.
            living = sa.select(contact.c.id).where(among(contact.c.id, part), contact.c.email.is_not(None))
            ids = set(db.execute(living.with_for_update(read=True)).scalars())
            db.execute(sa.delete(recommendation).where(among(recommendation.c.contact_id, part)))
            rows = [{"contact_id": one, **pick._asdict()} for one in part if one in ids for pick in lists[one]]
            if rows:
                db.execute(sa.insert(recommendation), rows)
    return len(differing)


def _stored(store: Store, contact_ids: Sequence[int]) -> dict[int, list[tuple[str, int, str, Reason]]]:
    columns = recommendation.c
    wanted = (
        sa.select(columns.contact_id, columns.list, columns.rank, columns.product_id, columns.reason)
        .where(among(columns.contact_id, contact_ids))
        .order_by(columns.contact_id, columns.list, columns.rank)
    )
    found: dict[int, list[tuple[str, int, str, Reason]]] = {}
    with store.read() as db:
        for contact_id, *shown in db.execute(wanted):
            found.setdefault(contact_id, []).append(tuple(shown))
    return found
