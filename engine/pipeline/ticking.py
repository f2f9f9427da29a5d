"""What is there to do while nobody asks? Every few seconds a little, at night a lot; each step safe beside others.

Whatever is cut off is done by the next tick, or the next night: what is due lies in the tables, not in a process.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, time, timedelta

import sqlalchemy as sa

from engine import delivery, ledger
from engine.errors import StoreUnavailable
from engine.model import CampaignState, PlanState, unwatched
from engine.pipeline.aftermath import catch_up
from engine.pipeline.asking_again import ask_providers
from engine.pipeline.braking import brake_all
from engine.pipeline.pacing import destination_of
from engine.pipeline.people import refresh
from engine.pipeline.receiving import drain_hits, judge_the_hasty, spool_of
from engine.pipeline.workspace import Mailer
from engine.store.tables import fact

Step = Callable[[Mailer, datetime], None]

_NIGHT = time(3, 30)
_SETTLE_AFTER = timedelta(minutes=30)
# How long after which attempt a message is tried again that has no hour of its own (RFC 5321 4.5.4.1).
_RETRY_AFTER = tuple(timedelta(hours=hours) for hours in (0.5, 2, 8, 24))
_HELD_BACK = (CampaignState.PAUSED, CampaignState.CANCELLED)
_CONTEXTS_KEPT = timedelta(days=60)  # after the window: as long as a mail's links must work by law (CASL)
_BEAT_SECONDS = 10.0  # who was not heard of for 30 s is taken for dead
_REFRESHED_ON = "refreshed_on"

# ---------------------------------------------------------------- who lives


class Life:
    """This process, as `status` shows it."""

    def __init__(self) -> None:
        self.trouble = ""
        self.ended = False
        self.changed = threading.Event()

    def tell(self, trouble: str) -> bool:
        """What keeps it from its work, or nothing; True when that is new."""
        if trouble == self.trouble:
            return False
        self.trouble = trouble
        self.changed.set()
        return True


@contextmanager
def alive(mailer: Mailer, kind: str) -> Iterator[Life]:
    """Say while the block runs that this process lives, as `run`, `worker` or `web`, however long its work takes."""
    life = Life()

    def beat_on() -> None:
        while not life.ended:
            life.changed.clear()
            with suppress(StoreUnavailable):  # half a minute of silence costs nothing but a worried status
                beat(mailer, kind, life.trouble)
            life.changed.wait(_BEAT_SECONDS)

    thread = threading.Thread(target=beat_on, daemon=True, name="beat")
    thread.start()
    try:
        yield life
    finally:
        life.ended = True
        life.changed.set()
        thread.join()
        with suppress(StoreUnavailable):
            leave(mailer)


def beat(mailer: Mailer, kind: str, trouble: str = "") -> None:
    """This process lives, as `run`, `worker` or `web`; `status` counts those heard of within 30 seconds."""
    ledger.beat(mailer.store, delivery.owner_name(), kind, trouble)


def ticked(mailer: Mailer, took_seconds: float) -> None:
    """All steps of the tick were done just now; `status` worries when that is long ago."""
    ledger.note_tick(mailer.store, took_seconds)


def leave(mailer: Mailer) -> None:
    """This process ends in order."""
    ledger.leave(mailer.store, delivery.owner_name())


def living(mailer: Mailer) -> list[ledger.Process]:
    """The processes that live; one that was killed a moment ago doesn't, where that can be proved."""
    return [one for one in ledger.processes(mailer.store) if not delivery.is_dead(one.owner)]


# ---------------------------------------------------------------- every few seconds


def tick(mailer: Mailer) -> None:
    """Complete what was cut off, settle what is uncertain, retry what was put off, end what is through."""
    for step in STEPS:
        step(mailer, mailer.clock())


def _finish_releases(mailer: Mailer, _at: datetime) -> None:
    """An operator's process was killed in the middle of a release."""
    ledger.finish_releases(mailer.store, mailer.keys, destination_of=destination_of(mailer))


def _drain_the_spool(mailer: Mailer, at: datetime) -> None:
    """Hits that a web process left behind, here or before it died."""
    drain_hits(mailer, spool_of(mailer))
    judge_the_hasty(mailer, at)


def _settle_proven(mailer: Mailer, at: datetime) -> None:
    """Something had come back of a message before its sender was lost."""
    ledger.settle_proven(mailer.store, at)


def _ask_providers(mailer: Mailer, at: datetime) -> None:
    """Before any rule for lost answers applies: a provider that knows is asked."""
    ask_providers(mailer, at)


