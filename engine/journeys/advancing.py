"""How does everybody inside a journey get on? Claim, see, decide, plan the mails, write: some hundreds at a time.

Any number of processes may do this at once and die at any moment: what one decided is written together with the move
or not at all. Whom a fault holds (a broken rule, a template that never compiled) is looked at again after an hour, and
told; nobody else waits for her.
"""

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from engine import audience, campaign, ledger
from engine.errors import MailerError
from engine.journeys.deciding import Move, decide
from engine.journeys.definition import Journey, Send, Tag, Webhook
from engine.journeys.mailing import standing_plan, step_campaign
from engine.journeys.seeing import RuleBook, Seen
from engine.journeys.standing import Footing, footing, shifted
from engine.journeys.stored import from_json
from engine.journeys.texts import Texts
from engine.ledger import (
    Dispatch,
    Enrolment,
    EnrolmentMove,
    JourneyPause,
    NewCall,
    PublishedJourney,
    StepDone,
    Tagging,
)
from engine.model import CampaignState, EnrolmentState, EntryState, PlanEntry, Profile
from engine.pipeline.pacing import destination_of
from engine.pipeline.planning import drafter, plan_options
from engine.pipeline.workspace import Mailer

CHUNK = 500
BUDGET_SECONDS = 20.0  # a tick has other work, too; what is left waits for the next one
_AGAIN = timedelta(hours=1)  # when somebody whom a fault holds is looked at again
_CANCELLED = "cancelled"
_REASON_CHARS = 300

log = logging.getLogger("mailer.journeys")


def advance(mailer: Mailer, at: datetime) -> None:
    """Take everybody on whose turn it is; a step of the tick."""
    _settle_states(mailer, at)
    tick = _Tick(mailer=mailer, at=at, book=RuleBook(mailer), texts=Texts(mailer))
    until, moved = time.monotonic() + BUDGET_SECONDS, 0
    while time.monotonic() < until and (claimed := ledger.claim_enrolments(mailer.store, at, CHUNK)):
        moved += tick.take_on(claimed)
    ledger.keep_faults(mailer.store, tick.faults())
    if moved:
        log.info("journeys_advanced moves=%s", moved)


def _settle_states(mailer: Mailer, at: datetime) -> None:
    """Whoever was killed while cancelling, and a step that paused itself: its journey stops with it."""
    for one in ledger.journeys(mailer.store):
        if one.state is CampaignState.CANCELLED and ledger.is_anybody_inside(mailer.store, one.name):
            ledger.leave_all(mailer.store, one.name, _CANCELLED, at)
        if one.state in (CampaignState.RUNNING, CampaignState.ENDED):
            for step in ledger.step_campaigns(mailer.store, one.name):
                if step.state is CampaignState.PAUSED and ledger.set_journey_state(
                    mailer.store, one.name, CampaignState.PAUSED, f"{step.reason} ({step.name})", at
                ):
                    log.warning("journey_paused journey=%s reason=%r", one.name, step.reason)
                    break


