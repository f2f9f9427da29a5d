"""Do the keys of a journey file make sense together? What each may say by itself is in `keys`.

The tables are looked at as they were written, so that one wrong value does not hide what else is wrong; the ways from
step to step only once all steps are understood.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from engine.campaign import Fault, Key, full_shares, may_name
from engine.errors import nearest
from engine.journeys.definition import END, Branch, Journey
from engine.journeys.keys import KEYS_OF, START_KINDS, StartTable, StepTable
from engine.journeys.ways import dead_arms, reached, rings_without_wait

_Steps = list[tuple[int, Mapping[str, Any]]]  # each table with its place among all `[[step]]`
_ONLY_DATE = ("offset", "at", "yearly")
_TARGETS = ("to", "then", "otherwise")
_SEEN = ("clicked", "opened")


def name_faults(name: str) -> Iterator[Fault]:
    """A journey's name stands in file names, headers and addresses."""
    if not may_name(name):
        yield (), "bad_name", f"{name!r} can't name a journey; use letters, digits, - and _"


def start_faults(raw: Mapping[str, Any], segments: Collection[str]) -> Iterator[Fault]:
    """Who gets in must be said once, and what narrows it must go with it."""
    table = raw.get("start")
    if not isinstance(table, dict):
        return
    kinds = [kind for kind in START_KINDS if kind in table]
    if len(kinds) != 1 and not (set(table) - set(StartTable.model_fields)):
        yield ("start",), "bad_start", f"a start is one of {', '.join(START_KINDS)}; here is {_listed(kinds)}"
    segment = table.get("segment")
    if isinstance(segment, str) and segment not in segments:
        cure = nearest(segment, segments) or f"; known: {', '.join(sorted(segments)) or 'none'}"
        yield ("start", "segment"), "unknown_segment", f"unknown segment {segment!r}{cure}"
    if "segment" in table and "where" in table:
        why = "where goes with event, order, date and hand; a segment says all it has to say in segments.toml"
        yield ("start", "where"), "bad_start", why
    for key in _ONLY_DATE:
        if key in table and "date" not in table and kinds:
            yield ("start", key), "bad_start", f"{key} goes with date, not with {kinds[0]}"
    if raw.get("existing") is True and kinds and "segment" not in kinds:
        why = f"existing = true goes with a segment: with {kinds[0]} there is nobody who is in it already"
        yield ("existing",), "bad_start", why


def step_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """Each step does one thing, has its own id, and leads to a step that there is."""
    steps = _tables(raw.get("step"))
    ids = [table["id"] for _, table in steps if isinstance(table.get("id"), str)]
    sends = [table["id"] for _, table in steps if isinstance(table.get("id"), str) and "send" in table]
    for n, table in steps:
        kinds = [kind for kind in KEYS_OF if kind in table]
        if ids.count(table.get("id")) > 1 and table["id"] in [one.get("id") for _, one in steps[:n]]:
            yield ("step", n, "id"), "same_id", f"two steps have the id {table['id']!r}; every step has its own"
        yield from _kind_faults(n, table, kinds)
        for key, wanted in _references(n, table):
            yield from _reference_faults(key, wanted, ids, sends)
        yield from _share_faults(n, table)


def way_faults(journey: Journey) -> Iterator[Fault]:
    """Steps that nobody reaches, rings without a wait, arms that never get their turn."""
    places = {step.id: n for n, step in enumerate(journey.steps)}
    there = reached(journey)
    for step in journey.steps:
        if step.id not in there:
            why = f"nobody ever gets to step {step.id!r}: no step leads to it"
            yield ("step", places[step.id], "id"), "unreachable", why
        if isinstance(step, Branch):
            for arm, before in dead_arms(step):
                why = f"arm {arm + 1} of {step.id!r} never gets its turn: arm {before + 1} holds whenever it does"
                yield ("step", places[step.id], "branch", arm), "dead_arm", why
    for ring in rings_without_wait(journey):
        way = " -> ".join((*ring, ring[0]))
        why = f"{way} goes round and round without a wait; put one in, or lead out of it"
        yield ("step", places[ring[0]], "id"), "ring", why


