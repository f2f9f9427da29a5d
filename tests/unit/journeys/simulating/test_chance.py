"""Chance by seed, purpose and contact: nobody's lot hangs on another's."""

import numpy as np

from engine.journeys.simulating.chance import Chance


def test_one_lot_is_the_same_as_among_many() -> None:
    chance, ids = Chance(7, "order"), np.array([3, 1, 10**12])

    assert chance.many(ids, 5).tolist() == [chance.one(3, 5), chance.one(1, 5), chance.one(10**12, 5)]
    assert chance.many(ids, np.array([1, 2, 3])).tolist() == [chance.one(3, 1), chance.one(1, 2), chance.one(10**12, 3)]


def test_seed_purpose_contact_and_place_each_make_another_lot() -> None:
    lots = {
        Chance(7, "order").one(1),
        Chance(8, "order").one(1),
        Chance(7, "click").one(1),
        Chance(7, "order").one(2),
        Chance(7, "order").one(1, 1),
    }

    assert len(lots) == 5


def test_lots_are_even_and_do_not_hang_together() -> None:
    ids = np.arange(1, 100_001)
    first, second = Chance(1, "a").many(ids), Chance(1, "a").many(ids, 1)

    assert abs(first.mean() - 0.5) < 0.005
    assert abs(np.histogram(first, bins=20, range=(0, 1))[0] - 5_000).max() < 350
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.015
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.015