@dataclass(slots=True, kw_only=True)
class _Tick:
    """What one tick needs to know once."""

    mailer: Mailer
    at: datetime
    book: RuleBook
    texts: Texts
    destination_of: Callable[[str], str] = field(init=False)
    _versions: dict[tuple[str, int], Journey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.destination_of = destination_of(self.mailer)

    def take_on(self, claimed: Sequence[Enrolment]) -> int:
        """One chunk; gives how many got on."""
        store = self.mailer.store
        audience.refresh_changed(store, self.at, self.mailer.zone)
        chunk = _Chunk(
            tick=self,
            seen=Seen(self.mailer, self.book, claimed, self.at),
            # Read after the claim, so that nobody is moved on by what was true before it.
            published={one.name: one for one in ledger.journeys(store)},
            pauses={name: ledger.pauses_of(store, name) for name in {one.journey for one in claimed}},
        )
        moves = chunk.moves(claimed)
        return len(ledger.write_moves(store, moves, self.at, destination_of=self.destination_of))

    def version(self, name: str, number: int) -> Journey:
        """A version of a journey."""
        if (name, number) not in self._versions:
            self._versions[name, number] = from_json(ledger.version_of(self.mailer.store, name, number))
        return self._versions[name, number]

    def faults(self) -> dict[str, str]:
        """The steps whose template can't be compiled now."""
        return dict(self.texts.faults)


@dataclass(slots=True, kw_only=True)
class _Mail:
    """A mail that a move wants."""

    one: Enrolment
    visit: int


@dataclass(slots=True, kw_only=True)
class _Chunk:
    """Some hundreds of enrolments, seen and decided together."""

    tick: _Tick
    seen: Seen
    published: Mapping[str, PublishedJourney]
    pauses: Mapping[str, Sequence[JourneyPause]]

    def moves(self, claimed: Sequence[Enrolment]) -> list[EnrolmentMove]:
        """What becomes of each."""
        decided: dict[int, tuple[Footing, Move]] = {}
        moves: dict[int, EnrolmentMove] = {}
        for one in claimed:
            try:
                made = self._looked(one)
            # Whatever it is, even a fault of ours: it must hold this one alone.
            except Exception as fault:
                made = self._held(one, fault)
            if isinstance(made, EnrolmentMove):
                moves[one.id] = made
            else:
                decided[one.id] = made
        mails = self._mails(claimed, decided, moves)
        for one in claimed:
            if one.id not in moves:
                moves[one.id] = self._move(one, *decided[one.id], tuple(mails[one.id]))
        return list(moves.values())

    def _looked(self, one: Enrolment) -> EnrolmentMove | tuple[Footing, Move]:
        published = self.published[one.journey]
        rings_at = shifted(one, self.pauses.get(one.journey, ()))
        stands = footing(
            one,
            rings_at,
            self.tick.version(one.journey, one.version),
            self.tick.version(one.journey, published.version),
            published.version,
        )
        if published.state is CampaignState.PAUSED:
            return self._paused(one, rings_at, stands.journey)
        return stands, decide(stands.journey, stands.place, self.seen.sight(stands.journey, one), self.tick.at)

    def _paused(self, one: Enrolment, rings_at: datetime, journey: Journey) -> EnrolmentMove:
        """Nobody goes on, but whoever reached the goal is through."""
        stays = self._staying(one, rings_at)
        if self.seen.came(one, journey.goal, one.entered_at):
            return replace(stays, state=EnrolmentState.GOAL, reason=journey.goal, due_at=None, ended_at=self.tick.at)
        return stays

    def _staying(self, one: Enrolment, rings_at: datetime) -> EnrolmentMove:
        return EnrolmentMove(
            was=one,
            version=one.version,
            state=EnrolmentState.WAITING,
            step=one.step,
            visit=one.visit,
            waiting=one.waiting,
            step_at=one.step_at,
            rings_at=rings_at,
            due_at=rings_at,
            pauses=self.published[one.journey].pauses,
            reason=one.reason,
        )

    def _held(self, one: Enrolment, fault: Exception) -> EnrolmentMove:
        """She stays where she is; looked at again in an hour, or when something happens to her."""
        said = str(fault) if isinstance(fault, MailerError) else f"a fault of the engine: {type(fault).__name__}"
        is_known = isinstance(fault, MailerError)
        log.error(
            "enrolment_held journey=%s step=%s enrolment=%s reason=%r",
            *(one.journey, one.step, one.id, said),
            exc_info=None if is_known else fault,
        )
        stays = self._staying(one, one.rings_at)
        return replace(stays, pauses=one.pauses, reason=said[:_REASON_CHARS], due_at=self.tick.at + _AGAIN)

    def _move(self, one: Enrolment, stands: Footing, move: Move, mails: tuple[Dispatch, ...]) -> EnrolmentMove:
        is_over = move.state is not EnrolmentState.WAITING
        profile = self.seen.profiles[one.contact_id]
        # Another system would act on a call: whoever is held out, to measure against, must be spared it.
        calls = [] if one.held_out else [each for each in move.effects if isinstance(each.step, Webhook)]
        return EnrolmentMove(
            was=one,
            version=stands.version,
            state=move.state,
            reason=move.reason,
            step=move.place.step,
            visit=move.place.visit,
            waiting=move.place.waiting,
            step_at=move.place.step_at,
            rings_at=move.place.due_at,
            due_at=None if is_over else move.place.due_at,
            pauses=self.published[one.journey].pauses,
            ended_at=self.tick.at if is_over else None,
            done=tuple(
                StepDone(visit=each.visit, step=each.step, result=each.result, leads_to=each.to)
                for each in (*stands.passed, *move.passed)
            ),
            mails=mails,
            tags=tuple(
                Tagging(tag=each.step.tag, remove=each.step.remove)
                for each in move.effects
                if isinstance(each.step, Tag)
            ),
            calls=tuple(
                self._call(one, each.step, each.visit, profile) for each in calls if isinstance(each.step, Webhook)
            ),
        )

    def _call(self, one: Enrolment, step: Webhook, visit: int, profile: Profile) -> NewCall:
        name, occurrence = f"{one.journey}/{step.id}", f"{one.id}/{visit}"
        key = self.tick.mailer.keys.delivery_id(name, occurrence, one.contact_id)
        return NewCall(key=key, url=step.url, body=call_body(one.journey, step.id, profile, self.tick.at))

    # ------------------------------------------------------------ mails

    def _mails(
        self,
        claimed: Sequence[Enrolment],
        decided: Mapping[int, tuple[Footing, Move]],
        moves: dict[int, EnrolmentMove],
    ) -> Mapping[int, list[Dispatch]]:
        """The mails of all that were decided, planned a step at a time; whom a fault meets goes to `moves`, held."""
        wanted: dict[tuple[str, int, str], list[_Mail]] = defaultdict(list)
        for one in claimed:
            stands, move = decided.get(one.id, (None, None))
            for each in move.effects if move is not None and stands is not None else ():
                if isinstance(each.step, Send) and stands is not None:
                    wanted[one.journey, stands.version, each.step.id].append(_Mail(one=one, visit=each.visit))
        found: dict[int, list[Dispatch]] = defaultdict(list)
        for (name, version, step_id), mails in wanted.items():
            for mail, made in self._tried(name, version, step_id, mails):
                if isinstance(made, Dispatch):
                    found[mail.one.id].append(made)
                else:
                    moves[mail.one.id] = self._held(mail.one, made)
        return found

    def _tried(
        self, name: str, version: int, step_id: str, mails: Sequence[_Mail]
    ) -> list[tuple[_Mail, Dispatch | Exception]]:
        """All of them planned together; when that fails, find out whose fault it is."""
        try:
            return list(zip(mails, self._planned(name, version, step_id, mails), strict=True))
        except MailerError as fault:  # of the template: it is the same for all
            return [(mail, fault) for mail in mails]
        except Exception as fault:
            if len(mails) == 1:
                return [(mails[0], fault)]
            return [each for mail in mails for each in self._tried(name, version, step_id, [mail])]

    def _planned(self, name: str, version: int, step_id: str, mails: Sequence[_Mail]) -> list[Dispatch]:
        """As a campaign would: who gets it, held out or skipped for which reason, and what her mail is made from."""
        mailer, at = self.tick.mailer, self.tick.at
        journey = self.tick.version(name, version)
        step = journey.step(step_id)
        assert isinstance(step, Send), "only mails are planned"
        wanted, text = step_campaign(journey, step), self.tick.texts.of(journey, step)
        draft = drafter(mailer, {wanted.variants[0].name: text}, at)
        fields = {field for one in text.values() for field in one.fields}
        ids = [mail.one.contact_id for mail in mails]
        people = self.seen.candidates(ids, fields)
        entries = campaign.plan(wanted, people, draft, plan_options(mailer, at, "", ids))
        hangs_on = standing_plan(journey, version, step, at)
        return [
            ledger.dispatch(hangs_on, f"{mail.one.id}/{mail.visit}", _drawn(mail.one, entry), mailer.keys)
            for mail, entry in zip(mails, entries, strict=True)
        ]


def _drawn(one: Enrolment, entry: PlanEntry) -> PlanEntry:
    """Who is held out is planned as everybody, and gets nothing."""
    if not one.held_out or entry.state is not EntryState.MESSAGE:
        return entry
    return PlanEntry(contact_id=entry.contact_id, email=entry.email, state=EntryState.HOLDOUT, send_at=entry.send_at)


def call_body(journey: str, step: str, profile: Profile, at: datetime) -> dict[str, Any]:
    """What a webhook tells: who, by the shop's own number and by a hash of her address; never the address itself."""
    address = (profile.email or "").strip().lower()
    return {
        "journey": journey,
        "step": step,
        "at": at.isoformat(),
        "external_id": profile.external_id,
        "email_sha256": hashlib.sha256(address.encode()).hexdigest() if address else None,
    }
