"""Which of the products somebody would like may be shown to her? What is on the shelf, what is due, and no monotony.

A list holds at most 20 products and at most 3 of a category; equal scores go by product id, so that the same input
always gives the same list. Buy again shows a pair of contact and product only when
- people rebuy such goods: this contact did, or at least 5 % of its buyers (held to its category's share by 20 buyers'
  worth of doubt) bought it again a day or more later; and
- it was not just bought: not within 3 days, nor within half of the usual gap between two purchases of it. The gap is
  the contact's own where she bought it again, else the average of all who did.
"""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from engine.audience.baskets import Flags, Floats, History, Ints
from engine.audience.taste import buy_again_scores
from engine.store import Store
from engine.store.tables import product

LIST_LENGTH = 20
PER_CATEGORY = 3

_DAY = 86_400_000_000  # microseconds
_REST = 3 * _DAY
_REBOUGHT_SHARE = 0.05
_DOUBT = 20  # buyers

_FIRST_LOOK = 200  # candidates a contact: enough for 20 unless a few categories hold them all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shelf:
    """What the catalogue says today of each product of a history, by column."""

    sellable: Flags  # in the catalogue, recommendable and not out of stock
    category: Ints  # -1: none, which limits nothing
    title: tuple[str, ...]  # empty: not in the catalogue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """The chosen pairs, by row and then by rank. Rank 1 comes first."""

    row: Ints
    column: Ints
    score: Floats
    rank: Ints


def read_shelf(store: Store, products: tuple[str, ...]) -> Shelf:
    """Look up what may be sold now."""
    place = {name: i for i, name in enumerate(products)}
    sellable, category = np.zeros(len(products), np.bool_), np.full(len(products), -1, np.int64)
    title, codes = [""] * len(products), dict[str, int]()
    wanted = sa.select(
        product.c.product_id,
        product.c.title,
        product.c.category,
        sa.and_(product.c.recommendable, sa.func.coalesce(product.c.stock, 1) > 0),
    )
    with store.read() as db:
        for name, text, kind, can_sell in db.execute(wanted):
            if (i := place.get(name)) is not None:
                title[i], sellable[i] = text, can_sell
                category[i] = codes.setdefault(kind, len(codes)) if kind else -1
    return Shelf(sellable=sellable, category=category, title=tuple(title))


def choose_again(past: History, shelf: Shelf, now: Ints | int) -> Choice:
    """The "buy again" lists of all contacts; `now` in microseconds since 1970."""
    repeats = (past.times >= 2) & (past.last - past.first >= _DAY)
    rebuyable = repeats | (rebought_share(past, repeats, shelf.category) >= _REBOUGHT_SHARE)[past.column]
    rested = now - past.last >= np.maximum(_REST, 0.5 * usual_gap(past, repeats))
    may = np.flatnonzero((past.times > 0) & shelf.sellable[past.column] & rebuyable & rested)
    return choose(past.row[may], past.column[may], buy_again_scores(past)[may], shelf.category[past.column[may]])


def rebought_share(past: History, repeats: Flags, category: Ints) -> Floats:
    """By product: which share of its buyers bought it again, held towards its category's share."""
    buyers, again = past.buyers(), np.bincount(past.column[repeats], minlength=len(past.products)).astype(np.float64)
    group = np.where(category < 0, category.max(initial=-1) + 1, category)
    in_group = np.bincount(group, buyers)
    usual = _ratio(np.bincount(group, again), in_group)
    share: Floats = (again + _DOUBT * usual[group]) / (buyers + _DOUBT)
    return share


def usual_gap(past: History, repeats: Flags) -> Floats:
    """By pair: microseconds between two purchases of the product; 0 where nobody ever bought it again."""
    span, gaps = (past.last - past.first).astype(np.float64), np.maximum(past.times - 1, 1).astype(np.float64)
    column, size = past.column[repeats], len(past.products)
    spans, counts = np.bincount(column, span[repeats], size), np.bincount(column, gaps[repeats], size)
    return np.where(repeats, span / gaps, _ratio(spans, counts)[past.column])


def _ratio(part: Floats | Ints, whole: Floats | Ints) -> Floats:
    """part / whole, 0 where whole is; without any pairs numpy counts whole numbers."""
    ratio: Floats = np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
    return ratio


def choose_new(scores: Floats, columns: Ints, shelf: Shelf) -> Choice:
    """The best of dense scores (contacts x the model's items, whose places in the history are `columns`)."""
    scores = np.where(shelf.sellable[columns], scores, -np.inf)
    category = shelf.category[columns]
    row, item = shortlist(scores, _FIRST_LOOK)
    picked = choose(row, item, scores[row, item], category[item])
    counts = np.bincount(picked.row, minlength=len(scores))
    if ((counts < LIST_LENGTH) & (np.bincount(row, minlength=len(scores)) < (scores > 0).sum(axis=1))).any():
        row, item = shortlist(scores, len(columns))
        picked = choose(row, item, scores[row, item], category[item])
    return Choice(row=picked.row, column=columns[picked.column], score=picked.score, rank=picked.rank)


def shortlist(scores: Floats, depth: int) -> tuple[Ints, Ints]:
    """Row and column of positive scores: every row's best `depth`, all that tie with the last of them, some more."""
    enough = scores > 0
    if depth < scores.shape[1]:
        enough &= scores >= _reached_by(scores, depth)[:, None]
    row, column = np.nonzero(enough)
    return row, column


def _reached_by(scores: Floats, depth: int) -> Floats:
    """For each row a score that at least `depth` of its columns reach.

    It is taken among the maxima of small groups of columns: a partition of whole rows takes 100 times as long.
    """
    width = max(1, scores.shape[1] // (8 * depth))
    groups = scores.shape[1] // width
    # Said in full: without rows nothing tells numpy how many groups there are.
    maxima = scores[:, : groups * width].reshape(len(scores), groups, width).max(axis=2)
    return np.partition(maxima, maxima.shape[1] - depth, axis=1)[:, maxima.shape[1] - depth]


def choose(row: Ints, column: Ints, score: Floats, category: Ints, length: int = LIST_LENGTH) -> Choice:
    """The best of each row: at most `length`, at most three of a category, ties by column."""
    order = np.lexsort((column, -score, row))
    row, column, score, category = row[order], column[order], score[order], category[order]
    group = row * (category.max(initial=0) + 1) + category
    group = np.where(category < 0, -1 - np.arange(len(row)), group)
    varied = _place_within(group) < PER_CATEGORY
    row, column, score = row[varied], column[varied], score[varied]
    rank = _place_within(row) + 1
    best = rank <= length
    return Choice(row=row[best], column=column[best], score=score[best], rank=rank[best])


def _place_within(groups: Ints) -> Ints:
    """0 for the first of its group, 1 for the second, and so on, in the order given."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    place = np.zeros(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))
    return place
