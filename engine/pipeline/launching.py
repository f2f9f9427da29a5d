"""How does a plan become mails on their way, and how is it resumed? Release once, start senders, say what became of it."""

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from engine import delivery, ledger
from engine.clock import Clock, clock_set_to
from engine.errors import MailerError, Refused, TransportUnavailable, UnknownCampaign
from engine.ledger import Plan
from engine.model import CampaignState, PlanState
from engine.pipeline.composing import transport_settings
from engine.pipeline.planning import Planned, Progress, load_campaign, make_plan, planned, refuse_drift
from engine.pipeline.sending import Stop, send_due, stop_on_signals
from engine.pipeline.workspace import Mailer, open_mailer

_POLL_SECONDS = 0.5
_OPEN = ("waiting", "claimed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a plan's messages so far, and what its operator should know."""

    plan_id: int
    counts: Mapping[str, int]  # sent, refused, deferred, skipped, waiting, uncertain
    notes: tuple[str, ...]


def send(
    mailer: Mailer,
    name: str,
    plan_id: int | None,
    occurrence: str,
    at: datetime,
    agree: Callable[[Planned], None],
    progress: Progress,
    *,
    wait: bool = False,
) -> Sent:
    """Release the plan, or a fresh one, and send what is due; `agree` raises unless the operator wants it.

    Refused when the occurrence is out already, or the plan no longer fits. An unreachable server is found before
    anything is released.
    """
    wanted = load_campaign(mailer, name)
    _refuse_a_second_time(mailer, name, occurrence if plan_id is None else planned(mailer, plan_id).occurrence)
    _check_transport(mailer, wanted.transport)
    made = (
        make_plan(mailer, name, at, occurrence, progress) if plan_id is None else _same_campaign(mailer, plan_id, name)
    )
    if plan_id is not None:
        refuse_drift(mailer, plan_id, at)
    agree(made)
    ledger.release(mailer.store, made.plan_id, at, mailer.keys)
    ledger.set_state(mailer.store, name, CampaignState.RUNNING, "", at)
    return _send_plans(mailer, [made.plan_id], progress, wait=wait)[0]


def resume(mailer: Mailer, target: str | None, uncertain: str | None, progress: Progress) -> Sent:
    """Go on with a campaign, a plan or all that is under way; deferred messages are tried again."""
    at = mailer.clock()
    ledger.finish_releases(mailer.store, mailer.keys)
    plans = _under_way(mailer, target)
    for one in plans:
        ledger.set_state(mailer.store, one.campaign, CampaignState.RUNNING, "", at)
        ledger.retry_deferred(mailer.store, one.id, at)
        if uncertain is not None:
            ledger.resolve_uncertain(mailer.store, one.id, ledger.UncertainPolicy(uncertain), at, timedelta())
    if not plans:
        return Sent(plan_id=0, counts=_counted({}), notes=("nothing is under way",))
    results = _send_plans(mailer, [one.id for one in plans], progress)
    total = {key: sum(one.counts[key] for one in results) for key in results[0].counts}
    return Sent(plan_id=results[-1].plan_id, counts=total, notes=tuple(n for one in results for n in one.notes))


def work(mailer: Mailer, stop: Stop) -> None:
    """Send whatever becomes due, until stopped; an unreachable server is tried again, every time a little later."""
    owner, pause = delivery.owner_name(), 1.0
    try:
        while not stop.asked.is_set():
            ledger.beat(mailer.store, owner, "worker")
            try:
                send_due(mailer, stop)
                pause = 1.0
            except TransportUnavailable:
                pause = min(pause * 2, 60.0)
            stop.asked.wait(pause)
    finally:
        ledger.leave(mailer.store, owner)


def _refuse_a_second_time(mailer: Mailer, name: str, occurrence: str) -> None:
    released = [p for p in ledger.plans_of(mailer.store, name, PlanState.RELEASED) if p.occurrence == occurrence]
    if released:
        raise Refused(
            f"campaign {name!r}, occurrence {occurrence!r}, is released already, as plan {released[0].id}; "
            "`mailer resume` goes on with it, `--occurrence NAME` sends the campaign once more to everyone in it"
        )


def _same_campaign(mailer: Mailer, plan_id: int, name: str) -> Planned:
    made = planned(mailer, plan_id)
    if made.campaign != name:
        raise Refused(f"plan {plan_id} is of campaign {made.campaign!r}, not {name!r}")
    return made


def _check_transport(mailer: Mailer, name: str | None) -> None:
    """Find a wrong password or a dead server before anything is released."""
    chosen, settings = transport_settings(mailer, name)
    transport = delivery.open_transport(chosen, settings, mailer.folder)
    try:
        transport.check()
    finally:
        transport.close()


def _under_way(mailer: Mailer, target: str | None) -> list[Plan]:
    released = ledger.plans_of(mailer.store, state=PlanState.RELEASED)
    if target is None:
        return [one for one in released if _open_messages(mailer, one.id)]
    found = [one for one in released if target in (one.campaign, str(one.id))]
    if not found:
        raise UnknownCampaign(f"nothing released is called {target!r}; `mailer report` lists what is")
    return found


def _open_messages(mailer: Mailer, plan_id: int) -> int:
    counts = ledger.counts(mailer.store, plan_id)
    return counts["waiting"] + counts["claimed"] + counts["deferred"] + counts["uncertain"]


def _send_plans(mailer: Mailer, plan_ids: list[int], progress: Progress, *, wait: bool = False) -> list[Sent]:
    """One sender in this process, or as many processes as the transport has connections."""
    faults: list[str] = []
    with stop_on_signals() as stop:
        for plan_id in plan_ids:
            try:
                _run_senders(mailer, plan_id, stop, _watcher(mailer, plan_id, progress))
                while wait and not stop.asked.is_set() and ledger.counts(mailer.store, plan_id)["waiting"]:
                    stop.asked.wait(_POLL_SECONDS)
                    _run_senders(mailer, plan_id, stop, _watcher(mailer, plan_id, progress))
            except TransportUnavailable as fault:
                faults.append(str(fault))
                break
    return [_result(mailer, plan_id, faults, stopped=stop.asked.is_set()) for plan_id in plan_ids]


def _run_senders(mailer: Mailer, plan_id: int, stop: Stop, noticed: Callable[[], None]) -> None:
    plan = ledger.plan_of(mailer.store, plan_id)
    connections = transport_settings(mailer, plan.definition["transport"])[1].connections
    if connections == 1:
        send_due(mailer, stop, plan_id, noticed)
        return
    spawn = multiprocessing.get_context("spawn")
    results: "multiprocessing.Queue[str]" = spawn.Queue()
    at = mailer.clock() if mailer.settings.clock.fixed_at else None
    senders = [spawn.Process(target=_sender, args=(mailer.folder, plan_id, at, results)) for _ in range(connections)]
    for one in senders:
        one.start()
    told = False
    while any(one.is_alive() for one in senders):
        time.sleep(_POLL_SECONDS / 5)
        noticed()
        if stop.asked.is_set() and not told:
            told = True
            _pass_on(senders)
    if not results.empty():
        raise TransportUnavailable(results.get())


def _pass_on(senders: "list[multiprocessing.context.SpawnProcess]") -> None:
    """SIGTERM reaches only the parent; Ctrl-C reaches all, and asking twice would cut the wait short."""
    for one in senders:
        if one.is_alive() and one.pid:
            one.terminate()


def _sender(folder: Path, plan_id: int, at: datetime | None, faults: "multiprocessing.Queue[str]") -> None:
    """The body of a sender process: Ctrl-C is left to the parent, who passes it on once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mailer = open_mailer(folder)
    stop = Stop()
    signal.signal(signal.SIGTERM, stop.ask)
    try:
        send_due(replace(mailer, clock=clock_set_to(at)) if at else mailer, stop, plan_id)
    except MailerError as fault:
        faults.put(str(fault))
    finally:
        mailer.store.close()


def _watcher(mailer: Mailer, plan_id: int, progress: Progress) -> Callable[[], None]:
    def noticed() -> None:
        counts = ledger.counts(mailer.store, plan_id)
        progress(counts["messages"] - counts["waiting"] - counts["claimed"], counts["messages"])

    return noticed


def _result(mailer: Mailer, plan_id: int, faults: list[str], *, stopped: bool) -> Sent:
    counts = ledger.counts(mailer.store, plan_id)
    plan = ledger.plan_of(mailer.store, plan_id)
    notes = list(faults)
    if counts["refused"]:
        notes.append(f"refused: {_reasons(counts['refused_by'])}")
    if counts["skipped"]:
        notes.append(f"skipped: {_reasons(counts['skipped_by'])}")
    left = counts["waiting"] + counts["claimed"]
    if left and (stopped or faults):
        notes.append(f"{left} messages have not gone out; `mailer resume {plan.campaign}` goes on, nobody gets two")
    elif left:
        when = ledger.next_due(mailer.store, mailer.clock())
        hour = f" (next: {when.astimezone(mailer.zone):%Y-%m-%d %H:%M})" if when else ""
        alive = bool(ledger.living(mailer.store, "worker"))
        who = "a sender is running" if alive else "no sender is running: start `mailer run`, or `mailer resume` then"
        notes.append(f"{left} messages wait for their hour{hour}; {who}")
    elif not counts["deferred"] and not counts["uncertain"]:
        ledger.set_state(mailer.store, plan.campaign, CampaignState.ENDED, "", mailer.clock())
    return Sent(plan_id=plan_id, counts=_counted(counts), notes=tuple(notes))


def _counted(counts: Mapping[str, object]) -> dict[str, int]:
    keys = ("sent", "refused", "deferred", "skipped", "waiting", "uncertain")
    found = {key: int(str(counts.get(key, 0))) for key in keys}
    return found | {"waiting": found["waiting"] + int(str(counts.get("claimed", 0)))}


def _reasons(by: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in by.items())


__all__ = ["Clock", "Sent", "resume", "send", "work"]
