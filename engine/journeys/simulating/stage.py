"""What do all walks share? The shop's settings and the real code behind them, made ready once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from engine import campaign, rules
from engine.campaign import Allowance, Shares
from engine.journeys.definition import Send, StartKind
from engine.journeys.mailing import step_campaign
from engine.journeys.simulating.answering import Answering, Effect
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
_Concerned = tuple[tuple[Route, ...], tuple[Mailing, ...]]


class Stage:
    """Shared by all walks of one programme."""

    def __init__(self, mailer: Mailer, crowd: Crowd, programme: Programme, answering: Answering | None = None) -> None:
        limits = mailer.settings.limits
        self.crowd, self.programme, self.answering = crowd, programme, answering
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
        self._revenue: list[int] = crowd.orders.revenue.tolist()
        self._walking: Person | None = None
        self._concerned = {fact: self._concerned_by(fact) for fact in Fact}
        self._may_wait: dict[str, bool] = {}

    def let_walk(self, one: Person) -> None:
        """Whose habits are asked for next."""
        self._walking = one

    def concerned_by(self, fact: Fact | None) -> _Concerned:
        """Whose start, and which campaigns' audience, may be other for it."""
        return self._concerned[fact] if fact is not None else ((), ())

    def may_wait(self, message_class: str) -> bool:
        """Whether quiet hours or caps may hold up mails of this class at the sender."""
        if message_class not in self._may_wait:
            is_held = self.slots.time.quiet.is_set or self.allowance.concerns(message_class)
            self._may_wait[message_class] = message_class != TRANSACTIONAL and is_held
        return self._may_wait[message_class]

    def went(self, at: int, message_class: str) -> Went:
        """A mail that went out before the beginning, as the caps count it."""
        return Went(at=from_micros(at), message_class=message_class, campaign="")

    def cents(self, like: int) -> int:
        """What an order like this past one comes to, in minor units."""
        return int(self._revenue[like])

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
        one = self._walking
        prior = self.slots.time.prior
        if one is None or not (one.bought or one.clicks):
            return prior
        last = sorted([*one.bought[-campaign.LAST_EVENTS :], *one.clicks[-campaign.LAST_EVENTS :]])
        moments = [from_micros(at) for at in last[-campaign.LAST_EVENTS :]]
        return campaign.shares_of(campaign.local_hours(moments, zone), prior)

    def _concerned_by(self, fact: Fact) -> _Concerned:
        def reads(rule: Rule | None) -> bool:
            return rule is not None and bool(rules.fields_read(rule, self.programme.segments) & _READ[fact])

        routes = (one for one in self.programme.routes if one.journey.start.kind is StartKind.SEGMENT)
        return (
            tuple(one for one in routes if reads(one.start)),
            tuple(one for one in self.programme.mailings if reads(one.rule)),
        )
