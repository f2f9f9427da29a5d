"""Who hands over which messages now? One sender a batch, by a lease on the database's clock and a fence.

Clocks and leases decide only how many messages become uncertain, never whether somebody gets two.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.ledger import choosing, prepared
from engine.ledger.choosing import HELD_BACK
from engine.ledger.items import Erased, Item, open_items
from engine.ledger.pacing import Restraint, restraints, scope_of
from engine.ledger.prepared import said
from engine.ledger.recording import Ending, Held, record, skip_open, sort_out
from engine.ledger.rows import Query, Row
from engine.model import BatchState, JournalProof, MessageState, Outcome, PlanState, SkipReason
from engine.store import Store
from engine.store.tables import batch

WINDOW = 100  # messages a commit at most: what a lost sender whose journal can't be believed leaves uncertain
LEASE_SECONDS = 60.0  # a dot may be answered after 10 minutes: heartbeat keeps the lease meanwhile

Proof = Callable[[int, int, str], JournalProof | None]

_WINDOW_SECONDS = 0.5
_OWNERS = sa.select(batch.c.owner).where(batch.c.state == said(BatchState.LEASED)).distinct()
_TAKEN = ("stands", "up_to", "number", "whose", "mine", "left", "key")
_LOST = Outcome(state=MessageState.UNCERTAIN, reason="sender_lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A batch that this sender alone may hand over, window by window. `items` are those still to be sent."""

    batch_id: int
    plan_id: int
    campaign: str
    occurrence: str
    fence: int
    items: tuple[Item, ...]
    destination: str = ""  # the mail system of all of them; empty: mixed
    restraints: Mapping[str, Restraint] = field(default_factory=dict)  # scopes held or slowed when it was claimed


def no_proof(_batch_id: int, _fence: int, _owner: str) -> None:
    """No journal can be trusted."""


def nobody(_owner: str) -> bool:
    """No owner is known to be dead."""
    return False


def claim(
    store: Store,
    owner: str,
    at: datetime,
    plan_id: int | None = None,
    proof: Proof = no_proof,
    is_dead: Callable[[str], bool] = nobody,
    *,
    via: Mapping[str, str] | None = None,
    shut: Collection[str] = (),
) -> Claim | None:
    """A batch to hand over now, or None; commits by itself, before anything is sent.

    Batches of senders that are provably dead, or whose lease ran out, come first: `proof(batch, fence, owner)` gives
    their trusted journal, or None; who is not cleared by it becomes uncertain and is not sent again.

    What would go out over a held scope (`hold`, `slow_down`) or one of `shut` stays ready and stands in nobody's way.
    `via` tells the transport in use by the name in the campaign's file, "" for campaigns that name none.
    """
    look = _Look(store, owner, at, plan_id, proof, is_dead, via or {}, shut)
    while (taken := look.take()) is not None:
        items, erased = open_items(store, taken.id)
        _skip_erased(store, taken, erased, at)
        found = Claim(
            batch_id=taken.id,
            plan_id=taken.plan_id,
            campaign=taken.campaign,
            occurrence=taken.occurrence,
            fence=taken.fence + 1,
            items=items,
            destination=taken.destination,
            restraints=look.restraints,
        )
        if found.items:
            return found
        _end_empty(store, found)
    return None


def windows(claim: Claim, size: Callable[[], int] = lambda: WINDOW) -> Iterator[tuple[Item, ...]]:
    """The claim's items in runs: ask `advance` for each before the first of it is handed over.

    `size` is asked before each run: `window_size` of how fast it goes.
    """
    start = 0
    while start < len(claim.items):
        window = claim.items[start : start + size()]
        yield window
        start += len(window)


def window_size(rate: float) -> int:
    """How many messages one commit should cover at so many a second: half a second's, at most 100.

    A pause, a cancel and the figures wait for the end of a window, so a slow way out gets short ones; at a commit for
    each message the disk of a fast one would do nothing else.
    """
    return max(1, min(WINDOW, round(rate * _WINDOW_SECONDS)))


