"""A server goes away, a sender sleeps, an operator presses Ctrl-C: nobody is lost, nobody gets two, and it goes on."""

import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import Command, Commands
from sender_host import SenderHost
from sink import AT_ONCE, Sink
from story_shop import Shop, address, agreed, in_state, quiet, standings

from engine import ledger, pipeline
from engine.errors import TransportUnavailable
from engine.model import CampaignState, MessageState, PlanState
from engine.pipeline import Mailer
from engine.store.tables import batch, message, release

SOME = 120
EVERYBODY = {address(n) for n in range(SOME)}
UNFINISHED = 5  # the exit code


@dataclass
class Held:
    """The server takes its time over the answer to somebody's mail, until the test lets go."""

    sink: Sink
    recipients: set[str]
    is_held: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, stage: str, recipient: str) -> None:
        if stage == "." and recipient in self.recipients:
            self.is_held.release()
            self.let_go.wait(60)

    def wait(self) -> None:
        """Until the mail, or the next of them, is held."""
        assert self.is_held.acquire(timeout=60)


@pytest.fixture
def held(sink: Sink) -> Iterator[Held]:
    """At the 31st mail: in the middle of the second window of 20."""
    held = Held(sink, {address(30)})
    sink.answers = held
    yield held
    held.let_go.set()


def assert_everybody_has_one(sink: Sink) -> None:
    assert dict.fromkeys(EVERYBODY, 1) == sink.recipients()


# ---------------------------------------------------------------- the server


