"""What do all walks share? The shop's settings and the real code behind them, made ready once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from engine import campaign, rules
from engine.campaign import Allowance, PlanOptions, Shares
from engine.journeys.definition import Send, StartKind
from engine.journeys.mailing import step_campaign
from engine.journeys.simulating.answering import Answering, Effect
from engine.journeys.simulating.behaviour import ORDER
from engine.journeys.simulating.crowd import Crowd
from engine.journeys.simulating.inside import Inside
from engine.journeys.simulating.person import Person
from engine.journeys.simulating.programme import Mailing, Programme, Route
from engine.journeys.simulating.seeing import Glass
from engine.ledger import Went
from engine.links import Keys
from engine.model import TRANSACTIONAL, Campaign, TrackingMode
from engine.pipeline import Mailer
from engine.pipeline.arbitrating import Arbiter
from engine.pipeline.slots import Slots
from engine.rules import PreparedRule, Rule
from engine.store import from_micros

_QUIET_PATIENCE = timedelta(days=4)  # a weekend and a holiday on top of a journey's longest way
_PATIENCE = timedelta(days=1)


class Fact(StrEnum):
    """What may be other than it was."""

    ORDER = "order"
    CLICK = "click"
    SENT = "sent"
    TAG = "tag"
    CONSENT = "consent"


_READ: Mapping[Fact, frozenset[str]] = {
    Fact.ORDER: frozenset(
        "orders_count revenue average_order first_order_at last_order_at days_since_last_order usual_gap_days "
        "favourite_category favourite_brand categories brands discount_share recency_score frequency_score "
        "monetary_score lifecycle".split()
    ),
    Fact.CLICK: frozenset({"human_clicks_30d", "last_click_at"}),
    Fact.SENT: frozenset({"sent_30d", "last_sent_at"}),
    Fact.TAG: frozenset({"tags"}),
    Fact.CONSENT: frozenset({"mailing_consent"}),
}
_WATCHED = (StartKind.SEGMENT, StartKind.DATE)  # nobody tells of these: somebody must look
_Concerned = tuple[tuple[Route, ...], tuple[Mailing, ...]]


class Walking(Protocol):
    """Whoever walks now, as much of her as a plan asks the stage for."""

    one: Person

    def room_from(self, message_class: str, at: datetime) -> datetime:
        """From which moment on the caps leave room for one more mail of this class to her."""


class Stage:
    """Shared by all walks of one programme."""

    def __init__(self, mailer: Mailer, crowd: Crowd, programme: Programme, answering: Answering | None = None) -> None:
        limits = mailer.settings.limits
        self.crowd, self.programme, self.answering = crowd, programme, answering
        self.begin = crowd.now
        self.keys: Keys = mailer.keys
        self.zone: ZoneInfo = mailer.zone
        self.tracking_mode: TrackingMode = mailer.settings.tracking.mode
        self.glass = Glass(crowd, {*programme.names, "age"})
        self.arbiter = Arbiter(mailer)
        self.allowance = Allowance.of(limits)
        self.slots = Slots(mailer, (), crowd.at)
        self.slots.time = replace(self.slots.time, habit_of=self._habit_of)
        self.patience = _QUIET_PATIENCE if self.slots.time.quiet.is_set else _PATIENCE
        self.first_transport = next(iter(mailer.settings.transport))
        asked = [(one.name, one.start) for one in programme.routes if one.start is not None]
        asked += [(one.name, one.rule) for one in programme.mailings]
        self.prepared = {name: PreparedRule(rule, programme.segments) for name, rule in asked}
        self.watched = tuple(one for one in programme.routes if one.journey.start.kind in _WATCHED)
        self.by_segment = tuple(one for one in self.watched if one.journey.start.kind is StartKind.SEGMENT)
        self._walking: Walking | None = None
        self._options: dict[tuple[str, datetime], PlanOptions] = {}
        self._capped: dict[str, bool] = {}
        self._brought_in_by: dict[str, tuple[Route, ...]] = {}
        self._concerned = {fact: self._concerned_by(fact) for fact in Fact}
        self._may_wait: dict[str, bool] = {}

    def let_walk(self, her: Walking) -> None:
        """Whose habits and room are asked for next."""
        self._walking = her

    def brought_in_by(self, what: str) -> tuple[Route, ...]:
        """Journeys into which an order (`order`), or an event of this kind, brings somebody."""
        if what not in self._brought_in_by:
            kind = StartKind.ORDER if what == ORDER else StartKind.EVENT
            starts = [(one, one.journey.start) for one in self.programme.routes if one.journey.start.kind is kind]
            self._brought_in_by[what] = tuple(one for one, start in starts if what in (ORDER, start.name))
        return self._brought_in_by[what]

    def options(self, at: datetime, occurrence: str) -> PlanOptions:
        """As a plan wants them, of whoever walks."""
        # What comes round does so for everybody at the same moments.
        known = self._options.get((occurrence, at)) if occurrence else None
        if known is not None:
            return known
        found = PlanOptions(
            at=at,
            occurrence=occurrence,
            keys=self.keys,
            zone=self.zone,
            tracking_mode=self.tracking_mode,
            time=self.slots.time,
            room_from=self._room_from,
        )
        if occurrence:
            self._options[occurrence, at] = found
        return found

    def is_capped(self, message_class: str) -> bool:
        """Whether anything caps mails of this class."""
        if message_class not in self._capped:
            self._capped[message_class] = self.allowance.concerns(message_class)
        return self._capped[message_class]

    def concerned_by(self, fact: Fact | None) -> _Concerned:
        """Whose start, and which campaigns' audience, may be other for it."""
        return self._concerned[fact] if fact is not None else ((), ())

    def may_wait(self, message_class: str) -> bool:
        """Whether quiet hours or caps may hold up mails of this class at the sender."""
        if message_class not in self._may_wait:
            is_held = self.slots.time.quiet.is_set or self.is_capped(message_class)
            self._may_wait[message_class] = message_class != TRANSACTIONAL and is_held
        return self._may_wait[message_class]

    def went(self, at: int, message_class: str) -> Went:
        """A mail that went out before the beginning, as the caps count it."""
        return Went(at=from_micros(at), message_class=message_class, campaign="")

    def mail_of(self, inside: Inside, step: Send) -> Campaign:
        """A step's mail as a campaign, in her version of the journey."""
        if inside.journey is inside.route.journey:
            return inside.route.mails[step.id]
        return step_campaign(inside.journey, step)

    def effect_of(self, inside: Inside | None) -> Effect | None:
        """What the next mail does to buying: a campaign's each time, a journey's once on her way through it."""
        if inside is not None and inside.has_moved:
            return None
        return self.answering.effect_of(inside.route.name if inside else None) if self.answering else None

    def transport_of(self, named: str | None) -> str:
        """Over which a campaign goes."""
        return named or self.first_transport

    def _habit_of(self, _contact_id: int, zone: ZoneInfo) -> Shares:
        """By which hours she clicks and orders, so far."""
        prior = self.slots.time.prior
        one = self._walking.one if self._walking is not None else None
        if one is None or not (one.bought or one.clicks):
            return prior
        last = sorted([*one.bought[-campaign.LAST_EVENTS :], *one.clicks[-campaign.LAST_EVENTS :]])
        moments = [from_micros(at) for at in last[-campaign.LAST_EVENTS :]]
        return campaign.shares_of(campaign.local_hours(moments, zone), prior)

    def _room_from(self, _contact_id: int, message_class: str, at: datetime) -> datetime:
        return self._walking.room_from(message_class, at) if self._walking is not None else at

    def _concerned_by(self, fact: Fact) -> _Concerned:
        def reads(rule: Rule | None) -> bool:
            return rule is not None and bool(rules.fields_read(rule, self.programme.segments) & _READ[fact])

        return (
            tuple(one for one in self.by_segment if reads(one.start)),
            tuple(one for one in self.programme.mailings if reads(one.rule)),
        )
