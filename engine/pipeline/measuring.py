"""Which figures does a monitoring system collect? All from the database: they are the same whichever process is asked.

Messages are counted a plan at a time by an index; what is settled is counted once and remembered, so that each round
costs what is still under way (a million messages: a tenth of a second).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from engine import audience, ledger
from engine.feedback import waiting_bytes
from engine.model import PlanState
from engine.pipeline.ticking import living
from engine.pipeline.workspace import Mailer
from engine.pipeline.worrying import late_after, worries

Labels = tuple[tuple[str, str], ...]  # name and value

_KINDS = ("run", "worker", "web")
_ALONE: Labels = ()

_settled: dict[tuple[str, int], tuple[Labels, Mapping[str, int]]] = {}  # by database and plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure with its meaning: a value for each set of labels."""

    name: str
    help: str
    values: Mapping[Labels, float]


def metrics(mailer: Mailer, at: datetime) -> list[Metric]:
    """Every figure as of now; all may go up and down."""
    parts = (_of_messages, _of_batches, _of_ways, _of_processes, _of_journeys, _of_people)
    return [
        Metric(name=f"mailer_{name}", help=told, values=values)
        for part in parts
        for name, told, values in part(mailer, at)
    ]


_Figures = Iterator[tuple[str, str, Mapping[Labels, float]]]


def _of_messages(mailer: Mailer, _at: datetime) -> _Figures:
    under_way, found = set(ledger.unsettled(mailer.store)), Counter[Labels]()
    for plan in ledger.plans_of(mailer.store, state=PlanState.RELEASED):
        labels, by_state = _counted(mailer, plan, plan.id in under_way)
        for state, number in by_state.items():
            found[(("state", state), *labels)] += number
    yield "messages", "Released messages by where they stand, of all time.", found


def _counted(mailer: Mailer, plan: ledger.Plan, is_under_way: bool) -> tuple[Labels, Mapping[str, int]]:
    key = mailer.store.url, plan.id
    if is_under_way or key not in _settled:
        counts = ledger.counts(mailer.store, plan.id)
        transport = plan.definition["transport"] or next(iter(mailer.settings.transport))
        by_state = {
            "planned": counts["waiting"],
            "claimed": counts["claimed"],
            "sent": counts["sent"],
            "refused": counts["refused"],
            "deferred": counts["deferred"],
            "skipped": counts["skipped"],
            "uncertain": counts["uncertain"],
        }
        _settled[key] = (("transport", transport), ("class", plan.definition["message_class"])), by_state
    return _settled[key]


def _of_batches(mailer: Mailer, at: datetime) -> _Figures:
    due = ledger.due(mailer.store, at)
    yield "batches", "Batches that are not done.", _by("state", ledger.open_batches(mailer.store))
    yield (
        "due_messages",
        "Messages whose hour has come and that wait for a sender.",
        {_ALONE: sum(d.messages for d in due)},
    )
    ages = [(at - one.since).total_seconds() for one in due]
    yield "oldest_due_seconds", "How long the oldest of these has waited.", {_ALONE: max(ages, default=0.0)}


def _of_ways(mailer: Mailer, _at: datetime) -> _Figures:
    flows = ledger.flows(mailer.store)
    rates, held = {one.scope: one.rate for one in flows}, {one.scope: one.held_seconds for one in flows}
    yield "rate_per_second", "Messages a second that may go over a scope now; 0: no limit.", _by("scope", rates)
    yield "held_seconds", "How much longer nothing goes over a scope.", _by("scope", held)
    states = ledger.breaker_states(mailer.store)
    is_open = {name: float(states.get(name, "closed") != "closed") for name in mailer.settings.transport}
    yield "transport_left_alone", "1 while a transport gets nothing through.", _by("transport", is_open)


def _of_processes(mailer: Mailer, at: datetime) -> _Figures:
    found = Counter(one.kind for one in living(mailer))
    yield "processes", "Living processes.", _by("kind", {kind: found[kind] for kind in _KINDS})
    tick = ledger.last_tick(mailer.store)
    if tick is not None:
        yield "tick_age_seconds", "How long ago the clock last went through all its steps.", {_ALONE: tick.age_seconds}
        yield "tick_seconds", "How long it took.", {_ALONE: tick.took_seconds}
    yield "worries", "What somebody should look at; `mailer status` tells it.", {_ALONE: len(worries(mailer, at))}
    spool = waiting_bytes(mailer.settings.state_dir / "spool")
    yield "spool_bytes", "Hits on their way to the database.", {_ALONE: spool}


def _of_journeys(mailer: Mailer, at: datetime) -> _Figures:
    inside = {one.journey: one.inside for one in ledger.journey_standings(mailer.store)}
    yield "journey_inside", "Enrolments inside a journey.", _by("journey", inside)
    for name, told, until in (
        ("journey_due", f"Steps whose hour has come ({ledger.MOST_LATE} at most).", at),
        ("journey_late", "Steps that should have been taken long ago.", at - late_after(mailer)),
    ):
        found = {one.name: one.number for one in ledger.overdue_steps(mailer.store, until)}
        yield name, told, _by("journey", {one: found.get(one, 0) for one in inside})


def _of_people(mailer: Mailer, _at: datetime) -> _Figures:
    reasons = audience.suppressions_by_reason(mailer.store)
    yield "suppressions", "Addresses that are never mailed again.", _by("reason", reasons)


def _by(label: str, values: Mapping[str, float]) -> Mapping[Labels, float]:
    return {((label, name),): value for name, value in values.items()}
