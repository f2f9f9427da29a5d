"""How does a plan become mails on their way, and how is it resumed? Release once, start senders, say how it went."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from engine import delivery, ledger, replies
from engine.clock import Clock
from engine.config import load_settings
from engine.errors import BadConfig, Refused, StoreUnavailable, TransportUnavailable, UnknownCampaign
from engine.ledger import Plan
from engine.model import CampaignState, PlanState, Progress
from engine.pipeline.braking import refuse_if_braked, take_brake_off
from engine.pipeline.composing import routes
from engine.pipeline.pacing import destination_of, held_up
from engine.pipeline.planning import Planned, load_campaign, make_plan, planned, refuse_drift
from engine.pipeline.senders import run_senders
from engine.pipeline.sending import Turns, send_due
from engine.pipeline.stopping import Stop, stop_on_signals
from engine.pipeline.ticking import alive, living
from engine.pipeline.workspace import Mailer
from engine.pipeline.worrying import questions

_POLL_SECONDS = 0.5
_IDLE_SECONDS = 1.0  # between two looks at what is due
_PATIENCE_SECONDS = 60.0  # at most, between two tries to reach a server

log = logging.getLogger("mailer.send")

Tell = Callable[[str], None]


def untold(_said: str) -> None:
    """Nobody listens to what holds a send back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What became of a plan's messages so far, and what its operator should know."""

    plan_id: int
    counts: Mapping[str, int]  # sent, refused, deferred, skipped, waiting, uncertain
    notes: tuple[str, ...]
    cut_off: bool = False  # stopped, failed or paused, with messages that were due and have not gone out


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
    tell: Tell = untold,
    released: Callable[[Mailer, datetime], None] | None = None,
) -> Sent:
    """Release the plan, or a fresh one, and send what is due; `agree` raises unless the operator wants it.

    `tell` hears what holds it back while it goes on, and the empty text when that is over; `released` is called before
    the first goes out, so that others may be told to help.

    Refused when the occurrence is out already, or the plan no longer fits. An unreachable server is found before
    anything is released.
    """
    wanted = load_campaign(mailer, name)
    if wanted.repeat and plan_id is None and occurrence == "once":
        raise Refused(
            f"campaign {name!r} repeats ({wanted.repeat}): `mailer campaign start {name}` arms it; "
            "`--occurrence NAME` sends it once beside that, to everyone in it"
        )
    refuse_if_braked(mailer, name)
    _refuse_a_second_time(mailer, name, occurrence if plan_id is None else planned(mailer, plan_id).occurrence)
    _check_transport(mailer, wanted.transport)
    made = (
        make_plan(mailer, name, at, occurrence, progress) if plan_id is None else _same_campaign(mailer, plan_id, name)
    )
    if plan_id is not None:
        refuse_drift(mailer, plan_id, at)
    _refuse_nobody(made)
    agree(made)
    ledger.release(mailer.store, made.plan_id, at, mailer.keys, destination_of=destination_of(mailer))
    ledger.set_state(mailer.store, name, CampaignState.RUNNING, "", at)
    if released:
        released(mailer, mailer.clock())
    return _send_plans(mailer, [made.plan_id], progress, tell, wait=wait)[0]


def resume(
    mailer: Mailer,
    target: str | None,
    uncertain: str | None,
    progress: Progress,
    because: str = "",
    tell: Tell = untold,
) -> Sent:
    """Go on with a campaign, a plan or all that is under way; deferred messages are tried again.

    A campaign held by its brake goes on only when it is named, with a word why; without a name it is left alone. The
    word ends the holds of its destinations, too.
    """
    at = mailer.clock()
    ledger.finish_releases(mailer.store, mailer.keys, destination_of=destination_of(mailer))
    ledger.settle_proven(mailer.store, at)
    plans, left_alone = _let_go_on(mailer, _under_way(mailer, target), target, because, at)
    for one in plans:
        ledger.retry_deferred(mailer.store, one.id, at)
        if target is not None and because.strip():
            ways = routes(mailer, one.definition["transport"])
            ledger.end_holds(mailer.store, one.id, ways, destination_of(mailer))
        if uncertain is not None:
            ledger.resolve_uncertain(mailer.store, one.id, ledger.UncertainPolicy(uncertain), at, timedelta())
    if not plans:
        return Sent(plan_id=0, counts=_counted({}), notes=tuple(left_alone or ["nothing is under way"]))
    results = _send_plans(mailer, [one.id for one in plans], progress, tell)
    total = {key: sum(one.counts[key] for one in results) for key in results[0].counts}
    return Sent(
        plan_id=results[-1].plan_id,
        counts=total,
        notes=(*left_alone, *(note for one in results for note in one.notes)),
        cut_off=any(one.cut_off for one in results),
    )


