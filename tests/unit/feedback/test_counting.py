"""Clicks that name nobody: each counted once, and none lost when writing fails."""

from datetime import date
from threading import Thread

from engine.feedback import ClickCounts, CountedLink

LINK = CountedLink(plan_id=1, variant="main", site=0, day=date(2026, 3, 1))


def test_what_was_counted_is_taken_once() -> None:
    counts = ClickCounts()
    counts.add(LINK)
    counts.add(LINK)

    assert {LINK: 2} == counts.take()
    assert {} == counts.take()


def test_what_could_not_be_written_is_counted_on() -> None:
    counts = ClickCounts()
    counts.add(LINK)
    taken = counts.take()
    counts.add(LINK)

    counts.put_back(taken)

    assert {LINK: 2} == counts.take()


def test_clicks_at_once_are_all_counted() -> None:
    counts = ClickCounts()
    threads = [Thread(target=lambda: [counts.add(LINK) for _ in range(1000)]) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert {LINK: 4000} == counts.take()
