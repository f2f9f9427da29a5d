"""What does a journey look like in a terminal? A tree of its steps, with how many went each way and stand where.

Steps that follow each other stand below each other; where ways part, each is a twig, and what they lead to together
stands below all of them.
"""

from collections.abc import Iterator, Mapping, Sequence

from engine.journeys.definition import END, Journey, Step
from engine.journeys.ways import Counts, Way, backwards, reached, ways, ways_from
from engine.journeys.wording import event, more_of, start_said, way_told, words_of
from engine.model import EnrolmentState

_STEM, _TWIG, _LAST, _ALONG, _BLANK = "│ ", "├─ ", "└─ ", "│  ", "   "


def as_text(journey: Journey, counts: Counts | None = None) -> str:
    """The journey for people at a terminal; without `counts` no numbers."""
    return "\n".join(line.rstrip() for line in _Outline(journey, counts).lines()) + "\n"


class _Outline:
    def __init__(self, journey: Journey, counts: Counts | None) -> None:
        self.journey = journey
        self.counts = counts
        self.below = _followers(journey)

    def lines(self) -> Iterator[str]:
        """All of it."""
        entered = f"{self.counts.entered:,} came in" if self.counts else "comes in"
        yield f"{entered}: {start_said(self.journey.start)}"
        yield _STEM
        yield from self._chain(self.journey.first)
        yield self._end()
        if self.counts and (elsewhere := self.counts.elsewhere(self.journey)):
            yield f"{elsewhere:,} steps were passed on ways that this version does not have"

    def _chain(self, step_id: str) -> Iterator[str]:
        """A step, its ways, and what stands below it."""
        if step_id == END:
            return
        step = self.journey.step(step_id)
        found = list(ways_from(self.journey, step))
        yield self._said(step)
        if len(found) == 1 and found[0].to in self.below[step_id]:
            yield _STEM + self._people(found[0])
        elif len(found) == 1:
            yield _LAST + self._told(step, found[0])
        else:
            yield from self._twigs(step, found)
        own = self._own(found)
        for follower in self.below[step_id]:
            if len(found) == 1 or follower not in own:
                yield from self._chain(follower)

    def _twigs(self, step: Step, found: Sequence[Way]) -> Iterator[str]:
        own = self._own(found)
        for way in found:
            last = way is found[-1]
            yield (_LAST if last else _TWIG) + self._told(step, way)
            if way.to in own and way.to in self.below[step.id]:
                for line in self._chain(way.to):
                    yield (_BLANK if last else _ALONG) + line

    def _own(self, found: Sequence[Way]) -> set[str]:
        """The steps to which one way of several leads, and no other step of the journey."""
        led = [way.to for way in ways(self.journey)]
        return {way.to for way in found if led.count(way.to) == 1}

    def _said(self, step: Step) -> str:
        told = [f"{step.id}: {words_of(step)}"]
        if kept := [line for line in more_of(step) if len(list(ways_from(self.journey, step))) == 1]:
            told.append(f"({', '.join(kept)})")
        if self.counts:
            here, goal = self.counts.inside.get(step.id, 0), self.counts.ended.get((step.id, EnrolmentState.GOAL), 0)
            told += [f"· {here:,} here"] if here else []
            told += [f"· {goal:,} reached the goal here"] if goal else []
        return " ".join(told)

    def _told(self, step: Step, way: Way) -> str:
        said = [one for one in (way_told(step, way), self._people(way)) if one]
        return f"{': '.join(said)} -> {way.to}" if said else f"-> {way.to}"

    def _people(self, way: Way) -> str:
        if not self.counts:
            return ""
        went, passed = self.counts.on(way), self.counts.from_step(way.step)
        share = f" ({went / passed:.0%})" if passed and went != passed else ""
        return f"{went:,}{share}"

    def _end(self) -> str:
        goal = f"goal: {event(self.journey.goal)}"
        return f"{END} ({goal})" if not self.counts else f"{END}: {ended_said(self.counts.ended)} ({goal})"


def ended_said(ended: Mapping[tuple[str, str], int]) -> str:
    """How many are through, reached the goal, and left."""
    words = {EnrolmentState.DONE: "went through", EnrolmentState.GOAL: "reached the goal", EnrolmentState.LEFT: "left"}
    by_state = {state: sum(n for (_, one), n in ended.items() if one == state) for state in words}
    return ", ".join(f"{n:,} {words[state]}" for state, n in by_state.items() if n) or "nobody yet"


def _followers(journey: Journey) -> dict[str, list[str]]:
    """Below which step each stands: the last one that every way to it passes (its dominator)."""
    there = reached(journey)
    order = [step for step in reversed(backwards(journey)) if step in there]
    place = {step: n for n, step in enumerate(order)}
    before: dict[str, list[str]] = {step: [] for step in order}
    for way in ways(journey):
        if way.step in there and way.to != END and way.step not in before[way.to]:
            before[way.to].append(way.step)
    above = {journey.first: journey.first}
    changed = True
    while changed:
        changed = False
        for step in order[1:]:
            known = [one for one in before[step] if one in above]
            if not known:
                continue
            found = known[0]
            for other in known[1:]:
                found = _common(found, other, above, place)
            if above.get(step) != found:
                above[step], changed = found, True
    followers: dict[str, list[str]] = {step: [] for step in order}
    for step in order[1:]:
        if step in above:
            followers[above[step]].append(step)
    return followers


def _common(one: str, other: str, above: Mapping[str, str], place: Mapping[str, int]) -> str:
    """The lowest step above both."""
    while one != other:
        while place[one] > place[other]:
            one = above[one]
        while place[other] > place[one]:
            other = above[other]
    return one