class _Look:
    """One sender's look for a batch, with all that decides which it may have."""

    def __init__(
        self,
        store: Store,
        owner: str,
        at: datetime,
        plan_id: int | None,
        proof: Proof,
        is_dead: Callable[[str], bool],
        via: Mapping[str, str],
        shut: Collection[str],
    ) -> None:
        self.restraints = restraints(store)
        self._store, self._owner, self._at, self._plan_id, self._proof = store, owner, at, plan_id, proof
        self._via = tuple(sorted(via.items()))
        held = (name for name, one in self.restraints.items() if one.held_seconds > 0)
        self._shut = tuple(sorted({*shut, *held}))
        self._lost = _lost(store, plan_id, is_dead, self._via)

    def take(self) -> Row | None:
        """Lease one batch in one transaction; a lost one is sorted out first, whether it goes on or not."""
        while sources := self._sources():
            found_any = False
            for wanted, values in sources:
                with self._store.write() as db:
                    row = db.execute(choosing.locked(wanted), values).first()
                    if row is None:
                        continue
                    found_any = True
                    if self._lease(db, row):
                        return row
                break
            if not found_any:
                return None
        return None

    def _sources(self) -> list[tuple[Query, dict[str, Any]]]:
        """Where a batch may be found, in order; looked up without a lock, so that idle senders make no writer wait."""
        moment = {"at": self._at}
        plans = choosing.plans_with_batches(self._plan_id, self._shut, self._via)
        ready = choosing.ready(self._shut, self._via)
        with self._store.read() as db:
            found: list[tuple[Query, dict[str, Any]]] = []
            if self._lost is not None and db.execute(self._lost).first() is not None:
                found.append((self._lost, {}))
            return found + [(ready, {**moment, "plan_id": one}) for one in db.scalars(plans, moment)]

    def _lease(self, db: sa.Connection, row: Row) -> bool:
        """Give it to this owner, if anybody is left in it, the operator lets it go on and its way is not held."""
        ords = self._sorted_out(db, row) if row.state == BatchState.LEASED else [row.hi]
        is_shut = row.transport in self._shut or scope_of(row.transport, row.destination) in self._shut
        mine = bool(ords) and row.campaign_state not in HELD_BACK and not is_shut
        stands = BatchState.LEASED if mine else BatchState.READY if ords else BatchState.DONE
        left = len(ords) if row.state == BatchState.LEASED else None
        owner, hi = self._owner if mine else "", ords[0] if ords else row.size
        taken = [(stands.value, hi, row.fence + 1, owner, int(mine), left, row.id)]
        prepared.run(db, self._store, _taking(self._store), _TAKEN, taken)
        return mine

    def _sorted_out(self, db: sa.Connection, row: Row) -> list[int]:
        """The lost sender may have handed over what it was granted: ask its journal, else nobody knows."""
        evidence = self._proof(row.id, row.fence, row.owner)

        def verdict(place: int) -> Outcome | None:
            if evidence is None or (place in evidence.handed and place not in evidence.answered):
                key = evidence.keys.get(place) if evidence else None
                return replace(_LOST, reply=f"key={key} the sender died") if key else _LOST
            return evidence.answered.get(place)

        held = Held(batch_id=row.id, fence=row.fence)
        ords = sort_out(db, self._store, held, row.hi, verdict, self._at)
        return skip_open(db, row.id) if row.plan_state == PlanState.CANCELLED else ords


def leased_until(store: Store) -> sa.ColumnElement[float]:
    """A lease from now on, for a prepared statement: without a parameter."""
    return store.epoch_now() + sa.literal_column(f"{LEASE_SECONDS}", sa.Float)


@lru_cache(maxsize=4)
def _taking(store: Store) -> sa.Update:
    return (
        sa.update(batch)
        .where(batch.c.id == sa.bindparam("key"))
        .values(
            state=sa.bindparam("stands"),
            hi=sa.bindparam("up_to"),
            fence=sa.bindparam("number"),
            owner=sa.bindparam("whose"),
            lease_until=sa.bindparam("mine", type_=sa.Integer) * leased_until(store),
            open=sa.func.coalesce(sa.bindparam("left", type_=sa.Integer), batch.c.open),
        )
    )


def _lost(
    store: Store, plan_id: int | None, is_dead: Callable[[str], bool], via: tuple[tuple[str, str], ...]
) -> Query | None:
    """The batches of senders that are dead or silent; None where no batch is leased at all."""
    with store.read() as db:
        owners = [owner for (owner,) in prepared.ask(db, store, _OWNERS, (), ())]
    dead = tuple(sorted(owner for owner in owners if is_dead(owner)))
    return choosing.lost(store, plan_id, dead, via) if owners else None


def _skip_erased(store: Store, taken: Row, erased: list[Erased], at: datetime) -> None:
    if not erased:
        return
    endings = [
        Ending(
            one.message_id,
            one.attempt,
            Outcome(
                state=MessageState.SKIPPED, reason=SkipReason.EXPIRED if one.has_address else SkipReason.NO_ADDRESS
            ),
        )
        for one in erased
    ]
    with store.write() as db:
        record(db, store, Held(batch_id=taken.id, fence=taken.fence + 1), endings, at, transport="")


def _end_empty(store: Store, found: Claim) -> None:
    mine = (batch.c.id == found.batch_id, batch.c.fence == found.fence, batch.c.state == BatchState.LEASED)
    with store.write() as db:
        db.execute(sa.update(batch).where(*mine).values(state=BatchState.DONE, owner="", hi=batch.c.size))