def rules_of(raw: Mapping[str, Any]) -> Iterator[tuple[Key, str]]:
    """Every rule of a file with its key, as far as there is text."""
    start = raw.get("start")
    places: list[tuple[Key, object]] = [(("exclude",), raw.get("exclude"))]
    if isinstance(start, dict):
        places.append((("start", "where"), start.get("where")))
    for n, table in _tables(raw.get("step")):
        places += [(("step", n, "branch", k, "if"), arm.get("if")) for k, arm in _tables(table.get("branch"))]
    for key, text in places:
        # `exclude = ""` says that nobody is excluded.
        if isinstance(text, str) and (text or key != ("exclude",)):
            yield key, text


def _kind_faults(n: int, table: Mapping[str, Any], kinds: list[str]) -> Iterator[Fault]:
    name, known = table.get("id", n + 1), set(StepTable.model_fields)
    if not kinds and set(table) <= known:
        yield ("step", n), "bad_step", f"step {name!r} does nothing; it needs one of {', '.join(KEYS_OF)}"
    for first, second in pairwise(kinds):
        yield ("step", n, second), "bad_step", f"step {name!r} does two things, {first} and {second}; make two steps"
    if len(kinds) != 1:
        return
    kind = kinds[0]
    for key in table:
        if key in known and key not in ("id", kind, *KEYS_OF[kind]):
            goes = _listed([one for one, keys in KEYS_OF.items() if key in keys])
            cure = "its arms say where it leads" if key == "to" and kind in ("branch", "split") else f"it is of {goes}"
            yield ("step", n, key), "bad_step", f"{key} does not go with {kind}: {cure}"
    if kind == "until_event" and "at_most" not in table:
        why = f'step {name!r} would wait for ever; say at_most = "7 days"'
        yield ("step", n, "until_event"), "missing_key", why


def _references(n: int, table: Mapping[str, Any]) -> Iterator[tuple[Key, object]]:
    for key in _TARGETS:
        if key in table:
            yield ("step", n, key), table[key]
    for kind in ("branch", "split"):
        for k, arm in _tables(table.get(kind)):
            for key in ("to", *_SEEN) if kind == "branch" else ("to",):
                if key in arm:
                    yield ("step", n, kind, k, key), arm[key]


def _reference_faults(key: Key, wanted: object, ids: Collection[str], sends: Collection[str]) -> Iterator[Fault]:
    if not isinstance(wanted, str):
        return  # told as a wrong type
    if key[-1] in _SEEN:
        if wanted in ids and wanted not in sends:
            yield key, "no_send", f"{key[-1]} = {wanted!r}: that step sends no mail"
        elif wanted not in ids:
            cure = nearest(wanted, sends) or f"; steps that send: {', '.join(sends) or 'none'}"
            yield key, "unknown_step", f"{key[-1]} = {wanted!r}: there is no such step{cure}"
    elif wanted != END and wanted not in ids:
        cure = nearest(wanted, [*ids, END]) or f"; steps: {', '.join(ids)}, {END}"
        yield key, "unknown_step", f"{key[-1]} = {wanted!r}: there is no such step{cure}"


def _share_faults(n: int, table: Mapping[str, Any]) -> Iterator[Fault]:
    arms = [arm for _, arm in _tables(table.get("split"))]
    named = Counter(arm["name"] for arm in arms if isinstance(arm.get("name"), str))
    for name, times in named.items():
        if times > 1:
            yield ("step", n, "split"), "same_name", f"two arms of a split are named {name!r}"
    shares = [arm.get("share") for arm in arms]
    if arms and all(share is None or (isinstance(share, int | float) and 0 < share <= 1) for share in shares):
        try:
            full_shares(shares)
        except ValueError as fault:
            yield ("step", n, "split"), "bad_shares", str(fault)


def _tables(found: object) -> _Steps:
    return [(n, one) for n, one in enumerate(found) if isinstance(one, dict)] if isinstance(found, list) else []


def _listed(words: Iterable[str]) -> str:
    return " and ".join(words) or "none"
