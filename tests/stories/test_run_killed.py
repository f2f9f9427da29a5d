"""Whoever of `mailer run` is killed, whenever: the others go on or end in order, nobody is lost, nobody gets two."""

import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from running_shop import Run, running, until
from sink import Sink
from story_shop import Shop, address, in_state, standings

from engine.model import MessageState

SOME = {address(n) for n in range(120)}


@dataclass
class Slow:
    """Every answer to a dot waits until the test lets it go, once `at` mails were taken."""

    sink: Sink
    at: int
    let_go: threading.Event = field(default_factory=threading.Event)

    def __call__(self, stage: str, _recipient: str) -> None:
        if stage == "." and len(self.sink.offered) > self.at:
            self.let_go.wait(60)

    def is_reached(self) -> bool:
        return len(self.sink.offered) > self.at


@pytest.fixture
def slow(sink: Sink) -> Iterator[Slow]:
    """From the 31st mail on: in the middle of the second window of 20."""
    slow = Slow(sink, 30)
    sink.answers = slow
    yield slow
    slow.let_go.set()


@pytest.fixture
def run(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> Iterator[Run]:
    with running(sqlite_shop, tmp_path, sink.port) as run:
        yield run


def test_children_that_are_killed_are_started_again_and_their_work_goes_on(run: Run, sink: Sink, slow: Slow) -> None:
    plan = run.shop.released("some")
    run.start()
    web, sender = run.child("web"), run.child("sender-1")
    until(slow.is_reached, "nothing goes out")
    until(run.is_answering, "the pages don't answer")

    run.kill("sender-1")
    run.kill("web")
    slow.let_go.set()
    until(lambda: run.pid("sender-1") != sender, "the sender is not started again")
    until(lambda: len(sink.offered) >= 120, "its batch is not taken over")
    until(lambda: run.pid("web") != web and run.is_answering(), "the pages are not started again")
    run.child("web"), run.child("sender-1")
    run.signal(signal.SIGINT)

    assert 0 == run.wait()
    assert [] == run.living_children()
    found = standings(run.shop.open(), plan)
    uncertain = in_state(found, MessageState.UNCERTAIN)
    assert {1} == set(sink.recipients().values())
    assert in_state(found, MessageState.SENT) | uncertain == SOME
    assert len(uncertain) == 1, "the one between dot and answer"
    assert "child_died name=sender-1 code='-9' again_in_seconds=1" in run.said()


def test_when_the_parent_is_killed_its_children_end_and_the_next_run_goes_on(run: Run, sink: Sink, slow: Slow) -> None:
    plan = run.shop.released("some")
    run.start()
    run.child("web"), run.child("sender-1")
    until(slow.is_reached, "nothing goes out")
    until(run.is_answering, "the pages don't answer")

    run.signal(signal.SIGKILL)
    run.wait()
    until(lambda: run.said().count("parent_gone") == 2, "nobody notices")
    slow.let_go.set()
    until(lambda: not run.living_children(), "children live on without their parent")
    sent_by_then = len(sink.taken)
    run.start()
    until(lambda: len(sink.taken) == 120, "the next run does not go on")
    run.signal(signal.SIGTERM)

    assert 0 == run.wait()
    assert sent_by_then < 120, "they ended in order, but they did end"
    assert dict.fromkeys(SOME, 1) == sink.recipients()
    assert in_state(standings(run.shop.open(), plan), MessageState.SENT) == SOME


def test_a_second_signal_waits_for_no_answer(run: Run, sink: Sink, slow: Slow) -> None:
    plan = run.shop.released("some")
    run.start()
    run.child("web"), run.child("sender-1")
    until(slow.is_reached, "nothing goes out")

    run.signal(signal.SIGTERM)
    until(lambda: "run_stopping" in run.said(), "it does not stop")
    run.signal(signal.SIGTERM)

    assert 0 == run.wait(8), "it waits for the answer in flight"
    assert [] == run.living_children()
    found = standings(run.shop.open(), plan)
    assert 1 == len(in_state(found, MessageState.UNCERTAIN))
    assert 89 == len(in_state(found, MessageState.PLANNED))
