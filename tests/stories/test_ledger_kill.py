"""Senders and operators that are killed: what was handed over stands on the wire, once, and nobody is lost.

The wire is a file to which every hand-over is appended: what a server would have taken responsibility for.
"""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from itertools import repeat
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from random import Random

import pytest
import sqlalchemy as sa

from engine import delivery, ledger
from engine.errors import Refused
from engine.ledger import Claim, Item
from engine.links import Keys
from engine.model import EntryState, MessageState, Outcome, PlanEntry
from engine.store import Store, upgrade
from engine.store.tables import contact, message, suppression

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two characters"
SENT = Outcome(state=MessageState.SENT, reply="250 ok", stage="data")


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that start within milliseconds, so that a kill hits a sender and not an import."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["engine.delivery", "engine.ledger", "engine.store"])
    return context


class DoomedKeys(Keys):
    """Kills its process when so many delivery ids were made."""

    def __init__(self, lives: int) -> None:
        super().__init__(SECRET)
        self._lives = lives

    def delivery_id(self, campaign: str, occurrence: str, contact_id: int) -> str:
        """The id, or the end."""
        self._lives -= 1
        if self._lives < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().delivery_id(campaign, occurrence, contact_id)


def people(store: Store, number: int) -> list[int]:
    for start in range(0, number, 1000):
        names = [f"p{i}@shop.test" for i in range(start, min(start + 1000, number))]
        with store.write() as db:
            db.execute(sa.insert(contact), [{"email": one, "address_key": one, "created_at": AT} for one in names])
    with store.read() as db:
        return list(db.scalars(sa.select(contact.c.id).order_by(contact.c.id)))


def entries(ids: list[int]) -> Iterator[PlanEntry]:
    for one in ids:
        yield PlanEntry(
            contact_id=one,
            email=None,
            state=EntryState.MESSAGE,
            variant="a",
            language="en",
            template_hash="t1",
            context={"given_name": f"No. {one}", "picks": ["a product with a longer name"] * 20},
        )


def drafted(store: Store, ids: list[int]) -> int:
    header = ledger.PlanHeader(campaign="spring", occurrence="once", at=AT, definition={})
    return ledger.freeze(store, header, entries(ids))


def send(url: str, folder: Path, lives: int) -> None:
    """A sender process. It kills itself after so many steps; 0 lets it live."""
    store, steps = Store(url), iter(range(lives)) if lives else repeat(0)
    owner, proof = delivery.owner_name(), partial(delivery.trusted_journal, folder / "journal")
    wire = os.open(folder / "wire", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def step() -> None:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)

    while claim := ledger.claim(store, owner, AT, proof=proof, is_dead=delivery.is_dead):
        send_batch(store, folder / "journal", claim, wire, step)
    store.close()


def send_batch(store: Store, journals: Path, claim: Claim, wire: int, step: Callable[[], None]) -> None:
    journal = delivery.Journal(journals, claim.batch_id, claim.fence)
    done: list[tuple[Item, Outcome]] = []
    if len(claim.items) > 40:  # some are put off to a batch of their own
        step()
        rest = ledger.postpone(store, claim, claim.items[::40], AT)
        step()
        if rest is None:
            return
        claim = rest
    for window in ledger.windows(claim, lambda: 20):
        step()
        if not ledger.advance(store, claim, window[-1].ord + 1, done, AT, "wire"):
            break
        done = []
        for item in window:
            step()
            journal.handing_over(item.ord)
            step()
            os.write(wire, f"{item.delivery_id}\n".encode())
            step()
            journal.answered(item.ord, SENT)
            done.append((item, SENT))
    else:
        step()
        ledger.finish(store, claim, done, AT, "wire")
        step()
    journal.finish()


def handed_over(folder: Path) -> list[str]:
    path = folder / "wire"
    return path.read_text().split() if path.exists() else []


def start(processes: ForkServerContext, target: Callable[..., None], *args: object) -> ForkServerProcess:
    process = processes.Process(target=target, args=args)
    process.start()
    return process


def kill_senders(processes: ForkServerContext, url: str, folder: Path, kills: int, seed: int) -> int:
    """Two senders at a time, each killed at a random point; gives the number that died in the middle of sending."""
    random, died = Random(seed), 0
    while died < kills:
        doomed = [start(processes, send, url, folder, random.randrange(5, 250)) for _ in range(2)]
        victim, reach = random.choice(doomed), len(handed_over(folder)) + random.randrange(1, 60)
        while victim.is_alive() and len(handed_over(folder)) < reach:
            victim.join(0.001)
        if random.random() < 0.5 and victim.pid is not None and victim.is_alive():
            os.kill(victim.pid, signal.SIGKILL)  # from outside: in the middle of a transaction, too
        for one in doomed:
            one.join()
        died += sum(one.exitcode == -signal.SIGKILL for one in doomed)
        assert any(one.exitcode == -signal.SIGKILL for one in doomed), "they ran out of messages: plan more"
    return died


