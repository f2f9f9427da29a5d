"""How does a plan get into the ledger? As a draft, in short transactions, sealed by a last flip and a hash."""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json  # twice as fast as json, which every message would feel

from engine.ledger import prepared
from engine.ledger.chunking import CHUNK, write_in_turn
from engine.model import EntryState, PlanEntry, PlanState, Progress, unwatched
from engine.store import Store, chunks, to_micros
from engine.store.tables import plan, plan_entry, template_version

Summary = dict[str, Any]

_SHOWN = (
    sa.update(plan_entry)
    .where(plan_entry.c.plan_id == sa.bindparam("plan"), plan_entry.c.n == sa.bindparam("number"))
    .values(digest=sa.bindparam("shown"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeader:
    """What a plan is for: the campaign as its file stood, the occurrence, the moment its audience was seen as of."""

    campaign: str
    occurrence: str
    at: datetime
    definition: Mapping[str, Any]  # JSON values


class _Counts:
    """What a plan says in sum: audience, messages, holdout, skipped by reason, messages by variant."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._variants: Counter[str] = Counter()

    def add(self, entry: PlanEntry) -> None:
        self._states[entry.state] += 1
        if entry.state is EntryState.SKIPPED:
            self._skipped[str(entry.reason)] += 1
        elif entry.state is EntryState.MESSAGE:
            self._variants[entry.variant] += 1

    def summary(self) -> Summary:
        return {
            "audience": self._states.total(),
            "messages": self._states[EntryState.MESSAGE],
            "holdout": self._states[EntryState.HOLDOUT],
            "skipped": dict(sorted(self._skipped.items())),
            "variants": dict(sorted(self._variants.items())),
        }


def freeze(
    store: Store,
    header: PlanHeader,
    entries: Iterable[PlanEntry],
    summarise: Callable[[Summary], Summary] = dict,
    progress: Progress = unwatched,
) -> int:
    """Write a draft plan and give its number.

    `summarise` gets audience, messages, holdout, skipped and variants as counted, and gives the summary to keep.
    The plan can't be released before the last step has flipped `frozen`; one cut off before that is purged later.
    """
    plan_id = _open_draft(store, header)
    seal, counts, rest, n = hashlib.sha256(), _Counts(), iter(entries), 0
    while some := list(islice(rest, CHUNK)):
        rows = []
        for entry in some:
            context = canonical(entry.context)
            seal.update(_sealed(entry) + context + b"\n")
            counts.add(entry)
            rows.append(_entry_row(plan_id, n, entry, context))
            n += 1
        with write_in_turn(store) as db:
            db.execute(sa.insert(plan_entry), rows)
        progress(n, None)
    summary = summarise(counts.summary())
    flip = sa.update(plan).where(plan.c.id == plan_id)
    with store.write() as db:
        db.execute(flip.values(frozen=True, summary=summary, hash=seal.hexdigest()))
    return plan_id


def save_templates(store: Store, compiled: Mapping[str, bytes]) -> None:
    """Keep compiled templates by their hash; one that is there already is the same one."""
    statement = store.insert(template_version).on_conflict_do_nothing()
    for some in chunks(list(compiled.items()), 50):
        with store.write() as db:
            db.execute(statement, [{"hash": key, "compiled": data} for key, data in some])


def template(store: Store, template_hash: str) -> bytes | None:
    """The compiled template that was kept under this hash; None when there is none."""
    with store.read() as db:
        kept: bytes | None = db.scalar(
            sa.select(template_version.c.compiled).where(template_version.c.hash == template_hash)
        )
    return kept


def save_digests(store: Store, plan_id: int, digests: Mapping[int, str]) -> None:
    """Keep what the dry run's mails came to, by the entry's number."""
    rest = iter(digests.items())
    while some := [(digest, plan_id, n) for n, digest in islice(rest, CHUNK)]:
        with write_in_turn(store) as db:
            prepared.run(db, store, _SHOWN, ("shown", "plan", "number"), some)


def canonical(value: object) -> bytes:
    """JSON that is the same bytes for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def packed(context: bytes) -> bytes:
    """A context as it is kept: with zlib's own codes, 15 % larger than the best ones and read in half the time."""
    packing = zlib.compressobj(strategy=zlib.Z_FIXED)
    return packing.compress(context) + packing.flush()


def unpacked(context: bytes | None) -> dict[str, Any] | None:
    """A frozen context again; None when it was erased or its campaign is over."""
    if context is None:
        return None
    found: dict[str, Any] = from_json(zlib.decompress(context), cache_strings="keys")
    return found


def _open_draft(store: Store, header: PlanHeader) -> int:
    row = {
        "campaign": header.campaign,
        "occurrence": header.occurrence,
        "state": PlanState.DRAFT,
        "at": header.at,
        "definition": dict(header.definition),
        "summary": {},
        "hash": "",
        "priority": int(header.definition.get("priority", 0)),
    }
    with store.write() as db:
        plan_id: int = db.execute(sa.insert(plan).values(row).returning(plan.c.id)).scalar_one()
    return plan_id


def _sealed(entry: PlanEntry) -> bytes:
    """What the plan's hash covers of one entry beside its context: not the plan's number, not the address."""
    send_at = None if entry.send_at is None else to_micros(entry.send_at)
    said = [entry.contact_id, entry.state, entry.reason, entry.detail, entry.variant, entry.language]
    return canonical([*said, entry.template_hash, send_at, entry.tracked])


def _entry_row(plan_id: int, n: int, entry: PlanEntry, context: bytes) -> dict[str, Any]:
    # An empty context of a message is kept as {}: NULL would mean that it was erased.
    kept = entry.context or entry.state is EntryState.MESSAGE
    return {
        "plan_id": plan_id,
        "n": n,
        "contact_id": entry.contact_id,
        "state": entry.state,
        "reason": entry.reason,
        "detail": entry.detail,
        "variant": entry.variant,
        "language": entry.language,
        "template_hash": entry.template_hash,
        "send_at": entry.send_at,
        "tracked": entry.tracked,
        "context": packed(context) if kept else None,
    }
