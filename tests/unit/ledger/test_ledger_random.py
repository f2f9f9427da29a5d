"""Two senders, an operator and bad luck, in any order: nobody gets two, nobody is lost, and the books agree."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
import sqlalchemy as sa
from ledger_steps import DEFERRED, REFUSED, SENT, UNCERTAIN, released

from engine import ledger
from engine.ledger import Claim, Item
from engine.model import CampaignState, JournalProof, MessageState, Outcome
from engine.store import Store
from engine.store.tables import attempt, batch, batch_item, message

MESSAGES, BATCH, WINDOW = 40, 9, 4
TOTALS = ("waiting", "claimed", "sent", "refused", "deferred", "skipped", "uncertain")


class World:
    """The wire, the journals on disk, and who is alive: all that a crash does not take back."""

    def __init__(self, store: Store, at: datetime, seed: int) -> None:
        self.store, self.at, self.random = store, at, Random(seed)
        self.plan_id = released(store, MESSAGES, at, chunk=BATCH)
        self.accepted: Counter[int] = Counter()  # message id -> how often a server took responsibility
        self.journals: dict[tuple[int, int], tuple[set[int], dict[int, Outcome]]] = {}
        self.dead: set[str] = set()
        self.born = 0
        self.senders: dict[str, Iterator[None]] = {}

    def bear(self) -> None:
        self.born += 1
        self.senders[f"s{self.born}"] = self.sender(f"s{self.born}")

    def proof(self, batch_id: int, fence: int, owner: str) -> JournalProof | None:
        kept = self.journals.get((batch_id, fence))
        if owner not in self.dead or kept is None:
            return None
        return JournalProof(handed=frozenset(kept[0]), answered=dict(kept[1]))

    def sender(self, name: str) -> Iterator[None]:
        """A sender that may die at every yield."""
        while True:
            claim = ledger.claim(self.store, name, self.at, proof=self.proof, is_dead=self.dead.__contains__)
            yield
            if claim is not None:
                self.journals[claim.batch_id, claim.fence] = (set(), {})
                yield from self.batch(claim)

    def batch(self, claim: Claim) -> Iterator[None]:
        """Like a pipelining sender: the last answers of a window come with the next, some items are put off."""
        done: list[tuple[Item, Outcome]] = []
        place = 0
        while place < len(claim.items):
            if self.random.random() < 0.1:
                rest = self.postponed(claim, claim.items[place:])
                if rest is None:
                    return self.settle(done)
                claim = rest
                continue
            window = claim.items[place : place + WINDOW]
            late = [one for one in done[-2:] if self.random.random() < 0.5]
            sure = [one for one in done if one not in late]
            if not ledger.advance(self.store, claim, window[-1].ord + 1, sure, self.at):
                return self.settle(done)
            done = late
            yield
            for item in window:
                if self.random.random() < 0.03:
                    # The one after it was taken ahead: some of those in `left` stand before the first not taken.
                    taken = [one.ord for one in window if one.ord >= item.ord][:2]
                    if not ledger.hand_back(self.store, claim, taken[-1] + 1, done, self.at, left=taken):
                        self.settle(done)
                    return None
                yield from self.hand_over(claim, item, done)
            place += len(window)
        if not ledger.finish(self.store, claim, done, self.at):
            self.settle(done)
        return None

    def postponed(self, claim: Claim, items: Sequence[Item]) -> Claim | None:
        later = self.at + timedelta(seconds=self.random.choice([0, 90]))
        return ledger.postpone(self.store, claim, self.random.sample(items, 1), later, "slow")

    def hand_over(self, claim: Claim, item: Item, done: list[tuple[Item, Outcome]]) -> Iterator[None]:
        handed, answered = self.journals[claim.batch_id, claim.fence]
        put_off = self.random.choice([DEFERRED, replace(DEFERRED, retry_at=self.at + timedelta(seconds=30))])
        outcome = self.random.choices([SENT, REFUSED, put_off, UNCERTAIN, ledger.skip("opted_out")], [80, 4, 8, 4, 4])[
            0
        ]
        if outcome.state in (MessageState.SENT, MessageState.UNCERTAIN):
            handed.add(item.ord)
            yield
            is_accepted = outcome.state is MessageState.SENT or self.random.random() < 0.5
            self.accepted[item.message_id] += is_accepted
            yield
        answered[item.ord] = outcome
        done.append((item, outcome))
        yield

    def settle(self, done: list[tuple[Item, Outcome]]) -> None:
        for item, outcome in done:
            ledger.settle(self.store, item, outcome, self.at)

    def crash(self, name: str) -> None:
        self.senders.pop(name)
        self.dead.add(name)
        if self.random.random() < 0.3:  # the journal is lost with the disk, or was never trusted
            with self.store.read() as db:
                held = db.execute(sa.select(batch.c.id, batch.c.fence).where(batch.c.owner == name)).all()
            for one in held:
                self.journals.pop((one.id, one.fence), None)

    def fall_asleep(self, name: str) -> None:
        """The lease runs out while the sender lives on, and goes on as if nothing had been."""
        with self.store.write() as db:
            db.execute(sa.update(batch).where(batch.c.owner == name).values(lease_until=0.0))

    def step(self) -> None:
        while len(self.senders) < 2:
            self.bear()
        name = self.random.choice(sorted(self.senders))
        luck = self.random.random()
        if luck < 0.02:
            self.crash(name)
        elif luck < 0.05:
            self.fall_asleep(name)
        elif luck < 0.06:
            self.at += timedelta(minutes=1)
            if self.random.random() < 0.5:
                ledger.retry_deferred(self.store, self.plan_id, self.at, limit=4)
            else:
                ledger.offer_retries(self.store, self.at, limit=self.random.choice([1, 100]))
        elif luck < 0.07:
            state = self.random.choice([CampaignState.PAUSED, CampaignState.RUNNING])
            ledger.set_state(self.store, "spring", state, "", self.at)
        else:
            next(self.senders[name])

    def come_to_an_end(self) -> None:
        """The operator lets everything run out, and nobody dies any more."""
        ledger.set_state(self.store, "spring", CampaignState.RUNNING, "", self.at)
        for _ in range(3000):
            self.at += timedelta(seconds=1)
            for name in sorted(self.senders):
                next(self.senders[name])
            counts = ledger.counts(self.store, self.plan_id)
            if not counts["waiting"] + counts["claimed"] + counts["deferred"]:
                return
            if not counts["waiting"] + counts["claimed"]:
                ledger.retry_deferred(self.store, self.plan_id, self.at, limit=4)
            with self.store.read() as db:
                owners = set(db.scalars(sa.select(batch.c.owner).where(batch.c.state == "leased")))
            for name in owners - set(self.senders):
                self.fall_asleep(name)
        raise AssertionError(f"never came to an end: {counts}")

    def books_agree(self) -> None:
        counts = ledger.counts(self.store, self.plan_id)
        assert MESSAGES == counts["messages"] == sum(int(counts[name]) for name in TOTALS)  # type: ignore[literal-required]
        assert not [message_id for message_id, times in self.accepted.items() if times > 1]

    def story_holds(self) -> None:
        with self.store.read() as db:
            messages = {row.id: row.state for row in db.execute(sa.select(message.c.id, message.c.state))}
            tries = db.execute(sa.select(attempt).order_by(attempt.c.message_id, attempt.c.n)).all()
            offered = set(map(tuple, db.execute(sa.select(batch_item.c.message_id, batch_item.c.attempt))))
        assert {"sent", "refused", "skipped", "uncertain"} >= set(messages.values())
        for message_id, state in messages.items():
            mine = [row for row in tries if row.message_id == message_id]
            assert [row.n for row in mine] == list(range(1, len(mine) + 1))
            assert {"deferred"} >= {row.state for row in mine[:-1]}
            assert {(message_id, row.n) for row in mine} == {one for one in offered if one[0] == message_id}
            if state != "uncertain":
                assert (state == "sent") == (self.accepted[message_id] == 1)


def live_through(store: Store, at: datetime, seed: int, steps: int) -> World:
    world = World(store, at, seed)
    for step in range(steps):
        world.step()
        if step % 20 == 0:
            world.books_agree()
    world.come_to_an_end()
    world.books_agree()
    world.story_holds()
    return world


@pytest.mark.parametrize("seed", range(5))
def test_whatever_happens_nobody_gets_two_and_nobody_is_lost(store: Store, at: datetime, seed: int) -> None:
    world = live_through(store, at, seed, 250)

    assert world.dead  # or nothing was tried


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 200))
def test_whatever_happens_over_many_lives(store: Store, at: datetime, seed: int) -> None:
    live_through(store, at, seed, 400)
