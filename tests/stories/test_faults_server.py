"""A server that does everything wrong that a server can: everybody gets one, or a true reason why not."""

from pathlib import Path

import pytest
from fault_trial import DEPTH, Faulty, Trial
from faulty_server import AT_BODY, AT_CONNECT, AT_DOT, AT_MAIL, AT_RCPT, DOUBTFUL
from mail_servers import certificate
from sender_host import SenderHost
from story_shop import PEOPLE, Shop, people

PATIENCE = 1.5  # seconds that the sender waits for an answer
DIALECTS = {
    "plain": {"pipelining": False},
    "pipelining": {},
    "chunking": {"chunking": True},
}
FAULTS = (*AT_CONNECT, *AT_MAIL, *AT_RCPT, *AT_BODY, *AT_DOT)
RARE = ("going", "closing", "kept_silent")  # a throttle slows everything down, as it should; silence takes its time


def gone_wrong(trial: Trial, tag: str, senders: int, tls: str = "required") -> None:
    """Two rounds in which all goes wrong that can; then the server is as it should be."""
    trial.release(tag, timeout=PATIENCE, tls=tls)

    trial.until(lambda: not trial.is_work_left(), senders)
    trial.wait()
    trial.server.restart(faults={})
    trial.settle()

    met = trial.server.faults()
    lost = sum(met[one] for one in DOUBTFUL)
    account = trial.assert_accounted(faults=sum(met.values()), lost_answers=lost)
    assert lost <= account.uncertain <= lost + met["torn"], "one for each lost answer"
    assert len(met) > len(FAULTS) * 2 / 3, f"only {set(met)} were met"
    assert 1 < max(one.attempts for one in trial.found().values()), "nobody was tried again"


@pytest.mark.parametrize(
    ("shop", "dialect"), [("sqlite", "plain"), ("postgresql", "pipelining"), ("sqlite", "chunking")], indirect=["shop"]
)
def test_whatever_a_server_does_wrong_nobody_gets_two_and_nobody_is_lost(
    host: SenderHost, shop: Shop, faulty: Faulty, tmp_path: Path, capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    certificate(tmp_path)
    server = faulty(
        faults=dict.fromkeys(FAULTS, 0.03) | dict.fromkeys(RARE, 0.01),
        certificate=str(tmp_path / "server.pem"),
        silence=2 * PATIENCE,
        **DIALECTS[dialect],
    )
    gone_wrong(Trial(f"server at fault ({dialect})", host, shop, server, capsys), "some", senders=2)


@pytest.mark.parametrize("dialect", ["pipelining", pytest.param("plain", marks=pytest.mark.soak)])
def test_also_where_a_mail_goes_in_one_write(
    host: SenderHost, sqlite_shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    faults = dict.fromkeys(FAULTS, 0.03) | dict.fromkeys(RARE, 0.01)
    del faults["no_tls"]  # under TLS there is no such write
    server = faulty(faults=faults, silence=2 * PATIENCE, **DIALECTS[dialect])

    trial = Trial(f"server at fault ({dialect}, no TLS)", host, sqlite_shop, server, capsys)
    gone_wrong(trial, "some", senders=2, tls="off")


@pytest.mark.soak
@pytest.mark.parametrize("dialect", DIALECTS)
def test_whatever_a_server_does_wrong_ten_thousand_times(
    host: SenderHost, shop: Shop, faulty: Faulty, tmp_path: Path, capsys: pytest.CaptureFixture[str], dialect: str
) -> None:
    certificate(tmp_path)
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 10_000))
    server = faulty(
        faults=dict.fromkeys(FAULTS, 0.01) | dict.fromkeys(RARE, 0.0005),
        certificate=str(tmp_path / "server.pem"),
        silence=2 * PATIENCE,
        **DIALECTS[dialect],
    )
    gone_wrong(Trial(f"server at fault ({dialect})", host, shop, server, capsys), "more", senders=2)


def killed_and_restarted(trial: Trial, tag: str, times: int) -> None:
    trial.release(tag)
    random, total, killed = trial.random, trial.open()["waiting"], 0

    for reached in sorted(random.sample(range(5, total * 9 // 10), times)):
        trial.until(lambda reached=reached: trial.server.count() >= reached)
        if not trial.alive:
            break  # who is in doubt was not taken, and does not come again
        trial.alive[0].rest(random.random() * 0.01)
        trial.server.kill()
        trial.alive[0].rest(random.random() * 0.3)  # now and then the senders give up meanwhile
        trial.server.start()
        killed += 1
    trial.settle()

    trial.assert_accounted(in_doubt_at_most=2 * DEPTH * killed, times_killed=killed)
    assert killed > times * 3 / 4


def test_a_server_killed_and_started_again_loses_nobody_and_doubles_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    killed_and_restarted(Trial("server killed", host, shop, faulty(chunking=True), capsys), "all", times=3)


@pytest.mark.soak
def test_a_server_killed_two_hundred_times_loses_nobody_and_doubles_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 8_000))
    killed_and_restarted(Trial("server killed", host, shop, faulty(chunking=True), capsys), "more", times=200)
