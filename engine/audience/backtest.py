"""Would the recommendations have been right? Learn from the past up to a day, and look at what was bought after it.

Every method names its best k products for each contact who bought both before and after that day. It is judged twice:
on all products, and ("new only") on products the contact had never bought. hit_rate: share of contacts with at least
one hit; ndcg: hits weighted by rank; recall: share of what they bought; coverage: how many different products were
shown. The catalogue's stock is today's and says nothing of the past, so it is not looked at here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.audience.baskets import Floats, History, Ints, Lines, history, read_lines, rows_of
from engine.audience.picking import choose, shortlist
from engine.audience.taste import POPULARITY_EDGE, Matrix, Taste, learn, liking, matrix
from engine.errors import Usage
from engine.store import Store

BEST_SELLERS, BEST_SELLERS_30 = "best sellers", "best sellers 30 days"
BUY_AGAIN, NEW_FOR_YOU = "buy again", "new for you"
NEW_ONLY = "new only: "

_CELLS_AT_ONCE = 4_000_000  # 32 MB of scores
_MICROSECOND = timedelta(microseconds=1)

Scores = Callable[[slice], Floats]  # dense, contacts x products; -inf: never shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What was known, what came of it, and how many products may be named."""

    past: History
    truth: Matrix  # contacts x products: 1 where bought and kept after the day
    owned: Matrix  # contacts x products: 1 where bought before
    k: int


def backtest(store: Store, until: date, zone: ZoneInfo, k: int = 10, horizon_days: int = 31) -> dict[str, object]:
    """Compare the methods as of the end of `until` (a day of the shop's zone) on the `horizon_days` after it.

    Gives `{"methods": {name: {"hit_rate", "ndcg", "recall", "coverage"}}, "chosen", "chosen_new", ...}`; chosen is
    the name with the highest ndcg on all products, chosen_new that on new products (None when nothing new was bought).
    """
    cut, end = _midnight(until, 1, zone), _midnight(until, 1 + horizon_days, zone)
    past = history(read_lines(store, last=cut - _MICROSECOND), cut)
    truth = _truth(past, read_lines(store, first=cut, last=end - _MICROSECOND))
    if not truth.nnz:
        raise Usage(
            f"nobody bought the same products both up to {until} and in the {horizon_days} days after it; "
            "choose another --until, or import more orders"
        )
    trial = Trial(past=past, truth=truth, owned=matrix(past, np.ones(len(past.row), np.bool_)), k=k)
    methods = _methods(past, learn(past))
    on_all = {name: judge(trial, scores) for name, scores in methods.items()}
    new = _new_only(trial)
    fit_for_new = {name: scores for name, scores in methods.items() if name != BUY_AGAIN} if new.truth.nnz else {}
    on_new = {NEW_ONLY + name: judge(new, _without(trial.owned, scores)) for name, scores in fit_for_new.items()}
    return {
        "until": until.isoformat(),
        "horizon_days": horizon_days,
        "k": k,
        "contacts": int((truth.getnnz(axis=1) > 0).sum()),
        "methods": on_all | on_new,
        "chosen": _best(on_all),
        "chosen_new": _best(on_new),
    }


def judge(trial: Trial, scores: Scores) -> dict[str, float]:
    """The figures of one method over all contacts who bought something in the trial's time."""
    size = trial.truth.shape[1]
    step = max(1, _CELLS_AT_ONCE // size)
    top = np.concatenate(
        [_top(scores(slice(start, start + step)), trial.k) for start in range(0, trial.truth.shape[0], step)]
    )
    tested = np.flatnonzero(trial.truth.getnnz(axis=1))
    top, bought = top[tested], trial.truth[tested].getnnz(axis=1)
    rows = np.repeat(tested, trial.k)
    found = np.asarray(trial.truth[rows, np.maximum(top, 0).ravel()]).reshape(top.shape)
    hits = np.where(top >= 0, found, 0.0)
    worth = 1 / np.log2(np.arange(trial.k) + 2)
    ideal = np.cumsum(worth)[np.minimum(bought, trial.k) - 1]
    return {
        "hit_rate": float((hits.sum(axis=1) > 0).mean()),
        "ndcg": float((hits @ worth / ideal).mean()),
        "recall": float((hits.sum(axis=1) / bought).mean()),
        "coverage": len(np.unique(top[top >= 0])),
    }


def _methods(past: History, taste: Taste) -> Mapping[str, Scores]:
    # scipy takes a third of a second to load, which every other command would pay.
    import scipy.sparse as sp

    size = len(past.products)
    shape = (len(past.contacts), size)
    ever, recent = past.buyers(), past.recent_buyers()
    own = sp.csr_matrix((past.weight, (past.row, past.column)), shape=shape)

    def for_everyone(scores: Floats) -> Scores:
        return lambda rows: np.tile(scores, (len(range(*rows.indices(shape[0]))), 1))

    def buy_again(rows: slice) -> Floats:
        dense: Floats = own[rows].toarray() + POPULARITY_EDGE * recent
        return dense

    def new_for_you(rows: slice) -> Floats:
        liked = liking(taste, rows)
        dense = np.full((len(liked), size), -np.inf)
        dense[:, taste.items] = liked
        return dense

    return {
        BEST_SELLERS: for_everyone(ever),
        BEST_SELLERS_30: for_everyone(recent),
        BUY_AGAIN: buy_again,
        NEW_FOR_YOU: new_for_you,
    }


def _new_only(trial: Trial) -> Trial:
    new = trial.truth - trial.truth.multiply(trial.owned)
    new.eliminate_zeros()
    return Trial(past=trial.past, truth=new.tocsr(), owned=trial.owned, k=trial.k)


def _without(owned: Matrix, scores: Scores) -> Scores:
    def unowned(rows: slice) -> Floats:
        dense = scores(rows)
        dense[owned[rows].nonzero()] = -np.inf
        return dense

    return unowned


def _truth(past: History, after: Lines) -> Matrix:
    """What known contacts bought and kept of known products."""
    import scipy.sparse as sp  # late, as in `_methods`

    place = {name: column for column, name in enumerate(past.products)}
    column = np.array([place.get(name, -1) for name in after.products], np.int64)[after.product]
    row = rows_of(after.contact, past)
    wanted = (row >= 0) & (column >= 0) & after.kept
    shape = (len(past.contacts), len(past.products))
    truth = sp.csr_matrix((np.ones(int(wanted.sum())), (row[wanted], column[wanted])), shape=shape)
    truth.data[:] = 1
    return truth


def _top(scores: Floats, k: int) -> Ints:
    """The columns of each row's best k, ties by column; -1 where there are no more."""
    row, column = shortlist(scores, k)
    no_category = np.full(len(row), -1, np.int64)
    best = choose(row, column, scores[row, column], no_category, length=k)
    top = np.full((len(scores), k), -1, np.int64)
    top[best.row, best.rank - 1] = best.column
    return top


def _best(figures: Mapping[str, Mapping[str, float]]) -> str | None:
    return max(figures, key=lambda name: (figures[name]["ndcg"], figures[name]["hit_rate"]), default=None)


def _midnight(day: date, days_later: int, zone: ZoneInfo) -> datetime:
    return datetime.combine(day + timedelta(days=days_later), time(), zone)
