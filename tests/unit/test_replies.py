"""Every line of the reply table, by a reply that a real server gives."""

import pytest

from engine.model import MessageState
from engine.replies import ROWS, classify, row_for, shortened

# (state, reason), stage, code, text
SAMPLES = [
    ("sent", "", ".", 250, "2.0.0 Ok: queued as 4F2A"),
    ("uncertain", "reply_lost", ".", 421, "4.3.2 Service shutting down"),
    ("uncertain", "reply_lost", ".", 354, "go on"),
    ("deferred", "configuration", "MAIL", 530, "5.7.0 Must issue a STARTTLS command first"),
    ("deferred", "configuration", "AUTH", 535, "5.7.8 Error: authentication failed"),
    ("deferred", "configuration", "MAIL", 550, "5.1.8 Bad sender's system address"),
    ("deferred", "configuration", "RCPT", 553, "5.7.1 <news@a.test>: Sender address rejected: not owned by user x"),
    ("deferred", "configuration", "DATA", 550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),
    ("deferred", "configuration", "RCPT", 554, "5.7.1 <bob@b.test>: Relay access denied"),
    ("refused", "content", "MAIL", 552, "5.3.4 Message size exceeds fixed limit"),
    ("refused", "content", ".", 552, "Message too big for system"),
    ("refused", "blocked", "MAIL", 421, "4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred"),
    ("deferred", "greylisted", "RCPT", 450, "4.2.0 <bob@b.test>: Recipient address rejected: Greylisted"),
    ("deferred", "greylisted", "RCPT", 451, "Graylisting in action"),
    ("deferred", "greylisted", "RCPT", 451, "4.7.1 Please try again later"),
    ("deferred", "blocked", "DATA", 421, "4.7.26 This mail has been rate limited because it is unauthenticated"),
    ("deferred", "blocked", ".", 450, "4.7.32 From: header is not aligned"),
    ("deferred", "throttled", "MAIL", 421, "4.7.0 [TSS04] Messages temporarily deferred"),
    ("deferred", "throttled", "RCPT", 421, "4.7.28 unusual rate of unsolicited mail"),
    ("deferred", "throttled", "RCPT", 452, "4.5.3 Error: too many recipients"),
    ("deferred", "throttled", "RCPT", 450, "4.2.1 The user you are trying to contact is receiving mail too quickly"),
    ("deferred", "throttled", "MAIL", 450, "4.7.1 Error: too much mail from 127.0.0.1"),
    ("deferred", "throttled", "RCPT", 451, "4.3.2 Please try again later"),
    ("deferred", "mailbox_full", "RCPT", 452, "4.2.2 Mailbox full"),
    ("deferred", "mailbox_full", "RCPT", 550, "5.2.2 Over quota"),
    ("deferred", "mailbox_full", ".", 552, "The user's mailbox is full"),
    ("deferred", "mailbox_unavailable", "RCPT", 450, "4.2.1 Mailbox disabled for now"),
    ("refused", "mailbox_unavailable", ".", 550, "5.2.3 Message length exceeds administrative limit"),
    ("refused", "unknown_address", "RCPT", 550, "5.1.1 <bob@b.test>: Recipient address rejected"),
    ("refused", "unknown_address", "RCPT", 556, "5.1.10 Recipient address has null MX"),
    ("refused", "unknown_address", "RCPT", 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
    ("refused", "unknown_address", "RCPT", 550, "5.2.1 The email account that you tried to reach is disabled"),
    ("refused", "unknown_address", "RCPT", 550, "No such user here"),
    ("refused", "unknown_address", "RCPT", 554, "delivery error: This user doesn't exist"),
    ("refused", "doubtful_address", "RCPT", 550, "5.2.1 Mailbox cannot take messages"),
    ("refused", "doubtful_address", "RCPT", 550, "5.7.13 User has moved on"),
    ("refused", "content", ".", 554, "5.6.0 Message refused"),
    ("refused", "content", ".", 552, "5.7.0 This message was blocked because its content presents a security issue"),
    ("refused", "content", ".", 554, "Message rejected: looks like spam"),
    ("refused", "blocked", ".", 550, "5.7.515 Access denied, sending domain does not meet the required level"),
    ("refused", "blocked", "MAIL", 554, "5.7.1 Service unavailable; Client host blocked using zen"),
    ("refused", "blocked", "RCPT", 550, "Your IP has a poor reputation"),
    ("deferred", "configuration", "DATA", 503, "Bad sequence of commands"),
    ("deferred", "configuration", "DATA", 554, "5.5.1 Error: command out of order"),
    ("deferred", "configuration", "MAIL", 550, "not you"),
    ("refused", "doubtful_address", "RCPT", 550, ""),
    ("refused", "doubtful_address", "RCPT", 553, "mailbox name not allowed"),
    ("deferred", "temporary", "RCPT", 451, "4.3.0 Temporary lookup failure"),
    ("deferred", "temporary", "RCPT", 450, "4.4.1 Host not answering"),
    ("refused", "refused", ".", 554, "Transaction failed"),
    ("deferred", "temporary", "RCPT", 299, "what?"),
]


@pytest.mark.parametrize(("state", "reason", "stage", "code", "text"), SAMPLES)
def test_a_reply_means(state: str, reason: str, stage: str, code: int, text: str) -> None:
    outcome = classify(code, text, stage)

    assert (state, reason, stage) == (outcome.state.value, outcome.reason, outcome.stage)


def test_every_row_is_reached_by_a_sample() -> None:
    reached = [row_for(code, text, stage) for _, _, stage, code, text in SAMPLES]

    assert [] == [row for row in ROWS if not any(row is one for one in reached)]


@pytest.mark.parametrize("code", [200, 250, 299, 300, 354, 399, 400, 421, 450, 499, 500, 550, 599])
@pytest.mark.parametrize(
    "text", ["", "user unknown", "5.1.1 no", "4.7.0 later", "greylisted", "sender address rejected"]
)
def test_a_message_counts_as_sent_only_by_2xx_after_the_dot(code: int, text: str) -> None:
    for stage in ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."):
        said = classify(code, text, stage).state

        assert (said is MessageState.SENT) == (stage == "." and 200 <= code < 300)


@pytest.mark.parametrize("code", range(400, 600, 7))
def test_only_the_answer_to_the_dot_can_be_uncertain(code: int) -> None:
    assert all(
        classify(code, "hm", stage).state in (MessageState.REFUSED, MessageState.DEFERRED)
        for stage in ("MAIL", "RCPT", "DATA")
    )


def test_a_kept_reply_is_one_short_line_without_an_address() -> None:
    kept = shortened("550 5.1.1 <bob@example.test>:\r\nRecipient address\x00 rejected, ann@example.test " + "x" * 500)

    assert "550 5.1.1 <<address>>: Recipient address rejected, <address> xxx" == kept[:64]
    assert len(kept) == 200
