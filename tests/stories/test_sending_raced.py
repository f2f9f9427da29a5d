"""Two operators type `mailer send` at the same moment: one campaign goes out, once."""

from pathlib import Path

import pytest
from sender_host import SenderHost
from sink import Sink
from story_shop import Shop, address, quiet

from engine import ledger, pipeline
from engine.model import PlanState

SOME = 120
REFUSED = 4  # the exit code


@pytest.fixture
def at_once(tmp_path: Path) -> Path:
    """Where the operators meet just before they release."""
    (tmp_path / "together").mkdir()
    return tmp_path / "together"


def test_of_two_operators_sending_a_campaign_at_once_one_is_refused_and_nobody_gets_two(
    host: SenderHost, shop: Shop, sink: Sink, at_once: Path
) -> None:
    shop.configure(sink.port)
    shop.campaign("some")

    operators = [host.start("send", shop.folder, campaign="story", together=str(at_once)) for _ in range(2)]
    first, second = sorted((one.wait() for one in operators), key=lambda said: "fault" in said)

    assert SOME == first["counts"]["sent"]
    assert ("Refused", REFUSED) == (second["fault"], second["exit_code"])
    assert "mailer resume" in second["message"]
    assert dict.fromkeys(map(address, range(SOME)), 1) == sink.recipients()
    assert 1 == len(ledger.plans_of(shop.open().store, "story", PlanState.RELEASED))


def test_of_two_operators_sending_the_same_plan_at_once_one_is_refused_and_nobody_gets_two(
    host: SenderHost, sqlite_shop: Shop, sink: Sink, at_once: Path
) -> None:
    sqlite_shop.configure(sink.port)
    mailer = sqlite_shop.open()
    made = pipeline.make_plan(mailer, sqlite_shop.campaign("some"), mailer.clock(), "once", quiet)

    operators = [
        host.start("send", sqlite_shop.folder, campaign="story", plan=made.plan_id, together=str(at_once))
        for _ in range(2)
    ]
    first, second = sorted((one.wait() for one in operators), key=lambda said: "fault" in said)

    assert (made.plan_id, SOME) == (first["plan"], first["counts"]["sent"])
    assert ("Refused", REFUSED) == (second["fault"], second["exit_code"])
    assert dict.fromkeys(map(address, range(SOME)), 1) == sink.recipients()
