from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audience.picking import choose, shortlist

_scores = st.integers(0, 6).map(float)
_pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40), _scores), unique_by=lambda one: one[:2], max_size=80)


@given(pairs=_pairs, categories=st.lists(st.integers(-1, 3), min_size=41, max_size=41), length=st.integers(1, 8))
def test_a_choice_is_what_walking_down_each_list_gives(
    pairs: list[tuple[int, int, float]], categories: list[int], length: int
) -> None:
    row, column = (np.array([pair[i] for pair in pairs], np.int64) for i in (0, 1))
    score = np.array([pair[2] for pair in pairs])
    category = np.array([categories[pair[1]] for pair in pairs], np.int64)

    chosen = choose(row, column, score, category, length)

    expected = []
    for one in range(4):
        shown: Counter[int] = Counter()
        rank = 0
        for _, item, _ in sorted((p for p in pairs if p[0] == one), key=lambda p: (-p[2], p[1])):
            if rank < length and (categories[item] == -1 or shown[categories[item]] < 3):
                shown[categories[item]] += 1
                rank += 1
                expected.append((one, item, rank))
    assert expected == list(zip(chosen.row.tolist(), chosen.column.tolist(), chosen.rank.tolist(), strict=True))


@given(
    rows=st.lists(st.lists(st.integers(-2, 9), min_size=90, max_size=90), min_size=1, max_size=3),
    depth=st.integers(1, 95),
)
def test_a_shortlist_holds_the_best_of_each_row_and_all_that_tie(rows: list[list[int]], depth: int) -> None:
    scores = np.array(rows, float)

    found = set(zip(*(part.tolist() for part in shortlist(scores, depth)), strict=True))

    for n, row in enumerate(rows):
        last = sorted(row, reverse=True)[:depth][-1]
        assert {(n, column) for column, score in enumerate(row) if score > 0 and score >= last} <= found
    assert all(rows[n][column] > 0 for n, column in found)


def test_a_shortlist_of_many_columns_stays_short() -> None:
    scores = np.arange(1.0, 10_001.0)[None, :]

    row, column = shortlist(scores, 10)

    assert set(range(9_990, 10_000)) <= set(column.tolist())
    assert len(row) < 2_000


def test_nobody_has_a_shortlist_among_nobody() -> None:
    """A run of contacts who have never bought anything, in a shop with many products."""
    row, column = shortlist(np.zeros((0, 10_000)), 10)

    assert ([], []) == (row.tolist(), column.tolist())


@pytest.mark.parametrize("columns", [0, 1])
def test_no_products_make_no_choice(columns: int) -> None:
    row, column = shortlist(np.zeros((2, columns)), 5)
    chosen = choose(row, column, np.zeros(0), column)

    assert [] == chosen.row.tolist()
