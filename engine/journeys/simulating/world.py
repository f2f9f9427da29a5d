"""One simulated world: everybody's walk through the whole time, counted."""

from collections.abc import Mapping, Sequence

from engine.journeys.simulating.behaviour import Lives
from engine.journeys.simulating.counting import Tally
from engine.journeys.simulating.crowd import DAY
from engine.journeys.simulating.person import Person, person_of
from engine.journeys.simulating.stage import Stage
from engine.journeys.simulating.walking import Beginning, Walk
from engine.model import Progress

_TOLD_EVERY = 1_000
_NOTHING = Beginning()


def run_world(
    stage: Stage,
    lives: Lives,
    beginnings: Mapping[int, Beginning],
    days: int,
    *,
    places: Sequence[int] | None = None,
    progress: Progress | None = None,
    log: bool = False,
) -> Tally:
    """Walk contacts (all, or those at some places) and this world's newcomers through `days`."""
    crowd = stage.crowd
    begin, until = crowd.now, crowd.now + days * DAY
    tally = Tally(begin=begin, log=[] if log else None)
    wanted = range(len(crowd.ids)) if places is None else places
    total = len(wanted) + len(lives.newcomers)
    for done, place in enumerate(wanted):
        one = person_of(crowd, place)
        stage.let_walk(one)
        Walk(stage, lives, tally, one, place).run(beginnings.get(one.contact_id, _NOTHING).fresh(), begin, until)
        if progress is not None and done % _TOLD_EVERY == 0:
            progress(done, total)
    for n, who in enumerate(lives.newcomers):
        one = Person(who, {})
        stage.let_walk(one)
        Walk(stage, lives, tally, one, len(crowd.ids) + n).run(Beginning(), who.created, until)
    if progress is not None:
        progress(total, total)
    return tally
