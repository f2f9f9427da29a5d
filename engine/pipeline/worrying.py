"""What should somebody look at? The one list that `mailer status`, its exit code, `/ready` and [alerts] go by.

Asked every few seconds, so nothing here reads large tables: open batches, campaigns, timers that are late, processes.
Only complaints are counted in messages, of the last week's plans; where that takes long it is done more rarely.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from engine import ledger, store
from engine.errors import StoreUnavailable
from engine.model import CampaignState
from engine.pipeline.braking import brake_worries
from engine.pipeline.ticking import living
from engine.pipeline.workspace import Mailer
from engine.replies import shortened

TICK_SECONDS = 60.0  # a clock that has not ticked for so long stands still
_SLOW_LOOK_SECONDS = 0.05
_SHARE_OF_A_CORE = 20  # a slow look is taken again after so many times its length
_FREE_BYTES, _FREE_SHARE = 1 << 30, 0.05  # a disk is nearly full below the smaller of these

_CALLS_TOLD = timedelta(days=4)  # three in which a webhook is tried, and one more in which its end is worth a word


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How a campaign's complaints stood: as of when, by the monotonic clock, and for how many seconds that is so."""

    at: datetime
    ended: float
    believed_for: float
    found: list[str]


_complaints_seen: dict[str, _Look] = {}  # this process's latest, by database


@dataclass(frozen=True, slots=True, kw_only=True)
class Worry:
    """One thing to look at. `cause` stays the same as long as it is the same thing; `text` may hold moving numbers."""

    cause: str
    text: str


def worries(mailer: Mailer, at: datetime) -> list[Worry]:
    """Everything that somebody should look at now; empty when all is well. Names no person and no secret."""
    try:
        found = [one for look in _LOOKS for one in look(mailer, at)]
    except StoreUnavailable as fault:
        found = [Worry(cause="database", text=str(fault))]
    return [*found, *_full_disks(mailer)]


def late_after(mailer: Mailer) -> timedelta:
    """How late something due may be; a rehearsal's clock that runs faster makes it later by as much."""
    return timedelta(minutes=mailer.settings.alerts.late_minutes) * max(1.0, mailer.settings.clock.speed)


def questions(mailer: Mailer, campaign: str | None = None) -> list[str]:
    """What a campaign with `uncertain = "ask"` asks its operator: of one, or of all."""
    return [one.text for one in _questions(mailer) if campaign is None or one.cause == f"question:{campaign}"]


def is_nearly_full(total: int, free: int) -> bool:
    """Whether a disk of so many bytes has too few left."""
    return free < min(_FREE_BYTES, total * _FREE_SHARE)


# ---------------------------------------------------------------- each look


def _database(mailer: Mailer, _at: datetime) -> Iterator[Worry]:
    if (fault := store.version_fault(mailer.store)) or (fault := mailer.store.write_fault()):
        yield Worry(cause="database", text=fault)


