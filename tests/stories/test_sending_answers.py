"""What the server says to one message, and what to all: try again, never again, or stop and call somebody."""

import pytest
from sink import Sink
from story_shop import Shop, address, agreed, in_state, quiet, standings

from engine import ledger, pipeline
from engine.cli.app import run
from engine.errors import TransportRefused
from engine.model import CampaignState, MessageState

FEW = 25
UNFINISHED = 5  # the exit code
LOGIN = 'username = "shop"\npassword_env = "STORY_PASSWORD"'


def test_what_was_put_off_is_tried_again_with_the_same_message_id_and_only_that(
    shop: Shop, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure(sink.port)
    shop.campaign("few")
    put_off = {("RCPT", address(3)), ("DATA", address(4)), (".", address(5)), (".", address(6))}
    sink.answers = lambda *at: "450 4.2.0 greylisted, try again later" if at in put_off else None

    code = run(["--workspace", str(shop.folder), "send", "story", "--yes"])

    assert (UNFINISHED, {address(n) for n in range(FEW)} - {to for _, to in put_off}) == (code, set(sink.recipients()))
    assert '"deferred":4' in capsys.readouterr().out.replace(" ", "")
    mailer, first = shop.open(), {one.recipient: one.message_id for one in sink.offered}
    before, sink.answers = len(sink.offered), lambda _stage, _recipient: None
    resumed = pipeline.resume(mailer, None, None, quiet)

    assert (FEW, 0) == (resumed.counts["sent"], resumed.counts["deferred"])
    assert {to for _, to in put_off} == {one.recipient for one in sink.offered[before:]}
    assert {first[address(5)], first[address(6)]} <= {one.message_id for one in sink.offered[before:]}
    assert dict.fromkeys(first, 1) | dict.fromkeys((address(3), address(4)), 1) == sink.recipients()
    found = standings(mailer, resumed.plan_id)
    assert {to for _, to in put_off} == {email for email, one in found.items() if one.attempts == 2}
    assert {1, 2} == {one.attempts for one in found.values()}


def test_a_refusal_is_final(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer = shop.open()
    refusals = {("RCPT", address(3)): "550 5.1.1 no such mailbox", (".", address(4)): "554 5.7.1 spam"}
    sink.answers = lambda *at: refusals.get(at)

    sent = pipeline.send(mailer, shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)
    again = pipeline.resume(mailer, "story", None, quiet)

    assert (FEW - 2, 2, 0) == (sent.counts["sent"], sent.counts["refused"], sent.counts["deferred"])
    assert "refused: 1 blocked, 1 unknown_address" in sent.notes
    assert "  unknown_address: there is no such mailbox" in sent.notes
    told = pipeline.why(mailer, address(3), "story", mailer.clock())
    assert ("refused", "unknown_address") == (told["state"], told["reason"])
    assert "is refused: there is no such mailbox." in told["answer"]
    assert sent.counts == again.counts
    found = standings(mailer, sent.plan_id)
    assert {address(3), address(4)} == in_state(found, MessageState.REFUSED)
    assert {1} == {one.attempts for one in found.values()}
    assert {address(n) for n in range(FEW)} - {address(3)} == {one.recipient for one in sink.offered}


def assert_paused_and_resumed(shop: Shop, sink: Sink, reason: str, sent: pipeline.Sent) -> None:
    """Nobody is lost, nobody is blamed, the campaign says why it waits, and goes on when somebody says so."""
    mailer = shop.open()
    standing = ledger.state_of(mailer.store, "story")
    assert standing is not None
    assert CampaignState.PAUSED is standing.state
    assert reason in standing.reason
    assert reason in sent.notes[0]
    assert (10, 15, 0, 0) == tuple(sent.counts[key] for key in ("sent", "waiting", "deferred", "refused"))
    assert sent.cut_off
    pipeline.send_due(mailer, pipeline.Stop())  # a worker that comes by leaves it alone
    assert 10 == len(sink.taken)

    sink.answers = lambda _stage, _recipient: None
    assert FEW == pipeline.resume(mailer, "story", None, quiet).counts["sent"]
    assert {1} == set(sink.recipients().values())
    assert {1} == {one.attempts for one in standings(mailer, sent.plan_id).values()}


def test_a_server_that_wants_a_login_all_of_a_sudden_pauses_the_campaign(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer = shop.open()

    def answers(stage: str, _recipient: str) -> str | None:
        return "530 5.7.0 authentication required" if stage == "MAIL" and len(sink.taken) == 10 else None

    sink.answers = answers
    sent = pipeline.send(mailer, shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)

    assert_paused_and_resumed(shop, sink, "530 5.7.0 authentication required", sent)


def test_a_login_that_is_refused_on_the_way_pauses_the_campaign(
    sqlite_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORY_PASSWORD", "open sesame")
    sqlite_shop.configure(sink.port, login=LOGIN)
    mailer = sqlite_shop.open()

    def answers(stage: str, _recipient: str) -> str | None:
        if stage == "MAIL" and len(sink.taken) == 10:
            return "421 4.3.2 closing, come back"
        return "535 5.7.8 wrong password" if stage == "AUTH" and sink.taken else None

    sink.answers = answers
    sent = pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)

    assert_paused_and_resumed(sqlite_shop, sink, "refuses the login (535 5.7.8 wrong password)", sent)


def test_a_login_that_is_refused_at_the_start_is_found_before_anything_is_released(
    sqlite_shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORY_PASSWORD", "open sesame")
    sqlite_shop.configure(sink.port, login=LOGIN)
    mailer = sqlite_shop.open()
    sink.answers = lambda stage, _recipient: "535 5.7.8 wrong password" if stage == "AUTH" else None

    with pytest.raises(TransportRefused, match="refuses the login"):
        pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)

    assert [] == ledger.plans_of(mailer.store, "story")
