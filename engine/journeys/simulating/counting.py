"""What came of one simulated world? Counts that can be added up, and nothing else kept of anybody."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from engine.journeys.simulating.crowd import DAY

HOUR = DAY // 24
WEEK = 7 * DAY

Edge = tuple[str, str, str]  # the step, what came of it, where it led


@dataclass(slots=True)
class JourneyCount:
    """One journey's people."""

    entered: int = 0
    held_out: int = 0
    inside_before: int = 0  # at the beginning
    edges: Counter[Edge] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)  # goal, done, or the reason of a leave
    inside: Counter[str] = field(default_factory=Counter)  # at the end, by step
    stuck: Counter[str] = field(default_factory=Counter)  # longer inside than the longest way, by step
    longest: int = 0  # of those, microseconds inside


@dataclass(slots=True)
class MailCount:
    """One campaign's or step's mails."""

    sent: int = 0
    held_out: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    by_day: Counter[int] = field(default_factory=Counter)  # days after the beginning
    waiting: int = 0  # at the end


@dataclass(slots=True)
class Tally:
    """One world's counts. Times are microseconds."""

    begin: int
    mails: defaultdict[str, MailCount] = field(default_factory=lambda: defaultdict(MailCount))
    journeys: defaultdict[str, JourneyCount] = field(default_factory=lambda: defaultdict(JourneyCount))
    by_hour: defaultdict[str, Counter[int]] = field(
        default_factory=lambda: defaultdict(Counter)
    )  # by transport; hours since 1970
    weeks: Counter[int] = field(default_factory=Counter)  # person-weeks by mails in them, of those who got any
    most_in_a_week: int = 0
    mailed: int = 0  # people who got any
    capped: int = 0  # mails that met a cap
    capped_people: int = 0
    capped_sent: int = 0  # ... and went later
    capped_expired: int = 0
    capped_needless: int = 0  # the goal was reached meanwhile, or she opted out
    capped_waiting: int = 0  # at the end
    capped_unplanned: int = 0  # mails that were not even planned: no room would come in time
    waited: list[int] = field(default_factory=list)  # how long those that went had waited
    quiet: int = 0  # mails that waited for quiet hours at the sender
    clicks: int = 0
    opt_outs: int = 0
    orders: int = 0
    revenue: int = 0  # minor units, of all orders
    brought: Counter[str] = field(default_factory=Counter)  # revenue that a journey or campaign brought, minor units
    brought_orders: Counter[str] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)  # mails by which a measured effect acted
    log: list[tuple[str, int, int]] | None = None  # of scripted worlds: (campaign or step, contact, when)

    def sent(self, name: str, transport: str, contact_id: int, at: int) -> None:
        """A mail went out."""
        count = self.mails[name]
        count.sent += 1
        count.by_day[(at - self.begin) // DAY] += 1
        self.by_hour[transport][at // HOUR] += 1
        if self.log is not None:
            self.log.append((name, contact_id, at))

    def weeks_of(self, sent: list[int]) -> None:
        """One person's mails of the whole time."""
        if not sent:
            return
        self.mailed += 1
        for number in Counter((at - self.begin) // WEEK for at in sent).values():
            self.weeks[number] += 1
            self.most_in_a_week = max(self.most_in_a_week, number)

    def bought(self, cents: int, cause: str) -> None:
        """An order; `cause` is the journey or campaign without which it would not have come, or empty."""
        self.orders += 1
        self.revenue += cents
        if cause:
            self.brought[cause] += cents
            self.brought_orders[cause] += 1

    def lost(self, cents: int, cause: str) -> None:
        """An order that a mail kept from coming."""
        self.brought[cause] -= cents
        self.brought_orders[cause] -= 1
