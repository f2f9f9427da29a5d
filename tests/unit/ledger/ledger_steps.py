"""Steps that the ledger's tests share: people, drafts, releases, a sender that hands everything over."""

from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from engine import ledger
from engine.ledger import Claim, Item
from engine.links import Keys
from engine.model import EntryState, MessageState, Outcome, PlanEntry
from engine.store import Store
from engine.store.tables import batch, contact, message

KEYS = Keys(b"a secret of thirty-two characters")
SENT = Outcome(state=MessageState.SENT, reply="250 ok", stage="data")
DEFERRED = Outcome(state=MessageState.DEFERRED, reason="throttled", reply="451 later", stage="rcpt")
REFUSED = Outcome(state=MessageState.REFUSED, reason="unknown_address", reply="550 who?", stage="rcpt")
UNCERTAIN = Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", stage="data")


def people(store: Store, number: int, at: datetime) -> list[int]:
    """So many contacts, p0@shop.test and on."""
    rows = [{"email": f"p{i}@shop.test", "address_key": f"p{i}@shop.test", "created_at": at} for i in range(number)]
    with store.write() as db:
        db.execute(sa.insert(contact), rows)
        return list(db.scalars(sa.select(contact.c.id).order_by(contact.c.id)))


def entry(contact_id: int, **other: object) -> PlanEntry:
    """A message entry."""
    said = {
        "state": EntryState.MESSAGE,
        "variant": "a",
        "language": "en",
        "template_hash": "t1",
        "context": {"given_name": f"No. {contact_id}"},
        **other,
    }
    return PlanEntry(contact_id=contact_id, email=None, **said)  # type: ignore[arg-type]


def drafted(
    store: Store, entries: Sequence[PlanEntry], at: datetime, campaign: str = "spring", occurrence: str = "once"
) -> int:
    """A frozen draft."""
    header = ledger.PlanHeader(campaign=campaign, occurrence=occurrence, at=at, definition={"segment": "all"})
    return ledger.freeze(store, header, entries)


def released(store: Store, number: int, at: datetime, chunk: int = 500) -> int:
    """A released plan with so many messages."""
    plan_id = drafted(store, [entry(one) for one in people(store, number, at)], at)
    ledger.release(store, plan_id, at, KEYS, chunk=chunk)
    return plan_id


def granted(store: Store, claim: Claim, at: datetime, hi: int) -> Claim:
    """The claim, with everybody below `hi` granted."""
    assert ledger.advance(store, claim, hi, [], at)
    return claim


def send_all(
    store: Store, at: datetime, outcome_of: Callable[[Item], Outcome] = lambda _: SENT, owner: str = "me"
) -> list[str]:
    """Hand over everything that is due; gives the delivery ids in the order of handing over."""
    wire: list[str] = []
    while claim := ledger.claim(store, owner, at):
        done: list[tuple[Item, Outcome]] = []
        for window in ledger.windows(claim):
            assert ledger.advance(store, claim, window[-1].ord + 1, done, at, "box")
            done = [(item, outcome_of(item)) for item in window]
            wire += [item.delivery_id for item, outcome in done if outcome.state is not MessageState.SKIPPED]
        assert ledger.finish(store, claim, done, at, "box")
    return wire


def let_lease_run_out(store: Store) -> None:
    """What 60 seconds of silence do."""
    with store.write() as db:
        db.execute(sa.update(batch).values(lease_until=0.0))


def states(store: Store) -> list[str]:
    """The state of every message, in the order of the plan."""
    with store.read() as db:
        return list(db.scalars(sa.select(message.c.state).order_by(message.c.plan_id, message.c.n)))