def _late_messages(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    for one in ledger.due(mailer.store, at):
        if at - one.since > late_after(mailer):
            text = f"{one.messages} messages of {one.campaign} are due since {one.since:%Y-%m-%d %H:%M} UTC"
            yield Worry(cause=f"late:{one.campaign}/{one.occurrence}", text=text)


def _pauses(mailer: Mailer, _at: datetime) -> Iterator[Worry]:
    """What paused itself: a pause by hand is nobody's worry."""
    standings = [(one.name, one.reason) for one in ledger.states(mailer.store) if one.state is CampaignState.PAUSED]
    for name, reason in [*standings, *ledger.paused_journeys(mailer.store)]:
        if not reason.startswith(ledger.PAUSED_BY_HAND):
            yield Worry(cause=f"paused:{name}", text=f"{name} is paused: {shortened(reason)}")


def _complaints(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    now = time.monotonic()
    seen = _complaints_seen.get(mailer.store.url)
    # By both clocks: whoever asks about another time is told of that.
    allowed = seen.believed_for * max(1.0, mailer.settings.clock.speed) if seen else 0.0
    if seen is None or now >= seen.ended + seen.believed_for or abs(at - seen.at) > timedelta(seconds=allowed):
        found = brake_worries(mailer, at)
        ended = time.monotonic()
        is_slow = ended - now > _SLOW_LOOK_SECONDS
        seen = _Look(at=at, ended=ended, believed_for=_SHARE_OF_A_CORE * (ended - now) if is_slow else 0.0, found=found)
        _complaints_seen[mailer.store.url] = seen
    for text in seen.found:
        name, _, rest = text.partition(": ")
        yield Worry(cause=f"complaints:{name}{rest[rest.rfind(' (plan') :]}", text=text)


def _questions(mailer: Mailer, _at: datetime | None = None) -> Iterator[Worry]:
    for one in ledger.in_doubt(mailer.store):
        if one.policy == ledger.UncertainPolicy.ASK:
            number = f"{one.messages} {'message' if one.messages == 1 else 'messages'}"
            yield Worry(
                cause=f"question:{one.campaign}",
                text=f"{one.campaign} asks about {number} handed over since {one.since:%Y-%m-%d %H:%M} UTC whose "
                f"answer was lost: `mailer resume {one.campaign} --uncertain assume-sent` leaves them be, "
                "`--uncertain resend` sends them again (somebody may get two)",
            )


def _schedules(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    for one in ledger.schedules(mailer.store):
        if one.trouble:
            text = f"the next occurrence of {one.campaign} can't be run: {shortened(one.trouble)}"
            yield Worry(cause=f"schedule:{one.campaign}", text=text)
        elif one.next_due_at is not None and at - one.next_due_at > late_after(mailer):
            text = f"an occurrence of {one.campaign} is due since {one.next_due_at:%Y-%m-%d %H:%M} UTC"
            yield Worry(cause=f"schedule:{one.campaign}", text=text)


def _late_journeys(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    until = at - late_after(mailer)
    for one in ledger.overdue_steps(mailer.store, until):
        steps = _number(one.number, "step of journey", "steps of journey")
        yield Worry(
            cause=f"late:journey {one.name}", text=f"{steps} {one.name} due since {one.since:%Y-%m-%d %H:%M} UTC"
        )
    for one in ledger.overdue_calls(mailer.store, until):
        calls = _number(one.number, "webhook of journeys", "webhooks of journeys")
        yield Worry(cause="late:webhooks", text=f"{calls} due since {one.since:%Y-%m-%d %H:%M} UTC")


def _held_journeys(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    """Whom a fault of a rule or a template holds, and webhooks that don't answer."""
    for held in ledger.held_up(mailer.store):
        people = f"{held.enrolments} {'person is' if held.enrolments == 1 else 'people are'}"
        text = f"{people} held at {held.journey}/{held.step}: {shortened(held.reason)}"
        yield Worry(cause=f"held:{held.journey}/{held.step}", text=text)
    for step, fault in ledger.template_faults(mailer.store).items():
        text = f"{step} goes on with the last good template: {shortened(fault)}"
        yield Worry(cause=f"template:{step}", text=text)
    troubled = ledger.troubled_calls(mailer.store, at - _CALLS_TOLD)
    if troubled:
        calls = "a webhook of a journey fails" if len(troubled) == 1 else f"{len(troubled)} webhooks of journeys fail"
        yield Worry(cause="webhooks", text=f"{calls}: {shortened(troubled[-1].trouble)}")


def _number(number: int, one: str, many: str) -> str:
    said = f"{number}" if number < ledger.MOST_LATE else f"{number} or more"
    return f"{said} {one} is" if number == 1 else f"{said} {many} are"


def _processes(mailer: Mailer, at: datetime) -> Iterator[Worry]:
    """Whether somebody sends and somebody ticks, and what `mailer run` says of its children and steps."""
    found = living(mailer)
    if not any(one.kind == "worker" for one in found):
        waits = ledger.something_waits(mailer.store) or ledger.due(mailer.store, at)
        waiting = "messages wait, but " if waits else ""
        yield Worry(cause="no sender", text=f"{waiting}no sender lives: start `mailer run`")
    last = ledger.last_tick(mailer.store)
    if last is not None and last.age_seconds > TICK_SECONDS:
        yield Worry(cause="tick", text="the clock has not ticked for more than a minute: nothing new becomes due")
    told = {line for one in found if one.kind == "run" for line in one.trouble.splitlines()}
    yield from (Worry(cause=f"run:{line}", text=line) for line in sorted(told))


def _full_disks(mailer: Mailer) -> Iterator[Worry]:
    for what, path in (("state", mailer.settings.state_dir), ("the workspace", mailer.folder)):
        there = next((one for one in (path, *path.absolute().parents) if one.exists()), Path())
        usage = shutil.disk_usage(there)
        if is_nearly_full(usage.total, usage.free):
            yield Worry(cause=f"disk:{what}", text=f"the disk of {what} is nearly full")


_LOOKS = (
    _database,
    _late_messages,
    _pauses,
    _complaints,
    _questions,
    _schedules,
    _late_journeys,
    _held_journeys,
    _processes,
)
