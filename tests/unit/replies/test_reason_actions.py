"""What follows from a reason word."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.model import NoticeKind
from engine.replies import ACTIONS, COUNTING, MEANINGS, action_of, has_counted_up, word_of

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


def test_only_an_unknown_address_and_a_complaint_suppress_at_once() -> None:
    assert {"unknown_address", "complaint"} == {word for word, one in ACTIONS.items() if one.address == "suppress"}


def test_a_block_never_touches_the_address_and_pauses_the_destination() -> None:
    action = action_of("blocked")

    assert ("keep", "pause", "count_block") == (action.address, action.destination, action.campaign)


def test_only_our_own_fault_stops_a_campaign_at_once() -> None:
    assert {"configuration"} == {word for word, one in ACTIONS.items() if one.campaign == "stop"}


def test_whatever_is_counted_has_a_counting_rule() -> None:
    assert {word for word, one in ACTIONS.items() if one.address == "count"} == COUNTING.keys()


def test_an_unlisted_word_changes_nothing_but_this_try() -> None:
    action = action_of("stopped")

    assert ("retried", "keep", "none", "none") == (
        action.message,
        action.address,
        action.destination,
        action.campaign,
    )


@pytest.mark.parametrize(
    ("expected", "reason", "hours"),
    [
        (False, "doubtful_address", [0]),
        (False, "doubtful_address", [0, 23.9]),
        (True, "doubtful_address", [0, 24]),
        (True, "doubtful_address", [30, 0]),
        (False, "mailbox_full", [0, 24, 24 * 14]),
        (False, "mailbox_full", [0, 1, 2, 3, 4]),
        (False, "mailbox_full", [0, 1, 2, 3, 24 * 14 - 1]),
        (True, "mailbox_full", [0, 24, 48, 72, 24 * 14]),
        (True, "mailbox_unavailable", [0, 24, 48, 72, 24 * 15, 24 * 16]),
        (False, "blocked", [0, 100, 200, 300, 400, 500, 600]),
        (False, "mailbox_full", []),
    ],
)
def test_an_address_is_suppressed_after_enough_refusals_far_enough_apart(
    expected: bool, reason: str, hours: list[float]
) -> None:
    assert expected == has_counted_up(reason, [NOON + timedelta(hours=one) for one in hours])


@pytest.mark.parametrize(
    ("expected", "kind", "reason"),
    [
        ("suppress", NoticeKind.BOUNCED, "unknown_address"),
        ("count", NoticeKind.BOUNCED, "doubtful_address"),
        ("count", NoticeKind.BOUNCED, "mailbox_full"),
        ("retry", NoticeKind.BOUNCED, "greylisted"),
        ("throttle", NoticeKind.BOUNCED, "throttled"),
        ("block", NoticeKind.BOUNCED, "blocked"),
        ("block", NoticeKind.BOUNCED, "content"),
        ("ignore", NoticeKind.BOUNCED, "refused"),
        ("complaint", NoticeKind.COMPLAINED, "complaint"),
        ("complaint", NoticeKind.COMPLAINED, ""),
        ("ignore", NoticeKind.DELAYED, "unknown_address"),
        ("ignore", NoticeKind.AUTO_REPLY, "auto_reply"),
        ("ignore", NoticeKind.UNKNOWN, ""),
        ("ignore", NoticeKind.DELIVERED, ""),
    ],
)
def test_one_word_says_what_a_returned_mail_does(expected: str, kind: NoticeKind, reason: str) -> None:
    assert expected == word_of(kind, reason)


def test_every_reason_word_is_said_in_words_of_its_own() -> None:
    assert ACTIONS.keys() == MEANINGS.keys()
    assert len(MEANINGS) == len(set(MEANINGS.values()))
