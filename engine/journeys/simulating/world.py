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
        start = beginnings.get(one.contact_id)
        Walk(stage, lives, tally, one, place, begin).run(start.fresh() if start is not None else Beginning(), until)
        if progress is not None and done % _TOLD_EVERY == 0:
            progress(done, total)
    for n, who in enumerate(lives.newcomers):
        walk = Walk(stage, lives, tally, Person(who, {}), len(crowd.ids) + n, who.created)
        walk.run(Beginning(), until)
    if progress is not None:
        progress(total, total)
    return tally
