"""A server refuses us, or is not there: `mailer run` pauses or waits, says why, and goes on once it is mended."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from running_shop import Run, running, until
from sink import Sink
from story_shop import Shop, address, standings

from engine import pipeline
from engine.cli.app import run as mailer_command
from engine.model import CampaignState, MessageState

FEW = {address(n) for n in range(25)}


@pytest.fixture
def run(sqlite_shop: Shop, sink: Sink, tmp_path: Path) -> Iterator[Run]:
    with running(sqlite_shop, tmp_path, sink.port) as run:
        yield run


def test_a_refused_login_pauses_the_campaign_until_it_is_mended(
    run: Run, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    sink.answers = lambda stage, _recipient: "535 5.7.8 wrong password" if stage == "AUTH" else None
    (run.shop.folder / "password").write_text("guessed")
    run.shop.configure(sink.port, login='username = "shop"\npassword_file = "password"', web=run.web)
    plan, workspace = run.shop.released("few"), ("--workspace", str(run.shop.folder))
    run.start()

    def standing() -> tuple[str, str]:
        row = run.status()["campaigns"][0]
        return row["state"], row["reason"]

    until(lambda: bool(run.status()["campaigns"]) and standing()[0] == CampaignState.PAUSED, "it is not paused")
    assert "refuses the login (535 5.7.8 wrong password)" in standing()[1]
    assert 5 == mailer_command(["status", "--format", "json", *workspace])
    assert "story is paused: the server refuses our mail" in capsys.readouterr().err
    assert {MessageState.PLANNED} == {one.state for one in standings(run.shop.open(), plan).values()}
    assert [] == sink.offered

    # Mended in the file alone: the sender that lives must see it.
    run.shop.configure(sink.port, web=run.web)
    assert 0 == mailer_command(["campaign", "start", "story", *workspace])
    until(lambda: len(sink.taken) == 25, "it does not go on")
    until(lambda: standing()[0] == CampaignState.ENDED, "it does not end")
    assert dict.fromkeys(FEW, 1) == sink.recipients()
    assert [] == run.status()["worries"]
    run.signal(signal.SIGTERM)
    assert 0 == run.wait()


def test_an_unreachable_server_is_told_and_tried_again(run: Run, sink: Sink) -> None:
    sink.stop()
    plan = run.shop.released("few")
    run.start()

    until(lambda: bool(run.status()["troubles"]), "status does not tell")
    (trouble,) = run.status()["troubles"]
    assert f"transport 'main': 127.0.0.1:{sink.port} can't be used: Connection refused" in trouble
    assert {MessageState.PLANNED} == {one.state for one in standings(run.shop.open(), plan).values()}

    sink.start()
    until(lambda: len(sink.taken) == 25, "it does not go on")
    until(lambda: run.status()["troubles"] == [], "the trouble does not end")
    run.signal(signal.SIGTERM)
    assert 0 == run.wait()
    assert dict.fromkeys(FEW, 1) == sink.recipients()


def test_status_tells_what_is_late_and_exits_with_5(
    sqlite_shop: Shop, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.configure(sink.port)
    sqlite_shop.released("few")
    mailer = sqlite_shop.open()
    pipeline.beat(mailer, "worker")
    line = ["status", "--workspace", str(sqlite_shop.folder), "--format", "json"]

    assert 0 == mailer_command(line)
    later = mailer.clock().replace(year=mailer.clock().year + 1).isoformat()
    assert 5 == mailer_command([*line, "--at", later])
    assert "25 messages of story are due since" in capsys.readouterr().err
