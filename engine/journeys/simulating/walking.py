"""How does one contact fare in virtual time? Her own small heap of events, and the real code at each of them.

Contacts don't touch each other, so each is walked through the whole time alone, and only where something happens to
her. At each moment the order is that of a tick: facts, campaigns that come round, who comes into a journey, who goes
on in one, and then the mails that are due.
"""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from engine.errors import MailerError
from engine.journeys.deciding import Move, Place, Sight, decide
from engine.journeys.definition import Send, StartKind, Tag
from engine.journeys.entering import Comes, comes_after, day_in, entry_of, is_held_out
from engine.journeys.simulating.behaviour import OPT_OUT, ORDER, Happening, Lives
from engine.journeys.simulating.counting import Tally
from engine.journeys.simulating.her import CLICK, NEVER, OPEN, Her
from engine.journeys.simulating.inside import Inside
from engine.journeys.simulating.person import Person
from engine.journeys.simulating.posting import Mail, Post, Reply
from engine.journeys.simulating.programme import BIRTH_DATE, Mailing, Route
from engine.journeys.simulating.stage import Fact, Stage
from engine.model import EnrolmentState, with_tags
from engine.rules import Rule
from engine.store import from_micros, to_micros

_FACT, _ROUND, _LOOK, _TURN, _MAIL = range(5)  # the order of what is done at one moment
_MOST_MOVES = 5_000  # of one contact: a rule that turns round and round must end some time
_ATTRIBUTES = "attributes."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """She comes to the door of a journey: an order, an event, or her day has come."""

    route: Route
    cause: str
    next_day: bool = False


@dataclass(slots=True, kw_only=True)
class Beginning:
    """What the database knows of her at the beginning: journeys she is or was in, and what they saw of her."""

    inside: list[Inside] = field(default_factory=list)
    seen: Mapping[str, bool] = field(default_factory=dict)  # by running journey: whether she was in its segment
    mails: list[Mail] = field(default_factory=list)
    went: list[tuple[int, str]] = field(default_factory=list)  # mails of the last 30 days, with their class
    clicked: Mapping[str, int] = field(default_factory=dict)  # by journey: when she last clicked in a mail of it

    def fresh(self) -> "Beginning":
        """The same for another world: what a walk changes is its own."""
        inside = [replace(one, causes=set(one.causes), answers=set(one.answers)) for one in self.inside]
        return replace(self, inside=inside, mails=[replace(one) for one in self.mails])