def _let_go_on(
    mailer: Mailer, plans: list[Plan], target: str | None, because: str, at: datetime
) -> tuple[list[Plan], list[str]]:
    """Set the campaigns running; gives the plans that go on, and what there is to say of those left alone."""
    left_alone: dict[str, str] = {}
    for name in dict.fromkeys(one.campaign for one in plans):
        standing = ledger.state_of(mailer.store, name)
        journey = name.partition("/")[0] if "/" in name else ""
        if journey and standing is not None and standing.state is not CampaignState.RUNNING:
            left_alone[name] = f"{name} is {standing.state}; `mailer resume {journey}` lets the whole journey go on"
        elif standing is None or not standing.is_braked:
            ledger.set_state(mailer.store, name, CampaignState.RUNNING, "", at)
        elif target is None:
            how = f'`mailer resume {name} --because "WHAT YOU FOUND"` goes on'
            left_alone[name] = f"{name} is left alone. {standing.reason}; {how}"
        elif because.strip():
            take_brake_off(mailer, name, because.strip(), at)
        else:
            refuse_if_braked(mailer, name)
    return [one for one in plans if one.campaign not in left_alone], list(left_alone.values())


def work(mailer: Mailer, stop: Stop, rest: Callable[[], None] | None = None) -> None:
    """Send whatever becomes due, until stopped; an unreachable server is tried again, every time a little later.

    config.toml is read anew each time, so that what an operator mended there is believed at once. `rest` waits for
    more work where all went well; without it, a second.
    """
    pause, turns = _IDLE_SECONDS, Turns()
    with alive(mailer, "worker") as life:
        while not stop.asked:
            mailer, faults = _as_configured(mailer)
            faults += _send_all_due(mailer, stop, turns)
            if life.tell("; ".join(faults)):
                log.warning("trouble reason=%r", life.trouble or "none any more")
            pause = min(pause * 2, _PATIENCE_SECONDS) if faults else _IDLE_SECONDS
            if rest is None or faults:
                stop.rest(pause)
            else:
                rest()


def _send_all_due(mailer: Mailer, stop: Stop, turns: Turns) -> list[str]:
    """Send what is due; where one transport fails, the plans of the others still go out. Gives the faults."""
    faults: dict[str | None, str] = {}
    try:
        send_due(mailer, stop, turns=turns)
        return []
    except TransportUnavailable as fault:
        if len(mailer.settings.transport) == 1:
            return [str(fault)]
    for one in ledger.due(mailer.store, mailer.clock()):
        name = ledger.plan_of(mailer.store, one.plan_id).definition["transport"]
        try:
            if name not in faults:
                send_due(mailer, stop, one.plan_id, turns=turns)
        except TransportUnavailable as fault:
            faults[name] = str(fault)
    return list(faults.values())


def _as_configured(mailer: Mailer) -> tuple[Mailer, list[str]]:
    """The workspace with its settings of now; with those of before while config.toml is broken."""
    try:
        return replace(mailer, settings=load_settings(mailer.folder)), []
    except BadConfig as fault:
        return mailer, [str(fault)]


def _refuse_a_second_time(mailer: Mailer, name: str, occurrence: str) -> None:
    released = [p for p in ledger.plans_of(mailer.store, name, PlanState.RELEASED) if p.occurrence == occurrence]
    if released:
        raise Refused(
            f"campaign {name!r}, occurrence {occurrence!r}, is released already, as plan {released[0].id}; "
            "`mailer resume` goes on with it, `--occurrence NAME` sends the campaign once more to everyone in it"
        )


