"""`mailer run` sends what was released, at its hour, and nothing else; it starts, tells, and stops in order."""

import json
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest
from running_shop import campaign_at, in_seconds, running, seconds_to_plan, until
from sink import Sink
from story_shop import PEOPLE, Shop, address, agreed, quiet, standings

from engine import audience, ledger, pipeline
from engine.cli.app import run as mailer_command
from engine.model import CampaignState, MessageState, PlanState


@pytest.mark.parametrize("shop", ["postgresql"], indirect=True)
def test_what_was_released_goes_out_at_its_hour_and_not_before(
    shop: Shop, sink: Sink, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first: list[datetime] = []
    sink.answers = lambda stage, _recipient: first.append(datetime.now(UTC)) if stage == "MAIL" else None
    with running(shop, tmp_path, sink.port, connections=2) as run:
        shop.campaign("all", name="never_released")
        run.start()
        until(run.is_answering, "the pages don't answer")
        until(lambda: run.processes() == {"run": 1, "worker": 2, "web": 1}, "not everybody lives")
        for name in ("web", "sender-1", "sender-2"):
            run.child(name)

        shop.configure(sink.port, web=run.web)  # `send` itself with one connection: it starts no processes then
        hour = in_seconds(4 + 3 * seconds_to_plan(shop, "few"))
        campaign_at(shop, "few", hour)
        code = mailer_command(["send", "story", "--yes", "--workspace", str(shop.folder), "--format", "json"])
        told = capsys.readouterr()
        mailer = shop.open()
        audience.opt_out(mailer.store, mailer.keys, 1, mailer.clock(), "test", mailer.settings.state_dir)
        assert (0, 25, 0) == (code, json.loads(told.out)["waiting"], len(sink.offered))
        assert "a sender is running" in told.err

        until(lambda: len(sink.taken) == 24, "it did not go out")
        until(lambda: run.status()["campaigns"][0]["state"] == CampaignState.ENDED, "the campaign does not end")
        run.signal(signal.SIGTERM)
        assert 0 == run.wait()
        assert [] == run.living_children()
    assert min(first) >= hour
    (plan,) = ledger.plans_of(mailer.store, "story")
    found = standings(mailer, plan.id)
    assert {1} == set(sink.recipients().values())
    assert (MessageState.SKIPPED, "opted_out") == (found[address(0)].state, found[address(0)].reason)
    assert [] == [email for email in (address(n) for n in range(PEOPLE)) if email in run.said()]
    assert {} == run.processes()
    assert ["story"] == [one.campaign for one in ledger.plans_of(mailer.store, state=PlanState.RELEASED)]


def test_send_with_no_sender_alive_names_mailer_run(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer = sqlite_shop.open()
    campaign_at(sqlite_shop, "few", in_seconds(3600))

    sent = pipeline.send(mailer, "story", None, "once", mailer.clock(), agreed, quiet)

    assert "no sender is running: start `mailer run`" in sent.notes[-1]
    assert ["messages wait, but no sender lives: start `mailer run`"] == pipeline.status(mailer, mailer.clock())[
        "worries"
    ]
    assert [] == sink.offered
