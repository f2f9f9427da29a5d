"""People leave while their mail is about to go: who has left before the last look gets no dot.

Three clocks would prove nothing, so all moments are of the one monotonic clock of the machine:

    left    the opt-out's transaction has been committed, and `Store.write` is back in the process that opted out
    look    the sender begins its last look at the suppressions, just before the dot
    dot     the server holds a whole message

What must never be: a look that began after `left` and let the message go, or a dot that no look let go. A look that
began earlier may miss an opt-out whose commit was still under way: nobody had told her yet that she is out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from fault_trial import Faulty, Trial
from sender_host import SenderHost
from story_shop import PEOPLE, Shop, people

from engine.store.tables import contact

MS = 1e6  # nanoseconds


@dataclass(frozen=True, kw_only=True)
class Race:
    """What happened when, in nanoseconds, by recipient."""

    left: dict[str, int]
    looks: dict[str, list[tuple[int, bool]]]  # when it began, and whether it let go
    dots: dict[str, int]

    def missed(self) -> set[str]:
        """Who had left when a look let her mail go."""
        return {who for who, when in self.left.items() if any(go and began > when for began, go in self._of(who))}

    def unlooked(self) -> set[str]:
        """Whose dot no look let go."""
        return {who for who, when in self.dots.items() if not any(go and began < when for began, go in self._of(who))}

    def heard(self) -> set[str]:
        """Who left in time: a look found it, and there is no dot."""
        return {who for who in self.left if who not in self.dots and any(not go for _, go in self._of(who))}

    def between(self) -> set[str]:
        """Who left after the look and before the server had her mail: too late by less than a mail takes."""
        late = self.left.keys() & self.dots.keys()
        return {who for who in late if self.left[who] < self.dots[who]}

    def waits(self) -> list[float]:
        """Milliseconds from look to dot, the shortest first."""
        return sorted((self.dots[who] - max(began for began, go in self._of(who) if go)) / MS for who in self.dots)

    def _of(self, who: str) -> list[tuple[int, bool]]:
        return self.looks.get(who, [])


def raced(trial: Trial, tag: str, tries: int) -> Race:
    """A sender on its way through everybody, and somebody who opts out those it comes to next."""
    folder = trial.shop.folder
    trial.release(tag)
    with trial.mailer.store.read() as db:
        names = dict(map(tuple, db.execute(sa.select(contact.c.id, contact.c.email))))
    looks, left = folder / "looks", folder / "left"
    looks.touch()
    left.touch()
    leaving = trial.host.start(
        "opt_out_ahead",
        folder,
        record=str(trial.server.record),
        left=str(left),
        tries=tries,
        seed=trial.random.random(),
    )
    trial.until(lambda: False, number=1, looks_are_noted=[str(looks)])
    left.with_suffix(".enough").touch()
    leaving.wait()
    trial.settle()

    found: dict[str, list[tuple[int, bool]]] = {}
    for began, number, said in _lines(looks):
        found.setdefault(names[int(number)], []).append((int(began), said == "go"))
    return Race(
        left={names[int(number)]: int(when) for when, number in _lines(left)},
        looks=found,
        dots={line.recipient: line.at for line in trial.server.lines("dot")},
    )


def _lines(file: Path) -> Iterator[list[str]]:
    return (line.split() for line in file.read_text().splitlines())


def assert_heard(trial: Trial, race: Race, tries: int) -> None:
    waits = race.waits()
    trial.assert_accounted(
        skipped=frozenset(race.heard()),
        opted_out=len(race.left),
        heard=len(race.heard()),
        between_look_and_dot=len(race.between()),
        ms_from_look_to_dot_at_the_median=round(waits[len(waits) // 2], 2),
        ms_at_most=round(waits[-1], 1),
    )
    assert tries <= len(race.left)
    assert set() == race.missed(), "opted out before the look, and mailed all the same"
    assert set() == race.unlooked(), "mailed without a look"
    assert len(race.heard()) > tries / 4, "hardly anybody left in time: no race"


def test_an_opt_out_committed_before_the_look_gets_no_dot(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial("opt-out race", host, shop, faulty(pause=0.012), capsys)

    assert_heard(trial, raced(trial, "all", tries=300), tries=300)


@pytest.mark.soak
def test_ten_thousand_opt_outs_committed_before_the_look_get_no_dot(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 30_000))
    trial = Trial("opt-out race", host, shop, faulty(chunking=True, pause=0.005), capsys)

    assert_heard(trial, raced(trial, "more", tries=10_000), tries=10_000)
