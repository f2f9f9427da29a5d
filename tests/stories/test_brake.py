"""Too much comes back: the campaign pauses itself, says why, and goes on only when somebody has looked."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sink import Sink
from story_shop import Shop, address, agreed, in_state, quiet, standings

from engine import ledger, pipeline
from engine.cli.app import run
from engine.errors import Refused
from engine.model import CampaignState, MessageState, Notice, NoticeKind
from engine.pipeline import Mailer

ALL = 620
SOME = 120
BLOCKED = "550 5.7.1 blocked for its bad reputation"
NOBODY = "550 5.1.1 no such user"
SPAM = "554 5.6.0 looks like spam to filter {}"
REFUSED_FOR_SAFETY = 4  # the exit code


def limits(shop: Shop, **keys: float) -> None:
    """[limits.brake] with these keys."""
    path = shop.folder / "config.toml"
    text = path.read_text().partition("[limits.brake]")[0]
    path.write_text(text + "[limits.brake]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items()))


def refusing(sink: Sink, share: float, reply: str, stage: str = "RCPT") -> None:
    """The server refuses this share of the people, evenly spread."""

    def answers(at: str, recipient: str) -> str | None:
        number = int("".join(one for one in recipient.partition("@")[0] if one.isdigit()) or 0)
        is_one = int((number + 1) * share) > int(number * share)
        return reply.format(number) if at == stage and is_one else None

    sink.answers = answers


def send(shop: Shop, tag: str = "some", occurrence: str = "once") -> tuple[Mailer, pipeline.Sent]:
    mailer = shop.open()
    return mailer, pipeline.send(mailer, shop.campaign(tag), None, occurrence, mailer.clock(), agreed, quiet)


def standing(mailer: Mailer) -> ledger.Standing:
    found = ledger.state_of(mailer.store, "story")
    assert found is not None
    return found


def test_a_campaign_to_nobody_stops_within_its_first_windows(
    shop: Shop, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.configure(sink.port)
    refusing(sink, 1, NOBODY)
    mailer, sent = send(shop, "all")

    assert CampaignState.PAUSED is standing(mailer).state
    assert re.match(
        r"the brake: (\d+) of \1 \(100.00%\) messages went to addresses where nobody", standing(mailer).reason
    )
    refused = in_state(standings(mailer, sent.plan_id), MessageState.REFUSED)
    assert 10 <= len(refused) <= 200
    assert ALL - len(refused) == sent.counts["waiting"]
    assert "is paused (the brake: " in sent.notes[-1]
    worries = pipeline.status(mailer, mailer.clock())["worries"]
    assert [True] == [one.startswith("story is paused: the brake: ") for one in worries if "brake" in one]

    # Nobody lets it go on by mistake.
    pipeline.send_due(mailer, pipeline.Stop())
    left_alone = pipeline.resume(mailer, None, None, quiet)
    assert "story is left alone. the brake: " in left_alone.notes[0]
    for line in (
        "resume story",
        "resume story --because ' '",
        "campaign start story",
        "send story --occurrence b --yes",
    ):
        capsys.readouterr()
        assert REFUSED_FOR_SAFETY == run(["--workspace", str(shop.folder), *shlex.split(line)])
        told = capsys.readouterr().err
        assert "story paused itself" in told
        assert "(100.00%)" in told
        assert '--because "WHAT YOU FOUND"' in told
    assert len(refused) == len(in_state(standings(mailer, sent.plan_id), MessageState.REFUSED))

    # Somebody has looked: it goes on, and is not stopped again for what was before.
    sink.answers = lambda _stage, _recipient: None
    assert 0 == run(["--workspace", str(shop.folder), "resume", "story", "--because", "reverse DNS was missing"])
    assert ALL - len(refused) == len(sink.taken)
    steps = pipeline.why(mailer, address(0), "story", mailer.clock())["steps"]
    story = [(step["what"], step["value"].partition("UTC: ")[2]) for step in steps if step["what"].startswith("story")]
    assert ("story running", "resumed after the brake: reverse DNS was missing") == story[-1]
    assert "story paused" == story[-2][0]


def test_a_send_that_the_brake_ends_is_cut_off(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    sink.answers = lambda stage, to: NOBODY if stage == "RCPT" else None

    _, sent = send(sqlite_shop, "all")

    assert sent.cut_off
    assert any("messages wait: story is paused (the brake: " in one for one in sent.notes)


def test_a_campaign_that_is_resumed_stops_again_when_nothing_has_changed(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    refusing(sink, 1, NOBODY)
    mailer, _ = send(sqlite_shop, "all")

    resumed = pipeline.resume(mailer, "story", None, quiet, "I hope for the best")

    assert standing(mailer).is_braked
    assert resumed.counts["waiting"]


def test_a_server_that_says_the_same_of_every_mail_stops_the_campaign(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    limits(sqlite_shop, blocked=0)
    refusing(sink, 0.3, SPAM, stage=".")
    mailer, _ = send(sqlite_shop, "all")

    assert "refused for their content, in the same words: looks like spam to filter" in standing(mailer).reason


def test_a_few_dead_addresses_stop_nobody(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    refusing(sink, 0.04, NOBODY)
    mailer, sent = send(sqlite_shop)

    assert CampaignState.ENDED is standing(mailer).state
    assert SOME == sent.counts["sent"] + sent.counts["refused"]


# ---------------------------------------------------------------- every key of [limits.brake]


@pytest.mark.parametrize(("key", "reply"), [("refused", NOBODY), ("blocked", BLOCKED)])
@pytest.mark.parametrize(("limit", "stops"), [(0.5, False), (0.1, True), (0, False)])
def test_the_share_from_which_it_stops_is_set_by_the_owner(
    sqlite_shop: Shop, sink: Sink, key: str, reply: str, limit: float, stops: bool
) -> None:
    sqlite_shop.configure(sink.port)
    limits(sqlite_shop, minimum=10, **{key: limit})
    refusing(sink, 0.2, reply)
    mailer, _ = send(sqlite_shop, "all" if stops else "some")

    assert stops is standing(mailer).is_braked


@pytest.mark.parametrize(("minimum", "stops"), [(10, True), (121, False)])
def test_no_share_is_believed_before_the_owners_minimum(
    sqlite_shop: Shop, sink: Sink, minimum: int, stops: bool
) -> None:
    sqlite_shop.configure(sink.port)
    limits(sqlite_shop, minimum=minimum)
    refusing(sink, 0.2, BLOCKED)
    mailer, _ = send(sqlite_shop, "all" if stops else "some")

    assert stops is standing(mailer).is_braked


Complain = Callable[[int], None]


@pytest.fixture
def complain(sqlite_shop: Shop, sink: Sink) -> tuple[Mailer, Complain]:
    """120 have got the campaign, the next occurrence of it waits for its hour; and a way to complain of the first."""
    sqlite_shop.configure(sink.port)
    mailer, sent = send(sqlite_shop)
    found = standings(mailer, sent.plan_id)
    file = sqlite_shop.folder / "campaigns" / "story.toml"
    file.write_text(file.read_text().replace('"now"', '"2040-01-01T09:00"'))
    pipeline.send(mailer, "story", None, "next", mailer.clock(), agreed, quiet)
    assert CampaignState.RUNNING is standing(mailer).state

    def complain(number: int) -> None:
        delivery_id = found[address(number)].message_id
        notice = Notice(kind=NoticeKind.COMPLAINED, delivery_id=delivery_id, source="mailbox", notice_id=str(number))
        settings = pipeline.open_mailer(sqlite_shop.folder)
        try:
            pipeline.apply_notice(replace(mailer, settings=settings.settings), notice, mailer.clock())
        finally:
            settings.store.close()

    return mailer, complain


def test_complaints_stop_the_next_occurrence_too(sqlite_shop: Shop, complain: tuple[Mailer, Complain]) -> None:
    mailer, one_more = complain
    limits(sqlite_shop, minimum=100, complaints=0.02, complaints_warn=0)
    for number in (1, 2):
        one_more(number)
    assert CampaignState.RUNNING is standing(mailer).state

    one_more(3)

    assert "the brake: 3 of 120 (2.50%) messages brought a complaint (limit 2.00%) (plan 1)" == standing(mailer).reason


def test_the_words_stand_beside_the_campaign_while_it_runs(
    sqlite_shop: Shop, complain: tuple[Mailer, Complain]
) -> None:
    mailer, one_more = complain
    limits(sqlite_shop, minimum=100, complaints=0.001)
    one_more(1)
    assert standing(mailer).is_braked

    pipeline.resume(sqlite_shop.open(), "story", None, quiet, "the list was bought")
    pipeline.tick(sqlite_shop.open())

    (row,) = [one for one in pipeline.campaign_rows(mailer) if one["name"] == "story"]
    assert ("running", "resumed after the brake: the list was bought") == (row["state"], row["reason"])
    (shown,) = pipeline.status(mailer, mailer.clock())["campaigns"]
    assert row["reason"] == shown["reason"]


def test_a_forged_complaint_moves_no_brake(sqlite_shop: Shop, complain: tuple[Mailer, Complain]) -> None:
    mailer, _ = complain
    limits(sqlite_shop, minimum=1, complaints=0.001)
    for number in range(5):
        forged = Notice(kind=NoticeKind.COMPLAINED, recipient=address(number), source="mailbox", notice_id=str(number))
        assert pipeline.Effect.OPTED_OUT is pipeline.apply_notice(sqlite_shop.open(), forged, mailer.clock()).effect
    pipeline.tick(sqlite_shop.open())

    assert CampaignState.RUNNING is standing(mailer).state


def test_a_warning_is_told_once_and_stands_in_the_status(
    sqlite_shop: Shop,
    complain: tuple[Mailer, Complain],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.pipeline.worrying._SLOW_LOOK_SECONDS", 0.0)  # as on a machine that is busy
    monkeypatch.setattr("engine.pipeline.worrying._SHARE_OF_A_CORE", 10_000)
    mailer, one_more = complain
    limits(sqlite_shop, minimum=100, complaints=0.9, complaints_warn=0.01)
    caplog.set_level("WARNING", "mailer.brake")
    one_more(1)
    assert [] == caplog.messages

    for number in (2, 3):
        one_more(number)
    pipeline.tick(sqlite_shop.open())

    assert 1 == sum("campaign_warned campaign=story" in one for one in caplog.messages)
    now = sqlite_shop.open()
    said = "story: 3 of 120 (2.50%) messages brought a complaint (warned from 1.00%) (plan 1)"
    assert said in pipeline.status(now, now.clock())["worries"]
    assert said not in pipeline.status(now, now.clock() + timedelta(days=8))["worries"]
    assert CampaignState.RUNNING is standing(mailer).state


def test_the_clock_brakes_what_no_sender_and_no_notice_has_seen(
    sqlite_shop: Shop, complain: tuple[Mailer, Complain]
) -> None:
    mailer, one_more = complain
    one_more(1)
    limits(sqlite_shop, minimum=100, complaints=0.001)

    pipeline.tick(sqlite_shop.open())

    assert standing(mailer).is_braked


def test_a_campaign_paused_by_hand_stays_so(sqlite_shop: Shop, complain: tuple[Mailer, Complain]) -> None:
    mailer, one_more = complain
    limits(sqlite_shop, minimum=100, complaints=0.001)
    pipeline.set_campaign_state(mailer, "story", "paused", "paused by hand: lunch", mailer.clock())

    one_more(1)

    assert "paused by hand: lunch" == standing(mailer).reason


@pytest.mark.parametrize("reason", ["paused by hand: lunch", "the server refuses our mail: 530 log in first"])
def test_another_pause_does_not_take_the_brake_off(sqlite_shop: Shop, sink: Sink, reason: str) -> None:
    sqlite_shop.configure(sink.port)
    refusing(sink, 1, NOBODY)
    mailer, _ = send(sqlite_shop, "all")
    braked = standing(mailer)

    for _ in range(2):
        ledger.set_state(mailer.store, "story", CampaignState.PAUSED, reason, mailer.clock() + timedelta(days=3))

    assert replace(braked, reason=f"{braked.reason}; {reason}") == standing(mailer)
    with pytest.raises(Refused, match="paused itself"):
        pipeline.resume(mailer, "story", None, quiet)


def test_a_brake_that_comes_while_the_operator_is_asked_stays_on(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer, name = sqlite_shop.open(), sqlite_shop.campaign("few")

    def agreed_late(_made: pipeline.Planned) -> None:
        ledger.set_state(mailer.store, name, CampaignState.PAUSED, f"{ledger.BRAKED}complaints", mailer.clock())

    sent = pipeline.send(mailer, name, None, "once", mailer.clock(), agreed_late, quiet)

    assert (0, 25, []) == (sent.counts["sent"], sent.counts["waiting"], sink.taken)
    assert standing(mailer).is_braked


def test_a_brake_that_the_last_message_pulls_holds_the_next_occurrence(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    refusing(sink, 1, NOBODY)
    mailer, sent = send(sqlite_shop, "few")
    assert 25 == sent.counts["refused"]
    assert "story is paused (the brake: " in sent.notes[-1]

    assert standing(mailer).is_braked
    with pytest.raises(Refused, match="paused itself"):
        send(sqlite_shop, "few", "next")
