"""Which of her mails go, when, and what comes back? The arbiter's own verdicts, and her answers by her behaviour."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine import campaign
from engine.campaign import Draft
from engine.journeys.definition import Send
from engine.journeys.simulating.behaviour import OPT_OUT, ORDER, Happening, Letter, Lives
from engine.journeys.simulating.counting import Tally
from engine.journeys.simulating.her import CLICK, OPEN, Her
from engine.journeys.simulating.inside import Inside
from engine.journeys.simulating.stage import Stage
from engine.ledger import CAPPED, OUTRANKED, QUIET, SOON, Known, Later, Waiting, Went
from engine.model import TRANSACTIONAL, Campaign, Candidate, EntryState, SkipReason, Variant
from engine.store import to_micros

_LEFT_OUT = Draft(language="", template_hash="")
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True, kw_only=True, eq=False)
class Mail:
    """A mail that waits for its hour or its turn."""

    wanted: Campaign
    seq: int
    send_at: datetime  # when it was to go
    due: int  # when it is looked at next
    ends_at: datetime
    planned_at: datetime
    inside: Inside | None = None
    step: str = ""
    met_cap: bool = False
    seen: Waiting | None = None  # by the arbiter, which may look at it many times

    def waiting(self, contact_id: int) -> Waiting:
        """As the arbiter sees it."""
        if self.seen is None:
            self.seen = Waiting(
                message_id=self.seq,
                contact_id=contact_id,
                campaign=self.wanted.name,
                message_class=self.wanted.message_class,
                priority=self.wanted.priority,
                send_at=self.send_at,
                ends_at=self.ends_at,
            )
        return self.seen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reply:
    """Something comes back of a mail."""

    kind: str  # open, click or opt_out
    inside: Inside | None
    step: str


class Post:
    """One contact's mails. `later(at, what)` calls the walk back; `went_out` tells it that something was sent."""

    def __init__(
        self,
        stage: Stage,
        lives: Lives,
        tally: Tally,
        her: Her,
        place: int,
        later: Callable[[int, object], None],
        went_out: Callable[[int], None],
    ) -> None:
        self._stage, self._lives, self._tally, self._her, self._place = stage, lives, tally, her, place
        self._later, self._went_out = later, went_out
        self._seq = 0
        self._nth: dict[str, int] = {}
        self._met_cap = False
        self.waiting: list[Mail] = []
        self.sent: list[int] = []
        self.kept_from: list[tuple[int, str]] = []  # until when her next order does not come, and whose mail did it

    def plan(self, wanted: Campaign, occurrence: str, inside: Inside | None = None, step: Send | None = None) -> None:
        """Plan a mail to her as the live engine does; it waits for its hour, or is counted as skipped or held out."""
        at, count = self._her.moment, self._tally.mails[wanted.name]
        options = self._stage.options(at, occurrence)
        for entry in campaign.plan(wanted, (self._her.candidate(),), _draft, options):
            if entry.state is EntryState.SKIPPED:
                count.skipped[str(entry.reason)] += 1
                self._tally.capped_unplanned += entry.reason == SkipReason.CAPPED
            elif entry.state is EntryState.HOLDOUT or (inside is not None and inside.held_out):
                count.held_out += 1
            else:
                self._keep(wanted, entry.send_at or at, at, inside, step)

    def _keep(
        self, wanted: Campaign, send_at: datetime, at: datetime, inside: Inside | None, step: Send | None
    ) -> None:
        ends_at = campaign.ends_at(wanted, max(send_at, at))
        if step is not None and step.expires is not None:
            ends_at = min(ends_at, send_at + step.expires)
        now = self._her.at
        self._seq += 1
        mail = Mail(
            wanted=wanted,
            seq=self._seq,
            send_at=send_at,
            due=now if send_at is at else to_micros(send_at),
            ends_at=ends_at,
            planned_at=at,
            inside=inside,
            step=step.id if step is not None else "",
        )
        if send_at <= at and not self._stage.may_wait(wanted.message_class):
            self.waiting.append(mail)
            self._judged(mail, now, at)
        else:
            self.take(mail)

    def take(self, mail: Mail) -> None:
        """A mail waits for its hour."""
        self.waiting.append(mail)
        self._later(mail.due, mail)

    def hand_over(self, at: int) -> None:
        """All mails that are due, the best first."""
        moment, whose = self._her.moment, self._her.one.contact_id
        due = [one for one in self.waiting if one.due <= at]
        if len(due) > 1:
            due.sort(key=lambda one: one.waiting(whose).rank)
        for mail in due:
            self._judged(mail, at, moment)

    def _judged(self, mail: Mail, at: int, moment: datetime) -> None:
        whose = self._her.one.contact_id
        if self._stage.may_wait(mail.wanted.message_class):
            self._her.forget_old()
            soon = to_micros(moment + SOON)
            rivals = [one.waiting(whose) for one in self.waiting if one is not mail and one.due <= soon]
            known = Known(went=self._her.went, rivals=rivals)
            verdict = self._stage.arbiter.verdict(self._her.plain(), mail.waiting(whose), known, moment)
            if isinstance(verdict, Later):
                self._put_off(mail, verdict)
                return
            if verdict is not None:
                self._drop(mail, verdict.reason)
                return
        self.waiting.remove(mail)
        reason = self._last_look(mail)
        if reason:
            self._tally.mails[mail.wanted.name].skipped[reason] += 1
            self._tally.capped_needless += mail.met_cap
            return
        self._send(mail, at, moment)
        self._went_out(at)

    def _put_off(self, mail: Mail, verdict: Later) -> None:
        if verdict.waits_for in (CAPPED, OUTRANKED):
            self._meets_cap(mail)
        elif verdict.waits_for == QUIET:
            self._tally.quiet += 1
        mail.due = to_micros(verdict.until)
        self._later(mail.due, mail)

    def _drop(self, mail: Mail, reason: str) -> None:
        if reason == SkipReason.CAPPED:
            self._meets_cap(mail)
        self._tally.capped_expired += mail.met_cap
        self.waiting.remove(mail)
        self._tally.mails[mail.wanted.name].skipped[reason] += 1

    def _meets_cap(self, mail: Mail) -> None:
        if not mail.met_cap:
            mail.met_cap = self._met_cap = True
            self._tally.capped += 1

    def _last_look(self, mail: Mail) -> str:
        """What the sender looks at just before the dot: whether the goal was reached meanwhile, and her opt-out."""
        since = mail.planned_at if mail.inside is None else mail.inside.place.entered_at
        if mail.wanted.goal != CLICK and self._her.has_done(mail.wanted.goal, since):
            return SkipReason.GOAL_REACHED.value
        is_free = mail.wanted.message_class == TRANSACTIONAL or self._her.one.may_be_mailed
        return "" if is_free else SkipReason.OPTED_OUT.value

    def _send(self, mail: Mail, at: int, moment: datetime) -> None:
        wanted, name = mail.wanted, mail.wanted.name
        self._tally.sent(name, self._stage.transport_of(wanted.transport), self._her.one.contact_id, at)
        if mail.met_cap:
            self._tally.capped_sent += 1
            self._tally.waited.append(at - to_micros(mail.send_at))
        self.sent.append(at)
        self._her.one.sent.append(at)
        if self._stage.is_capped(wanted.message_class):
            self._her.went.append(Went(at=moment, message_class=wanted.message_class, campaign=name))
        self._nth[name] = nth = self._nth.get(name, 0) + 1
        letter = Letter(
            name=name, nth=nth, message_class=wanted.message_class, effect=self._stage.effect_of(mail.inside)
        )
        cause = mail.inside.route.name if mail.inside else name
        if letter.effect is not None:
            self._tally.moved[cause] += 1
            if mail.inside is not None:
                mail.inside.has_moved = True
        self._answered(letter, mail, at, cause)

    def _answered(self, letter: Letter, mail: Mail, at: int, cause: str) -> None:
        answer = self._lives.answer(self._her.one, self._place, letter)
        for after, kind in ((answer.opened, OPEN), (answer.clicked, CLICK), (answer.opted_out, OPT_OUT)):
            if after is not None:
                self._later(at + after, Reply(kind=kind, inside=mail.inside, step=mail.step))
        if answer.bought is not None:
            self._later(at + answer.bought, Happening(at + answer.bought, ORDER, answer.like, cause))
        if answer.kept_from_buying is not None:
            self.kept_from.append((at + answer.kept_from_buying, cause))

    def close(self) -> None:
        """The time is over: what she got, and what still waits."""
        self._tally.weeks_of(self.sent)
        self._tally.capped_people += self._met_cap
        for mail in self.waiting:
            self._tally.mails[mail.wanted.name].waiting += 1
            self._tally.capped_waiting += mail.met_cap


def _draft(_variant: Variant, _person: Candidate) -> Draft:
    """Templates are not rendered: a value that one of them lacks is found by a dry run, not here."""
    return _LEFT_OUT
