"""kill -9 a sender at any point: nobody gets two, nobody is lost, and the one in doubt is listed.

Half of the kills come from outside, at some instant; half hit a sender within a database transaction, after a share
of its steps that the seed decides.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest
from fault_trial import DEPTH, Faulty, Trial
from sender_host import SenderHost, Worker
from story_shop import PEOPLE, Shop, people

from engine import pipeline

AT_WORK = 0.1  # seconds within which a sender that holds a batch is killed


@dataclass
class Killer:
    """Two senders at a time: one that will die in a transaction, one that is killed from outside."""

    trial: Trial
    marks: Path
    holding: int = 0  # kills from outside that hit a sender with a batch

    def kill(self, times: int) -> None:
        """In turn from within and from outside."""
        for number in range(times):
            if number % 2:
                self._from_outside()
            else:
                self._from_within()
        self.trial.wait()

    def inside(self) -> int:
        """How many died within a transaction."""
        return len(self.marks.read_text().split())

    def _from_within(self) -> None:
        random, before = self.trial.random, self.inside()
        where = [random.randint(1, 3), random.random(), str(self.marks)]
        while self.inside() == before:  # who finds too little to do ends well, and another one is doomed
            assert self.trial.is_work_left(), "they ran out of messages: plan more"
            doomed = self.trial.start(killed_in_a_write=where)
            while doomed.is_alive():
                self.trial.keep(2)
                doomed.rest(0.002)

    def _from_outside(self) -> None:
        while True:
            assert self.trial.is_work_left(), "they ran out of messages: plan more"
            self.trial.keep(2)
            victims = self.trial.holders()
            if not victims:
                self.trial.alive[0].rest(0.002)
                continue
            victim: Worker = self.trial.random.choice(victims)
            victim.rest(self.trial.random.random() * AT_WORK)
            if victim.kill_if_alive():
                self.holding += self.trial.holders().count(victim)
                return


def killed_and_sent(trial: Trial, tag: str, kills: int) -> None:
    killer = Killer(trial, trial.shop.folder / "marks")
    killer.marks.touch()
    trial.release(tag)

    killer.kill(kills)
    trial.settle()
    trial.server.kill()

    hits = killer.inside() + killer.holding
    account = trial.assert_accounted(
        in_doubt_at_most=DEPTH * hits, kills=kills, in_a_transaction=killer.inside(), holding_a_batch=killer.holding
    )
    assert kills // 2 <= killer.inside()
    assert 0.7 * kills <= hits, "the kills hit nothing"
    found = trial.found()
    assert {1} == {one.attempts for one in found.values()}
    for email in [one for one in found if found[one].state == "uncertain"][:5]:
        assert "uncertain" == pipeline.why(trial.mailer, email, "story", trial.mailer.clock())["state"]
    assert account.messages == account.sent + account.uncertain


def test_senders_killed_at_eight_points_mail_nobody_twice_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial("killed", host, shop, faulty(pause=0.002), capsys)

    killed_and_sent(trial, "all", kills=8)


@pytest.mark.soak
def test_senders_killed_at_two_hundred_points_mail_nobody_twice_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 40_000))
    # The server takes its time: else senders between two kills get through so much that nothing is left for the last.
    trial = Trial("killed", host, shop, faulty(chunking=True, pause=0.001), capsys)

    killed_and_sent(trial, "more", kills=200)