def _refuse_nobody(made: Planned) -> None:
    """Releasing an empty plan would use the occurrence up, and the next try would be refused."""
    if not made.summary["messages"]:
        raise Refused(
            f"plan {made.plan_id} of {made.campaign} holds no message: {made.summary['audience']} in the audience, "
            f"{made.summary['holdout']} held out, skipped {dict(made.summary['skipped']) or 'none'}; "
            f"`mailer plan show {made.plan_id}` tells why"
        )


def _same_campaign(mailer: Mailer, plan_id: int, name: str) -> Planned:
    made = planned(mailer, plan_id)
    if made.campaign != name:
        raise Refused(f"plan {plan_id} is of campaign {made.campaign!r}, not {name!r}")
    return made


def _check_transport(mailer: Mailer, name: str | None) -> None:
    """Find a wrong password or a dead server before anything is released; a backup that works will do."""
    first: TransportUnavailable | None = None
    for way in routes(mailer, name):
        transport = delivery.open_transport(way, mailer.settings.transport[way], mailer.folder)
        try:
            transport.check()
            return
        except TransportUnavailable as fault:
            log.warning("transport_failed transport=%s reason=%r", way, str(fault))
            first = first or fault
        finally:
            transport.close()
    assert first is not None, "there is at least one way"
    raise first


def _under_way(mailer: Mailer, target: str | None) -> list[Plan]:
    released = ledger.plans_of(mailer.store, state=PlanState.RELEASED)
    if target is None:
        return [one for one in released if _open_messages(mailer, one.id)]
    # A journey's mails are those of campaigns called JOURNEY/STEP.
    found = [one for one in released if target in (one.campaign, one.campaign.partition("/")[0], str(one.id))]
    if not found:
        raise UnknownCampaign(f"nothing released is called {target!r}; `mailer report` lists what is")
    return found


def _open_messages(mailer: Mailer, plan_id: int) -> int:
    counts = ledger.counts(mailer.store, plan_id)
    return counts["waiting"] + counts["claimed"] + counts["deferred"] + counts["uncertain"]


def _send_plans(
    mailer: Mailer, plan_ids: list[int], progress: Progress, tell: Tell, *, wait: bool = False
) -> list[Sent]:
    """One sender in this process, or as many processes as the transport has connections."""
    faults: list[str] = []
    with stop_on_signals() as stop:
        for plan_id in plan_ids:
            if stop.asked:
                break
            noticed = _watcher(mailer, plan_id, progress, tell)
            try:
                run_senders(mailer, plan_id, stop, noticed)
                while wait and not stop.asked and _is_under_way(mailer, plan_id):
                    stop.rest(_POLL_SECONDS)
                    ledger.offer_retries(mailer.store, mailer.clock())
                    if _is_due(mailer, plan_id):
                        run_senders(mailer, plan_id, stop, noticed)
            except (TransportUnavailable, StoreUnavailable) as fault:
                faults.append(str(fault))
                break
            finally:
                _tell(mailer, plan_id, progress)
    return [_result(mailer, plan_id, faults, stopped=stop.asked) for plan_id in plan_ids]


def _is_under_way(mailer: Mailer, plan_id: int) -> bool:
    """Whether messages wait for their hour, or for another try, and nobody holds them back."""
    plan, counts = ledger.plan_of(mailer.store, plan_id), ledger.counts(mailer.store, plan_id)
    standing = ledger.state_of(mailer.store, plan.campaign)
    is_paused = standing is not None and standing.state is CampaignState.PAUSED
    return bool(counts["waiting"] + counts["deferred"]) and not is_paused


def _is_due(mailer: Mailer, plan_id: int) -> bool:
    return any(one.plan_id == plan_id for one in ledger.due(mailer.store, mailer.clock()))


