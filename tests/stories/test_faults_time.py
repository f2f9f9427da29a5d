"""Senders that sleep past their lease, clocks that jump, operators who all press at once: still one each."""

import signal
import time
from pathlib import Path

import pytest
from fault_trial import DEPTH, Faulty, Trial
from running_shop import running, until
from sender_host import SenderHost
from story_shop import PEOPLE, Shop, people

LEASE = 0.5  # seconds, instead of sixty
HOUR = 3600.0


def put_to_sleep(trial: Trial, tag: str, times: int) -> int:
    """Two senders; again and again one that holds a batch sleeps past its lease. Gives how often one did hold one."""
    trial.release(tag)
    slept = 0
    while slept < times:
        assert trial.is_work_left(), f"they ran out of messages after {slept} sleeps: plan more"
        trial.keep(2, lease=[LEASE])
        holders = trial.holders()
        if not holders:
            trial.alive[0].rest(0.002)
            continue
        sleeper = trial.random.choice(holders)
        sleeper.rest(trial.random.random() * 0.1)
        if not sleeper.is_alive():
            continue
        sleeper.signal(signal.SIGSTOP)
        if sleeper in trial.holders():
            slept += 1
            time.sleep(LEASE * (1.1 + trial.random.random() / 2))
            trial.keep(3, lease=[LEASE])  # somebody awake, to take its batch over
            time.sleep(0.1)
        sleeper.signal(signal.SIGCONT)
    trial.until(lambda: False, lease=[LEASE])
    trial.settle()
    return slept


def test_senders_that_sleep_past_their_lease_double_nobody_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = Trial("asleep", host, shop, faulty(pause=0.008), capsys)

    slept = put_to_sleep(trial, "all", times=3)

    trial.assert_accounted(in_doubt_at_most=DEPTH * slept, times_asleep=slept)


@pytest.mark.soak
def test_senders_that_sleep_a_hundred_times_double_nobody_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 40_000))
    trial = Trial("asleep", host, shop, faulty(pause=0.01, chunking=True), capsys)

    slept = put_to_sleep(trial, "more", times=100)

    trial.assert_accounted(in_doubt_at_most=DEPTH * slept, times_asleep=slept)


# ---------------------------------------------------------------- the clock


def clock_stepped(trial: Trial, tag: str) -> None:
    """The senders' clocks go back by an hour, forth by a day and back by a week, every few looks."""
    trial.release(tag)
    jumps = [0.0, -HOUR, 24 * HOUR, -7 * 24 * HOUR, 5.0]
    for every in (7, 30, 150):
        trial.start(clock_jumps=[every, jumps])
        trial.start(clock_jumps=[every, jumps[::-1]])
        trial.wait()
    trial.until(lambda: False)
    trial.settle()

    account = trial.assert_accounted(in_doubt_at_most=0)
    assert account.messages == account.sent


def test_clocks_that_jump_double_nobody_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    clock_stepped(Trial("clock stepped", host, shop, faulty(), capsys), "all")


@pytest.mark.soak
def test_clocks_that_jump_in_a_long_send_double_nobody_and_lose_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 8_000))
    clock_stepped(Trial("clock stepped", host, shop, faulty(), capsys), "more")


# ---------------------------------------------------------------- the operators


def all_at_once(trial: Trial, tag: str, folder: Path, hasty: int) -> None:
    """While `mailer run` sends, two operators release at the same moment, and others resume what goes out."""
    together = folder / "together"
    together.mkdir()
    with running(trial.shop, folder, trial.server.port) as run:
        trial.shop.campaign(tag)
        run.start()
        until(lambda: run.processes().get("worker") == 1, "no sender lives")
        send = {"campaign": "story", "together": str(together)}
        operators = [trial.host.start("send", trial.shop.folder, **send) for _ in range(2)]
        until(lambda: trial.server.count() > 0, "nothing goes out")
        operators += [trial.host.start("resume", trial.shop.folder, campaign="story") for _ in range(hasty)]
        said = [one.wait() for one in operators]
        until(lambda: run.status()["campaigns"][0]["state"] == "ended", "the campaign does not end", seconds=600)
        run.signal(signal.SIGTERM)
        assert 0 == run.wait()
    assert ["Refused"] == [one["fault"] for one in said if "fault" in one]
    trial.plan = next(one["plan"] for one in said if "plan" in one)

    account = trial.assert_accounted(in_doubt_at_most=0, operators=len(said) + 1)
    assert account.messages == account.sent


def test_of_operators_who_all_press_at_once_nobody_gets_two(
    host: SenderHost, sqlite_shop: Shop, faulty: Faulty, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    all_at_once(Trial("all at once", host, sqlite_shop, faulty(), capsys), "all", tmp_path, hasty=2)


@pytest.mark.soak
def test_of_twelve_operators_who_all_press_at_once_nobody_gets_two(
    host: SenderHost, shop: Shop, faulty: Faulty, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 8_000))
    all_at_once(Trial("all at once", host, shop, faulty(), capsys), "more", tmp_path, hasty=10)