def _settle_uncertain(mailer: Mailer, at: datetime) -> None:
    """After half an hour without evidence each campaign's own rule applies."""
    for plan in _under_way(mailer):
        policy = ledger.UncertainPolicy(plan.definition["uncertain"])
        ledger.resolve_uncertain(mailer.store, plan.id, policy, at, _SETTLE_AFTER)


def _offer_retries(mailer: Mailer, at: datetime) -> None:
    """Deferred messages whose hour has come, each by the schedule of its reason.

    Without an hour of its own is what a journal or a fenced sender told: it is certain, but came too late for more.
    """
    ledger.offer_retries(mailer.store, at)
    held = {one.name for one in ledger.states(mailer.store) if one.state in _HELD_BACK}
    for plan in _under_way(mailer):
        if plan.campaign not in held:
            ledger.retry_deferred(mailer.store, plan.id, at, waits=_RETRY_AFTER)


def _end_what_is_through(mailer: Mailer, at: datetime) -> None:
    """Nobody is left to be mailed: the campaign says so."""
    running = {one.name for one in ledger.states(mailer.store) if one.state is CampaignState.RUNNING}
    released = {one.campaign for one in ledger.plans_of(mailer.store, state=PlanState.RELEASED)}
    released -= {one.campaign for one in ledger.schedules(mailer.store)}  # they come round again
    released = {name for name in released if "/" not in name}  # a journey's mails come up as long as it runs
    for name in sorted((running & released) - {one.campaign for one in _under_way(mailer)}):
        ledger.set_state(mailer.store, name, CampaignState.ENDED, "", at)


STEPS: Sequence[Step] = (
    _finish_releases,
    _drain_the_spool,
    _settle_proven,
    _ask_providers,
    _settle_uncertain,
    brake_all,
    _offer_retries,
    _end_what_is_through,
)


def _under_way(mailer: Mailer) -> list[ledger.Plan]:
    return [ledger.plan_of(mailer.store, one) for one in ledger.unsettled(mailer.store)]


# ---------------------------------------------------------------- every night


def night_is_due(mailer: Mailer, at: datetime) -> bool:
    """Once a local day, from half past three on; a night that was missed is made up for, and so is the very first.

    So a workspace that has never seen a night gets profiles and recommendations as soon as it runs.
    """
    with mailer.store.read() as db:
        last = db.execute(sa.select(fact.c.value).where(fact.c.name == _REFRESHED_ON)).scalar_one_or_none()
    return last is None or str(last) < _night_of(mailer, at).isoformat()


def next_night(mailer: Mailer, at: datetime) -> datetime:
    """When the next night's work is due; this moment where it is due already."""
    if night_is_due(mailer, at):
        return at
    day = _night_of(mailer, at) + timedelta(days=1)
    return datetime.combine(day, _NIGHT, mailer.zone).astimezone(at.tzinfo)


def night(mailer: Mailer, at: datetime) -> bool:
    """The night's work, when it is due: profiles, recommendations, what need not be kept. May be killed."""
    if not night_is_due(mailer, at):
        return False
    catch_up(mailer, at)
    refresh(mailer, at, unwatched)
    ledger.purge_drafts(mailer.store, at)
    _forget_old_contexts(mailer, at)
    with mailer.store.write() as db:
        row = mailer.store.insert(fact).values(name=_REFRESHED_ON, value=_night_of(mailer, at).isoformat())
        db.execute(row.on_conflict_do_update(index_elements=["name"], set_={"value": row.excluded.value}))
    return True


def _forget_old_contexts(mailer: Mailer, at: datetime) -> None:
    """What was known of people when a mail was planned goes some time after its window; the digests stay.

    Till then its links lead where they led; afterwards those that depended on the reader lead to the shop.
    """
    under_way = set(ledger.unsettled(mailer.store))
    for plan in ledger.plans_of(mailer.store, state=PlanState.RELEASED):
        last = ledger.last_hour(mailer.store, plan.id)
        kept = timedelta(seconds=plan.definition["window"]) + _CONTEXTS_KEPT
        if last is not None and at > last + kept and plan.id not in under_way:
            ledger.drop_contexts(mailer.store, plan.id)


def _night_of(mailer: Mailer, at: datetime) -> date:
    """The day of the latest night that has come; by the wall clock, so that a skipped or repeated hour is no matter."""
    local = at.astimezone(mailer.zone)
    return local.date() if local.time() >= _NIGHT else local.date() - timedelta(days=1)
