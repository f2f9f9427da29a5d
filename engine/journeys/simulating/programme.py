"""What is simulated? The journeys and repeating campaigns that run, or would, with their rules checked and ready."""

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine import campaign, ledger, rules
from engine.campaign import Occurrence
from engine.errors import UnknownJourney, nearest
from engine.journeys import files
from engine.journeys.definition import Branch, Journey, Send, StartKind, WaitEvent
from engine.journeys.mailing import step_campaign
from engine.journeys.stored import from_json
from engine.journeys.ways import longest
from engine.model import Campaign, CampaignState
from engine.pipeline import Mailer
from engine.pipeline.planning import load_campaign
from engine.rules import Rule
from engine.store import to_micros

BIRTH_DATE = "birth_date"
_EVENT = "event:"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Route:
    """A journey, ready to be gone. `has_seen`: it runs, and has looked at everybody who was there when it began."""

    name: str
    journey: Journey
    start: Rule | None  # the segment less whom the journey leaves out, or what must hold when something happens
    exclude: Rule | None  # who does not come in though something happens
    mails: Mapping[str, Campaign]  # each send step as a campaign
    longest: timedelta
    version: int = 0  # 0: it isn't published
    has_seen: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Round:
    """One time that a campaign comes round, as it is planned then."""

    occurrence: Occurrence
    due: int
    campaign: Campaign


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mailing:
    """A repeating campaign."""

    name: str
    rule: Rule
    exclude: Rule | None
    rounds: tuple[Round, ...]
    dues: tuple[int, ...]  # when each is due

    def round_from(self, at: int) -> Round | None:
        """The first one that is due at this moment or later."""
        place = bisect_left(self.dues, at)
        return self.rounds[place] if place < len(self.rounds) else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme:
    """Everything that runs, and all rules by their text."""

    routes: tuple[Route, ...]
    mailings: tuple[Mailing, ...]
    segments: Mapping[str, Rule]
    rules: Mapping[str, Rule]

    @property
    def names(self) -> frozenset[str]:
        """The fields that any rule reads, and the attributes that hold a start's day."""
        read = [*self.rules.values(), *(one.rule for one in self.mailings)]
        others = [one.exclude for one in self.mailings] + [one.start for one in self.routes]
        read += [rule for rule in others if rule]
        days = {one.journey.start.name for one in self.routes if one.journey.start.kind is StartKind.DATE}
        return frozenset(days - {BIRTH_DATE}).union(*(rules.fields_read(rule, self.segments) for rule in read))

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of events that any journey waits for."""
        found: set[str] = set()
        for one in self.routes:
            start = one.journey.start
            found |= {start.name} if start.kind is StartKind.EVENT else set()
            told = [one.journey.goal, *(step.event for step in one.journey.steps if isinstance(step, WaitEvent))]
            found |= {said.removeprefix(_EVENT) for said in told if said.startswith(_EVENT)}
        return frozenset(found)

    def without(self, journeys: Collection[str]) -> "Programme":
        """The same without these journeys."""
        return replace(self, routes=tuple(one for one in self.routes if one.name not in journeys))


def load_programme(
    mailer: Mailer, at: datetime, days: int, *, names: Collection[str] = (), all_files: bool = False
) -> Programme:
    """What runs at `at`: published journeys and armed campaigns; with `all_files` every file that could.

    `names` leaves only these journeys, published or not. UnknownJourney for one that is neither.
    """
    segments = mailer.rules()
    running = {one.name: one for one in ledger.journeys(mailer.store, CampaignState.RUNNING)}
    filed = files.names(mailer.journeys_dir) if mailer.journeys_dir.is_dir() else []
    for name in names:
        if name not in filed and name not in running:
            known = sorted({*filed, *running})
            raise UnknownJourney(
                f"there is no journey {name!r}{nearest(name, known)} (known: {', '.join(known) or 'none'})"
            )
    wanted = list(names) or sorted({*running, *(filed if all_files else ())})
    book: dict[str, Rule] = {}
    routes = []
    for name in sorted(wanted):
        if name in running:
            journey, version = from_json(running[name].definition), running[name].version
            has_seen = ledger.base_of(mailer.store, name).done
        else:
            journey, version = files.load(mailer.journeys_dir / f"{name}.toml", segments, mailer.zone), 0
            has_seen = False
        route = route_of(journey, segments, book, mailer.zone)
        routes.append(replace(route, version=version, has_seen=has_seen))
    return Programme(
        routes=tuple(routes),
        mailings=tuple(_mailings(mailer, at, days, segments, all_files)),
        segments=segments,
        rules=book,
    )


def route_of(journey: Journey, segments: Mapping[str, Rule], book: dict[str, Rule], zone: ZoneInfo) -> Route:
    """The journey with its rules; those of its branches go into the book."""
    where = f"journey {journey.name}"

    def checked(text: str) -> Rule:
        if text not in book:
            book[text] = files.checked(text, where, segments, zone)
        return book[text]

    for step in journey.steps:
        if isinstance(step, Branch):
            for arm in step.arms:
                if arm.where:
                    checked(arm.where)
    start, exclude = journey.start, checked(journey.exclude) if journey.exclude else None
    is_segment = start.kind is StartKind.SEGMENT
    inside = rules.less(rules.segment_named(start.name, segments), exclude) if is_segment else None
    return Route(
        name=journey.name,
        journey=journey,
        start=inside or (checked(start.where) if start.where else None),
        exclude=None if is_segment else exclude,
        mails={step.id: step_campaign(journey, step) for step in journey.steps if isinstance(step, Send)},
        longest=longest(journey),
    )


def _mailings(
    mailer: Mailer, at: datetime, days: int, segments: Mapping[str, Rule], all_files: bool
) -> Iterator[Mailing]:
    armed = {one.campaign for one in ledger.schedules(mailer.store)}
    held = {one.name for one in ledger.states(mailer.store) if one.state is not CampaignState.RUNNING}
    for name in campaign.names(mailer.campaigns_dir):
        if not all_files and (name not in armed or name in held):
            continue
        wanted = load_campaign(mailer, name)
        if wanted.repeat:
            yield _mailing(wanted, mailer.campaigns_dir / f"{name}.toml", segments, mailer.zone, at, days)


def _mailing(
    wanted: Campaign, path: Path, segments: Mapping[str, Rule], zone: ZoneInfo, at: datetime, days: int
) -> Mailing:
    repeat = campaign.parse_repeat(wanted.repeat)
    rounds = []
    for one in campaign.occurrences_after(repeat, at, zone):
        if one.due_at >= at + timedelta(days=days):
            break
        send_at = one.send_at if repeat.zone == campaign.LOCAL else wanted.send_at
        planned = replace(wanted, send_at=send_at)
        rounds.append(Round(occurrence=one, due=to_micros(one.due_at), campaign=planned))
    return Mailing(
        name=wanted.name,
        rule=segments[wanted.segment] if wanted.segment else campaign.checked(wanted.where or "", str(path), segments),
        exclude=campaign.checked(wanted.exclude, str(path), segments, zone) if wanted.exclude else None,
        rounds=tuple(rounds),
        dues=tuple(one.due for one in rounds),
    )