def _watcher(mailer: Mailer, plan_id: int, progress: Progress, tell: Tell) -> Callable[[], None]:
    """Counting a million messages takes a while: never more than a twentieth of the time goes into progress."""
    next_look, told = 0.0, ""

    def noticed() -> None:
        nonlocal next_look, told
        began = time.monotonic()
        if began < next_look:
            return
        _tell(mailer, plan_id, progress)
        held = held_up(mailer, plan_id)
        if (said := held[0] if held else "") != told:
            told = said
            tell(said)
        now = time.monotonic()
        next_look = now + max(_POLL_SECONDS, 20 * (now - began))

    return noticed


def _tell(mailer: Mailer, plan_id: int, progress: Progress) -> None:
    counts = ledger.counts(mailer.store, plan_id)
    progress(counts["messages"] - counts["waiting"] - counts["claimed"], counts["messages"])


def _result(mailer: Mailer, plan_id: int, faults: list[str], *, stopped: bool) -> Sent:
    counts = ledger.counts(mailer.store, plan_id)
    plan = ledger.plan_of(mailer.store, plan_id)
    notes = list(faults)
    if counts["refused"]:
        notes.append(f"refused: {_reasons(counts['refused_by'])}")
        notes += [f"  {word}: {replies.meaning(word)}" for word in counts["refused_by"]]
    if counts["skipped"]:
        notes.append(f"skipped: {_reasons(counts['skipped_by'])}")
    notes += questions(mailer, plan.campaign)
    left = counts["waiting"] + counts["claimed"]
    is_stopped = bool(left and (stopped or faults))
    paused = _paused(mailer, plan.campaign) if left else ""
    if is_stopped:
        notes.append(f"{left} messages have not gone out; `mailer resume {plan.campaign}` goes on, nobody gets two")
    elif left:
        number = "1 message waits" if left == 1 else f"{left} messages wait"
        notes.append(f"{number}{f': {paused}' if paused else _waiting_for(mailer, plan)}")
        notes += held_up(mailer, plan_id)
    elif not counts["deferred"] and not counts["uncertain"] and not _has_more(mailer, plan.campaign):
        is_over = ledger.set_state(mailer.store, plan.campaign, CampaignState.ENDED, "", mailer.clock())
        notes += [] if is_over else [_paused(mailer, plan.campaign)]
    return Sent(plan_id=plan_id, counts=_counted(counts), notes=tuple(notes), cut_off=is_stopped or bool(paused))


def _has_more(mailer: Mailer, campaign: str) -> bool:
    """Whether somebody may still be mailed: in another occurrence of the campaign, or by a journey that goes on."""
    others = (ledger.plan_of(mailer.store, one).campaign for one in ledger.unsettled(mailer.store))
    return "/" in campaign or campaign in others


def _waiting_for(mailer: Mailer, plan: Plan) -> str:
    when = ledger.next_due(mailer.store, mailer.clock(), plan.id)
    if _is_due(mailer, plan.id):
        until = "turn"
    elif when is not None:
        until = f"hour (next: {when.astimezone(mailer.zone):%Y-%m-%d %H:%M})"
    else:
        return " with another sender"
    has_sender = any(one.kind == "worker" for one in living(mailer))
    who = "a sender is running" if has_sender else "no sender is running: start `mailer run`, or `mailer resume` then"
    return f" for their {until}; {who}"


def _paused(mailer: Mailer, campaign: str) -> str:
    """That the campaign is paused, why, and how it goes on; empty when it is not."""
    standing = ledger.state_of(mailer.store, campaign)
    if standing is None or standing.state is not CampaignState.PAUSED:
        return ""
    words = ' --because "WHAT YOU FOUND"' if standing.is_braked else ""
    return f"{campaign} is paused ({standing.reason}); `mailer resume {campaign}{words}` goes on"


def _counted(counts: Mapping[str, object]) -> dict[str, int]:
    keys = ("sent", "refused", "deferred", "skipped", "waiting", "uncertain")
    found = {key: int(str(counts.get(key, 0))) for key in keys}
    return found | {"waiting": found["waiting"] + int(str(counts.get("claimed", 0)))}


def _reasons(by: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in by.items())


__all__ = ["Clock", "Sent", "resume", "send", "work"]