def test_a_server_that_goes_down_ends_the_send_with_a_note_and_resume_finishes(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer = sqlite_shop.open()

    def goes_down(stage: str, recipient: str) -> str | None:
        if (stage, recipient) == ("RCPT", address(50)):
            sink.go_down()
            return AT_ONCE
        return None

    sink.answers = goes_down
    sent = pipeline.send(mailer, sqlite_shop.campaign("some"), None, "once", mailer.clock(), agreed, quiet)

    assert (50, SOME - 50, 0) == (sent.counts["sent"], sent.counts["waiting"], sent.counts["uncertain"])
    assert sent.cut_off
    assert f"127.0.0.1:{sink.port} can't be used" in sent.notes[0]
    assert "70 messages have not gone out; `mailer resume story` goes on, nobody gets two" == sent.notes[1]
    standing = ledger.state_of(mailer.store, "story")
    assert standing is not None
    assert CampaignState.RUNNING is standing.state, "only a refusal waits for a person; a worker tries again"
    sink.stop()
    sink.answers = lambda _stage, _recipient: None
    sink.start()
    assert SOME == pipeline.resume(mailer, "story", None, quiet).counts["sent"]
    assert_everybody_has_one(sink)


def test_a_server_that_is_down_at_the_start_is_found_before_anything_is_released(sqlite_shop: Shop, sink: Sink) -> None:
    sink.stop()
    sqlite_shop.configure(sink.port)
    mailer = sqlite_shop.open()

    with pytest.raises(TransportUnavailable, match=rf"127\.0\.0\.1:{sink.port} can't be used.*whether the server runs"):
        pipeline.send(mailer, sqlite_shop.campaign("some"), None, "once", mailer.clock(), agreed, quiet)

    with mailer.store.read() as db:
        assert [0, 0] == [db.scalar(sa.select(sa.func.count()).select_from(one)) for one in (release, message)]
    sink.start()


# ---------------------------------------------------------------- a sender that sleeps


def test_a_sender_that_sleeps_past_its_lease_hands_over_nothing_more_and_its_late_answer_counts(
    host: SenderHost, shop: Shop, sink: Sink, held: Held
) -> None:
    shop.configure(sink.port)
    plan, mailer = shop.released("some"), shop.open()
    sleeper = host.start("send_due", shop.folder, plan=plan, hardships={"lease": [1.0]})

    held.wait()
    sleeper.signal(signal.SIGSTOP)
    granted = granted_to_its_holder(mailer)
    wait_for_the_lease_to_run_out(mailer)
    pipeline.send_due(mailer, pipeline.Stop(), plan)

    # Its window (from the 21st on) is in doubt as long as it sleeps, and the last two before it, whose answers came
    # when the window was granted already; all others have their mail.
    window = {address(n) for n in range(18, granted)}
    assert window == in_state(standings(mailer, plan), MessageState.UNCERTAIN)
    assert EVERYBODY - window == in_state(standings(mailer, plan), MessageState.SENT)

    held.let_go.set()
    sleeper.signal(signal.SIGCONT)
    assert {} == sleeper.wait()

    # It knows how its own eleven ended, and that it never handed over those after them.
    found = standings(mailer, plan)
    assert {address(n) for n in range(31, granted)} == in_state(found, MessageState.DEFERRED)
    assert {"taken_over"} == {one.reason for one in found.values() if one.state is MessageState.DEFERRED}
    assert SOME - (granted - 31) == len(in_state(found, MessageState.SENT))
    assert SOME == pipeline.resume(mailer, "story", None, quiet).counts["sent"]
    assert_everybody_has_one(sink)


def granted_to_its_holder(mailer: Mailer) -> int:
    """How many of the one batch under way its sender may hand over: windows are as long as the sender is fast."""
    with mailer.store.read() as db:
        hi = db.scalars(sa.select(batch.c.hi).where(batch.c.state == "leased")).one()
    assert 31 < hi <= SOME
    return int(hi)


def wait_for_the_lease_to_run_out(mailer: Mailer) -> None:
    left = sa.select(batch.c.lease_until - mailer.store.epoch_now()).where(batch.c.state == "leased")
    while True:
        with mailer.store.read() as db:
            seconds = db.scalar(left)
        assert seconds is not None
        if seconds < 0:
            return
        time.sleep(seconds + 0.01)  # the database's clock decides


# ---------------------------------------------------------------- Ctrl-C


def test_ctrl_c_waits_for_the_answer_in_flight_and_hands_over_nothing_new(
    sqlite_shop: Shop, sink: Sink, held: Held, commands: Commands
) -> None:
    sqlite_shop.configure(sink.port)
    sqlite_shop.campaign("some")

    command = commands.type(sqlite_shop.folder, "send", "story", "--yes")
    held.wait()
    command.press_ctrl_c()
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(0.5)
    held.let_go.set()
    code, counts, said = command.end()

    assert (UNFINISHED, 31, 0, SOME - 31) == (code, counts["sent"], counts["uncertain"], counts["waiting"])
    assert 31 == len(sink.taken)
    assert "89 messages have not gone out; `mailer resume story` goes on, nobody gets two" in said
    assert SOME == pipeline.resume(sqlite_shop.open(), "story", None, quiet).counts["sent"]
    assert_everybody_has_one(sink)


def two_at_work(shop: Shop, sink: Sink, held: Held, commands: Commands) -> tuple[int, Command]:
    """A plan, and the command that sends it over two connections: each has one mail on its way."""
    shop.configure(sink.port, connections=2)
    plan = shop.released("some", chunk=60)
    held.recipients |= {address(90)}
    command = commands.type(shop.folder, "resume", str(plan))
    held.wait()
    held.wait()
    return plan, command


def test_ctrl_c_twice_does_not_wait_and_says_whose_answer_is_lost(
    sqlite_shop: Shop, sink: Sink, held: Held, commands: Commands
) -> None:
    """With two connections: each has one mail on its way, and the second Ctrl-C reaches both."""
    plan, command = two_at_work(sqlite_shop, sink, held, commands)

    command.press_ctrl_c()
    with pytest.raises(subprocess.TimeoutExpired):
        command.process.wait(1)
    began = time.monotonic()
    command.press_ctrl_c()
    code, counts, said = command.end()

    assert time.monotonic() - began < 8, "it waited as after one Ctrl-C"
    assert (UNFINISHED, 2, 60) == (code, counts["uncertain"], counts["sent"])
    assert "58 messages have not gone out; `mailer resume story` goes on, nobody gets two" in said
    mailer = sqlite_shop.open()
    assert held.recipients == in_state(standings(mailer, plan), MessageState.UNCERTAIN)
    held.let_go.set()
    sqlite_shop.configure(sink.port)
    assert SOME - 2 == pipeline.resume(mailer, "story", None, quiet).counts["sent"]
    assert_everybody_has_one(sink)


def test_senders_end_with_their_command(sqlite_shop: Shop, sink: Sink, held: Held, commands: Commands) -> None:
    """Killed, it passes no Ctrl-C on any more: who went on would be stopped by nobody."""
    plan, command = two_at_work(sqlite_shop, sink, held, commands)

    os.kill(command.process.pid, signal.SIGKILL)
    command.process.communicate(timeout=60)  # the senders have its pipes open, as long as they live

    found = standings(sqlite_shop.open(), plan)
    assert held.recipients == in_state(found, MessageState.UNCERTAIN)
    assert (60, 58) == tuple(len(in_state(found, one)) for one in (MessageState.SENT, MessageState.PLANNED))


def wait_for_one_sender_of(parent: int) -> None:
    """Until just one of the spawned processes lives."""
    children = Path(f"/proc/{parent}/task/{parent}/children")
    until = time.monotonic() + 60
    while time.monotonic() < until:
        lines = [Path(f"/proc/{pid}/cmdline") for pid in children.read_text().split()]
        if 1 == sum(b"spawn_main" in line.read_bytes() for line in lines if line.exists()):
            return
        time.sleep(0.02)
    raise AssertionError("the second sender never ended")


def test_a_sender_that_dies_beside_another_is_told_and_resume_takes_its_batch_over(
    host: SenderHost, sqlite_shop: Shop, sink: Sink, held: Held
) -> None:
    sqlite_shop.configure(sink.port, connections=2)
    sqlite_shop.campaign("some")
    mailer = sqlite_shop.open()

    operator = host.start("send", sqlite_shop.folder, campaign="story")
    held.wait()
    wait_for_one_sender_of(operator.pid)  # the other one found nothing to do; still loading, it would take over
    with mailer.store.read() as db:
        owner = db.scalars(sa.select(batch.c.owner).where(batch.c.state == "leased")).one()
    os.kill(int(owner.split("|")[2]), signal.SIGKILL)
    held.let_go.set()
    said = operator.wait()

    assert "1 of 2 senders died (exit code -9)" == said["notes"][0]
    assert re.fullmatch(
        r"\d+ messages have not gone out; `mailer resume story` goes on, nobody gets two", said["notes"][-1]
    )
    sqlite_shop.configure(sink.port)
    resumed = pipeline.resume(mailer, "story", None, quiet)
    assert (SOME - 1, 1) == (resumed.counts["sent"], resumed.counts["uncertain"])
    assert_everybody_has_one(sink)


def test_resume_takes_over_from_a_killed_command_at_once(
    sqlite_shop: Shop, sink: Sink, held: Held, commands: Commands
) -> None:
    sqlite_shop.configure(sink.port)
    sqlite_shop.campaign("some")

    command = commands.type(sqlite_shop.folder, "send", "story", "--yes")
    held.wait()
    command.kill()
    held.let_go.set()
    mailer, began = sqlite_shop.open(), time.monotonic()
    resumed = pipeline.resume(mailer, None, None, quiet)

    assert time.monotonic() - began < ledger.LEASE_SECONDS / 2
    assert (SOME - 1, 1) == (resumed.counts["sent"], resumed.counts["uncertain"])
    assert {address(30)} == in_state(standings(mailer, resumed.plan_id), MessageState.UNCERTAIN)
    assert Counter({1: SOME}) == Counter(sink.recipients().values())
    assert [PlanState.RELEASED] == [one.state for one in ledger.plans_of(mailer.store, "story")]