def killed_and_resumed(
    processes: ForkServerContext, url: str, folder: Path, kills: int, number: int, seed: int
) -> None:
    store = Store(url)
    plan_id = drafted(store, people(store, number))
    ledger.release(store, plan_id, AT, Keys(SECRET), chunk=100)

    died = kill_senders(processes, url, folder, kills, seed)
    last = start(processes, send, url, folder, 0)
    last.join()

    assert 0 == last.exitcode
    wire = handed_over(folder)
    with store.read() as db:
        state = dict(map(tuple, db.execute(sa.select(message.c.delivery_id, message.c.state))))
    sent = {one for one, said in state.items() if said == "sent"}
    uncertain = {one for one, said in state.items() if said == "uncertain"}
    assert len(wire) == len(set(wire)), "somebody got two"
    assert {"sent", "uncertain"} >= set(state.values())
    assert sent <= set(wire)
    assert set(state) == set(wire) | uncertain, "somebody is lost"
    assert number == len(sent) + len(uncertain) == ledger.counts(store, plan_id)["messages"]
    assert len(uncertain) <= died, "more than the one message in the gap between dot and answer"
    assert len(uncertain) == ledger.counts(store, plan_id)["uncertain"]
    store.close()


def test_senders_killed_at_ten_points_mail_nobody_twice_and_lose_nobody(
    processes: ForkServerContext, store_url: str, tmp_path: Path
) -> None:
    killed_and_resumed(processes, store_url, tmp_path, kills=10, number=1500, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_senders_killed_at_fifty_points_mail_nobody_twice_and_lose_nobody(
    processes: ForkServerContext, store_url: str, tmp_path: Path, seed: int
) -> None:
    killed_and_resumed(processes, store_url, tmp_path, kills=50, number=7000, seed=seed)


def freeze_until_killed(url: str, ids: list[int], lives: int) -> None:
    def doomed() -> Iterator[PlanEntry]:
        for place, one in enumerate(entries(ids)):
            if place == lives:
                os.kill(os.getpid(), signal.SIGKILL)
            yield one

    ledger.freeze(Store(url), ledger.PlanHeader(campaign="spring", occurrence="once", at=AT, definition={}), doomed())


def test_a_freeze_killed_in_the_middle_leaves_no_plan_to_release(processes: ForkServerContext, store_url: str) -> None:
    store = Store(store_url)
    ids = people(store, 1200)

    victim = start(processes, freeze_until_killed, store_url, ids, 1100)
    victim.join()

    assert -signal.SIGKILL == victim.exitcode
    (left,) = ledger.plans_of(store)
    assert 1000 == sum(1 for _ in ledger.entries_of(store, left.id))
    with pytest.raises(Refused, match="not complete"):
        ledger.release(store, left.id, AT, Keys(SECRET))
    assert 1200 == ledger.release(store, drafted(store, ids), AT, Keys(SECRET))
    store.close()


def release_until_killed(url: str, plan_id: int, lives: int) -> None:
    ledger.release(Store(url), plan_id, AT, DoomedKeys(lives), chunk=100)


def test_a_release_killed_in_the_middle_keeps_its_occurrence_and_is_completed(
    processes: ForkServerContext, store_url: str
) -> None:
    store = Store(store_url)
    ids = people(store, 1000)
    plan_id, second = drafted(store, ids), drafted(store, ids)

    victim = start(processes, release_until_killed, store_url, plan_id, 450)
    victim.join()

    assert -signal.SIGKILL == victim.exitcode
    assert ledger.claim(store, "me", AT) is None
    with pytest.raises(Refused, match=f"as plan {plan_id}"):
        ledger.release(store, second, AT, Keys(SECRET))
    assert [plan_id] == ledger.finish_releases(store, Keys(SECRET), chunk=100)
    assert 1000 == ledger.counts(store, plan_id)["waiting"]
    assert ledger.claim(store, "me", AT) is not None
    store.close()


def release_or_be_refused(url: str, plan_id: int, folder: Path) -> None:
    store = Store(url)
    while not (folder / "go").exists():
        time.sleep(0)
    try:
        said = str(ledger.release(store, plan_id, AT, Keys(SECRET), chunk=50))
    except Refused:
        said = "refused"
    (folder / f"said.{plan_id}").write_text(said)


def test_of_two_operators_releasing_at_once_in_two_processes_one_wins(
    processes: ForkServerContext, store_url: str, tmp_path: Path
) -> None:
    store = Store(store_url)
    ids = people(store, 300)
    plans = [drafted(store, ids) for _ in range(2)]

    operators = [start(processes, release_or_be_refused, store_url, one, tmp_path) for one in plans]
    (tmp_path / "go").touch()
    for one in operators:
        one.join()

    assert ["300", "refused"] == sorted((tmp_path / f"said.{one}").read_text() for one in plans)
    with store.read() as db:
        assert 300 == db.scalar(sa.select(sa.func.count()).select_from(message))
    store.close()


def freeze_and_release(url: str, ids: list[int]) -> None:
    store = Store(url)
    ledger.release(store, drafted(store, ids), AT, Keys(SECRET))


def test_an_unsubscribe_never_waits_a_second_for_a_plan_of_twenty_thousand(
    processes: ForkServerContext, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'mailer.db'}"
    upgrade(url)
    store = Store(url)
    operator = start(processes, freeze_and_release, url, people(store, 20_000))
    longest = writes = 0.0

    while operator.is_alive():
        begun = time.monotonic()
        with store.write() as db:
            db.execute(sa.insert(suppression), {"address_hash": f"h{writes}", "reason": "unsubscribed", "at": AT})
        longest = max(longest, time.monotonic() - begun)
        writes += 1
        operator.join(0.005)

    assert 0 == operator.exitcode
    assert writes > 50  # they did meet
    assert longest < 1.0
    store.close()