class Walk:
    """One contact's way through the whole time."""

    def __init__(self, stage: Stage, lives: Lives, tally: Tally, one: Person, place: int, since: int) -> None:
        self._stage, self._lives, self._tally, self._one, self._place = stage, lives, tally, one, place
        self._heap: list[tuple[int, int, int, object]] = []
        self._seq = self._moves = self._until = 0
        self._her = Her(stage, one, since)
        stage.let_walk(self._her)
        self._post = Post(stage, lives, tally, self._her, place, self._later, self._went_out)
        self._inside: dict[str, Inside] = {}
        self._sights: dict[str, Sight] = {}  # by journey, of her last time in it
        self._seen: dict[str, bool] = {}  # by journey: whether she was in its segment
        self._look_at: dict[str, int] = {}
        self._matches: dict[str, tuple[bool, int]] = {}  # by campaign: whether she is meant, and until when
        self._round_at: dict[str, int] = {}

    def run(self, start: Beginning, until: int) -> None:
        """From her beginning to the end."""
        since, self._until = self._her.at, until
        for each in self._lives.happenings(self._place):
            if since <= each.at:
                self._push(each.at, _FACT, each)
        self._begin(start, since)
        heap, pop, live = self._heap, heapq.heappop, self._her.live
        while heap and self._moves < _MOST_MOVES:
            at, _, _, what = pop(heap)
            live(at)
            _DOES[type(what)](self, at, what)
        self._close(until)
        # The two know each other, and a walk is too many to wait for the collector of rings.
        del self._post

    def _push(self, at: int, rank: int, what: object) -> None:
        if at < self._until:
            self._seq += 1
            heapq.heappush(self._heap, (at, rank, self._seq, what))

    def _later(self, at: int, what: object) -> None:
        self._push(at, _MAIL if isinstance(what, Mail) else _FACT, what)

    def _went_out(self, at: int) -> None:
        self._touched(at, Fact.SENT)

    def _hand_over(self, at: int, mail: Mail) -> None:
        if mail.due == at and mail in self._post.waiting:
            self._post.hand_over(at)

    # ------------------------------------------------------------ the beginning and the end

    def _begin(self, start: Beginning, since: int) -> None:
        self._her.clicked = dict(start.clicked)
        self._her.went = [self._stage.went(at, of) for at, of in start.went]
        for inside in start.inside:
            self._inside[inside.route.name] = inside
            inside.due = to_micros(inside.place.due_at)
            if inside.is_in:
                self._tally.journeys[inside.route.name].inside_before += 1
                self._push(max(since, inside.due), _TURN, inside)
        for mail in start.mails:
            mail.due = max(since, mail.due)
            self._post.take(mail)
        for route in self._stage.watched:
            if route.journey.start.kind is StartKind.SEGMENT:
                self._first_look(route, start.seen.get(route.name), since)
            else:
                self._next_day(route)
        for mailing in self._stage.programme.mailings:
            self._expect_round(mailing, since)

    def _close(self, until: int) -> None:
        self._post.close()
        end = from_micros(until)
        for name, inside in self._inside.items():
            if inside.is_in:
                count = self._tally.journeys[name]
                count.inside[inside.place.step] += 1
                if end - inside.place.entered_at > inside.route.longest + self._stage.patience:
                    count.stuck[inside.place.step] += 1
                    count.longest = max(count.longest, until - to_micros(inside.place.entered_at))

    # ------------------------------------------------------------ facts

    def _happens(self, at: int, what: Happening) -> None:
        if what.kind == OPT_OUT:
            self._opts_out(at)
            return
        if what.kind == ORDER:
            cents = self._stage.glass.cents_like(what.like)
            if not what.cause and self._is_kept_from(at, cents):
                return
            self._one.buy(at, what.like)
            self._tally.bought(cents, what.cause)
            self._touched(at, Fact.ORDER)
        else:
            self._one.events.setdefault(what.kind, []).append(at)
            self._touched(at, None)
        for route in self._stage.brought_in_by(what.kind):
            self._push(at, _LOOK, Entry(route=route, cause=f"{what.kind}/{at}"))

    def _is_kept_from(self, at: int, cents: int) -> bool:
        """Whether a mail kept this order from coming."""
        for place, (until, cause) in enumerate(self._post.kept_from):
            if at <= until:
                del self._post.kept_from[place]
                self._tally.lost(cents, cause)
                return True
        return False

    def _replies(self, at: int, what: Reply) -> None:
        if what.inside is not None and what.kind in (OPEN, CLICK):
            what.inside.answers |= {(what.step, OPEN), (what.step, what.kind)}
        if what.kind == CLICK:
            self._one.clicks.append(at)
            self._tally.clicks += 1
            if what.inside is not None:
                self._her.clicked[what.inside.route.name] = at
            self._touched(at, Fact.CLICK)
        elif what.kind == OPEN:
            self._touched(at, None)
        else:
            self._opts_out(at)

    def _opts_out(self, at: int) -> None:
        if not self._one.has_opted_out:
            self._her.opt_out()
            self._tally.opt_outs += 1
            self._touched(at, Fact.CONSENT)

    def _touched(self, at: int, fact: Fact | None) -> None:
        """Something is other than it was: whoever asks for it looks again, and her journeys are told."""
        self._her.touch()
        routes, mailings = self._stage.concerned_by(fact)
        for route in routes:
            self._look_again(route, at)
        for mailing in mailings:
            self._matches.pop(mailing.name, None)
            self._expect_round(mailing, at)
        if fact is not Fact.SENT:
            for inside in self._inside.values():
                if inside.state is EnrolmentState.WAITING and inside.woken_at != at:
                    inside.woken_at = at
                    self._push(at, _TURN, inside)

    # ------------------------------------------------------------ campaigns that come round

    def _expect_round(self, mailing: Mailing, at: int) -> None:
        """The next occurrence at which she might be meant."""
        holds, until = self._match_of(mailing, at)
        from_when = at if holds else until
        one = mailing.round_from(max(from_when, at + 1)) if from_when != NEVER else None
        self._round_at[mailing.name] = one.due if one else NEVER
        if one is not None:
            self._push(one.due, _ROUND, mailing)

    def _match_of(self, mailing: Mailing, at: int) -> tuple[bool, int]:
        found = self._matches.get(mailing.name)
        if found is None or at >= found[1]:
            found = self._matches[mailing.name] = self._her.outlook(self._stage.prepared[mailing.name])
        return found

    def _come_round(self, at: int, mailing: Mailing) -> None:
        if self._round_at[mailing.name] != at:
            return  # it is expected at another time by now
        one = mailing.round_from(at)
        assert one is not None
        if self._match_of(mailing, at)[0] and not (mailing.exclude and self._her.holds(mailing.exclude)):
            self._post.plan(one.campaign, one.occurrence.name)
        self._expect_round(mailing, at)

    # ------------------------------------------------------------ who comes into a journey

    def _first_look(self, route: Route, seen: bool | None, at: int) -> None:
        """Who is in the segment when a journey is published is noted, and comes in only where its file says so."""
        holds = self._outlook(route)
        is_published_now = not route.has_seen and at == self._stage.begin
        if seen is None and is_published_now and not route.journey.existing:
            seen = holds
        self._seen[route.name] = holds
        if entry_of(route.journey, bool(seen), holds):
            self._enter(at, Entry(route=route, cause=""))

    def _look(self, at: int, route: Route) -> None:
        if self._look_at[route.name] != at:
            return  # somebody looked meanwhile
        before = self._seen[route.name]
        self._seen[route.name] = holds = self._outlook(route)
        if entry_of(route.journey, before, holds):
            self._enter(at, Entry(route=route, cause=""))

    def _outlook(self, route: Route) -> bool:
        holds, until = self._her.outlook(self._stage.prepared[route.name])
        self._look_at[route.name] = until
        if until != NEVER:
            self._push(until, _LOOK, route)
        return holds

    def _look_again(self, route: Route, at: int) -> None:
        if self._look_at.get(route.name) != at:
            self._look_at[route.name] = at
            self._push(at, _LOOK, route)

    def _next_day(self, route: Route) -> None:
        day = self._day_of(route.journey.start.name)
        come: Comes | None = (
            comes_after(route.journey.start, day, self._her.zone, self._her.moment) if day is not None else None
        )
        if come is not None:
            self._push(to_micros(come.due_at), _LOOK, Entry(route=route, cause=come.cause, next_day=True))

    def _day_of(self, name: str) -> date | None:
        if name == BIRTH_DATE:
            return self._one.who.birth_date
        return day_in(self._one.attributes.get(name.removeprefix(_ATTRIBUTES)))

    def _enter(self, at: int, entry: Entry) -> None:
        """Let her in, unless a rule of the journey or her past in it says no."""
        route, moment = entry.route, self._her.moment
        if entry.next_day:
            self._next_day(route)
        if route.journey.start.kind is not StartKind.SEGMENT and not self._allows(route.start):
            return
        if route.exclude is not None and self._her.holds(route.exclude):
            return
        before = self._inside.get(route.name)
        n = _next_number(before, route, entry.cause, at)
        if n is None:
            return
        share = route.journey.holdout
        held_out = bool(share) and is_held_out(route.name, share, self._one.contact_id, self._stage.keys)
        place = Place(step=route.journey.first, visit=0, entered_at=moment, step_at=moment, due_at=moment)
        inside = Inside(route=route, journey=route.journey, n=n, held_out=held_out, place=place, due=at)
        inside.causes = (before.causes if before else set()) | {entry.cause}
        self._inside[route.name] = inside
        self._sights.pop(route.name, None)
        count = self._tally.journeys[route.name]
        count.entered += 1
        count.held_out += held_out
        self._push(at, _TURN, inside)

    def _allows(self, rule: Rule | None) -> bool:
        return rule is None or self._her.holds(rule)

    # ------------------------------------------------------------ who goes on in one

    def _go_on(self, at: int, inside: Inside) -> None:
        if inside.state is not EnrolmentState.WAITING or (inside.woken_at != at and inside.due > at):
            return  # she is through, or her timer was set anew
        self._moves += 1
        inside.woken_at = -1
        try:
            move = decide(inside.journey, inside.place, self._sight(inside), self._her.moment)
        except MailerError:
            return  # a fault holds her where she is: she is counted among the stuck
        inside.place, inside.state = move.place, move.state
        count = self._tally.journeys[inside.route.name]
        for each in move.passed:
            count.edges[each.step, each.result, each.to] += 1
        self._take_effect(inside, move, at)
        if inside.state is EnrolmentState.WAITING:
            inside.due = to_micros(move.place.due_at)
            self._push(inside.due, _TURN, inside)
        else:
            inside.ended = at
            count.ends[move.reason if inside.state is EnrolmentState.LEFT else inside.state.value] += 1

    def _sight(self, inside: Inside) -> Sight:
        name = inside.route.name
        if name not in self._sights:
            self._sights[name] = self._her.sight(inside)
        return self._sights[name]

    def _take_effect(self, inside: Inside, move: Move, at: int) -> None:
        for effect in move.effects:
            if isinstance(effect.step, Send):
                self._post.plan(self._stage.mail_of(inside, effect.step), "", inside, effect.step)
            elif isinstance(effect.step, Tag):
                self._tag(effect.step, at)

    def _tag(self, step: Tag, at: int) -> None:
        tags = with_tags(self._one.tags, [step])
        if tags != self._one.tags:
            self._one.tags = tags
            self._touched(at, Fact.TAG)


# What is done when the moment of something has come.
_DOES: Mapping[type, Callable[[Walk, int, Any], None]] = {
    Happening: Walk._happens,
    Reply: Walk._replies,
    Mailing: Walk._come_round,
    Route: Walk._look,
    Entry: Walk._enter,
    Inside: Walk._go_on,
    Mail: Walk._hand_over,
}


def _next_number(before: Inside | None, route: Route, cause: str, at: int) -> int | None:
    """Which time this is for her; None when she may not come in."""
    if before is None:
        return 1
    again = route.journey.reentry
    if before.is_in or again is None or from_micros(at) < from_micros(before.ended) + again:
        return None
    return None if cause and cause in before.causes else before.n + 1
