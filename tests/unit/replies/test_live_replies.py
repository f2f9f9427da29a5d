"""Every line of the table of live replies, by what real servers say."""

import time

import pytest

from engine.model import MessageState
from engine.replies import ACTIONS, ROWS, action_of, classify, row_for

# (state, reason), stage, code, text
SAMPLES = [
    ("sent", "", ".", 250, "2.0.0 Ok: queued as 4F2A"),
    ("uncertain", "reply_lost", ".", 421, "4.3.2 Service shutting down"),
    ("uncertain", "reply_lost", ".", 354, "go on"),
    # ours
    ("deferred", "configuration", "MAIL", 530, "5.7.0 Must issue a STARTTLS command first"),
    ("deferred", "configuration", "AUTH", 535, "5.7.8 Error: authentication failed"),
    ("deferred", "configuration", "AUTH", 554, "5.7.0 Login failed"),
    ("deferred", "configuration", "MAIL", 554, "5.7.11 Encryption required for requested authentication mechanism"),
    ("deferred", "configuration", "MAIL", 550, "5.1.8 Bad sender's system address"),
    ("deferred", "configuration", "RCPT", 553, "5.7.1 <news@a.test>: Sender address rejected: not owned by user x"),
    ("deferred", "configuration", "RCPT", 554, "5.7.1 <news@a.test>: Sender address rejected: Domain not found"),
    ("deferred", "configuration", "DATA", 550, "5.7.60 SMTP; Client does not have permissions to send as this sender"),
    ("deferred", "configuration", "MAIL", 553, "Mail from must equal authorized user"),
    ("deferred", "configuration", "MAIL", 550, "Invalid sender domain"),
    ("deferred", "configuration", "RCPT", 554, "5.7.1 <bob@b.test>: Relay access denied"),
    ("deferred", "configuration", "RCPT", 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    ("deferred", "throttled", "MAIL", 550, "5.4.5 Daily user sending quota exceeded. x-20020a17 - gsmtp"),
    # Yahoo's never
    ("refused", "blocked", "MAIL", 421, "4.7.1 [TS03] All messages from 192.0.2.1 will be permanently deferred"),
    ("refused", "blocked", "MAIL", 553, "5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred"),
    # the size
    ("refused", "content", "MAIL", 552, "5.3.4 Message size exceeds fixed limit"),
    ("refused", "content", ".", 552, "Message too big for system"),
    ("refused", "content", "MAIL", 534, "SIZE=Message too big."),
    ("refused", "mailbox_unavailable", ".", 550, "5.2.3 Message length exceeds administrative limit"),
    # 4xx about us
    ("deferred", "blocked", "DATA", 421, "4.7.26 This mail has been rate limited because it is unauthenticated"),
    ("deferred", "blocked", ".", 450, "4.7.32 From: header is not aligned"),
    ("deferred", "blocked", ".", 451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited (S3113)"),
    ("deferred", "blocked", "RCPT", 450, "Client host blocked using zen.spamhaus.test"),
    # greylisting
    ("deferred", "greylisted", "RCPT", 450, "4.2.0 <bob@b.test>: Recipient address rejected: Greylisted, see help"),
    ("deferred", "greylisted", "RCPT", 451, "Graylisting in action"),
    ("deferred", "greylisted", "RCPT", 451, "4.7.1 Please try again later"),
    (
        "deferred",
        "greylisted",
        "RCPT",
        451,
        "4.7.1 Sorry, the service is currently unavailable. Please come back later.",
    ),
    (
        "deferred",
        "greylisted",
        "RCPT",
        451,
        "Internal resources are temporarily unavailable - https://mimecast.test/451",
    ),
    # slower
    ("deferred", "throttled", "MAIL", 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"),
    ("deferred", "throttled", "RCPT", 421, "4.7.28 unusual rate of unsolicited mail"),
    ("deferred", "throttled", "RCPT", 452, "4.5.3 Error: too many recipients"),
    ("deferred", "throttled", "RCPT", 552, "too many recipients"),
    ("deferred", "throttled", "RCPT", 450, "4.2.1 The user you are trying to contact is receiving mail too quickly"),
    (
        "deferred",
        "throttled",
        "RCPT",
        550,
        "5.2.1 The user is receiving mail at a rate that prevents additional messages",
    ),
    ("deferred", "throttled", "MAIL", 550, "Ip frequency limited. http://service.mail.qq.test/495"),
    ("deferred", "throttled", "MAIL", 450, "4.7.1 Error: too much mail from 127.0.0.1"),
    ("deferred", "throttled", "RCPT", 451, "4.3.2 Please try again later"),
    ("deferred", "throttled", "MAIL", 451, "4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)"),
    ("deferred", "throttled", ".", 451, "RP:CEL http://mail.163.test/help/help_spam_16.htm"),
    # the mailbox, for now
    ("deferred", "temporary", "RCPT", 452, "4.3.1 Insufficient system storage"),
    ("deferred", "mailbox_full", "RCPT", 452, "4.2.2 Mailbox full"),
    ("deferred", "mailbox_full", "RCPT", 452, "<bob@b.test> Mailbox size limit exceeded"),
    ("refused", "mailbox_full", "RCPT", 550, "5.2.2 Over quota"),
    ("refused", "mailbox_full", ".", 552, "The user's mailbox is full"),
    ("refused", "mailbox_full", "RCPT", 552, "Requested mail action aborted: exceeded storage allocation"),
    ("refused", "mailbox_full", "RCPT", 552, "5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417"),
    ("deferred", "mailbox_unavailable", "RCPT", 450, "4.2.1 Mailbox disabled for now"),
    ("refused", "mailbox_unavailable", ".", 550, "5.2.0 Mailbox has a problem"),
    # who we are
    ("refused", "blocked", ".", 550, "5.7.515 Access denied, sending domain a.test does not meet the required level"),
    ("refused", "blocked", ".", 550, "5.7.26 This mail has been blocked because the sender is unauthenticated"),
    ("refused", "blocked", "RCPT", 554, "5.7.1 Client host rejected: cannot find your reverse hostname"),
    ("refused", "blocked", "RCPT", 550, "Sender verify failed"),
    # nobody
    ("refused", "unknown_address", "RCPT", 550, "5.1.1 <bob@b.test>: Recipient address rejected: User unknown"),
    ("refused", "unknown_address", "RCPT", 550, "5.1.1 <bob@b.test>: Recipient address rejected"),
    ("refused", "unknown_address", "RCPT", 556, "5.1.10 Recipient address has null MX"),
    ("refused", "unknown_address", "RCPT", 550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)"),
    (
        "refused",
        "unknown_address",
        "RCPT",
        550,
        "5.2.1 The email account that you tried to reach is disabled. x - gsmtp",
    ),
    ("refused", "unknown_address", "RCPT", 550, "No such user here"),
    ("refused", "unknown_address", "RCPT", 550, "5.1.1 The email account that you tried to reach does 5.1.1 not exist"),
    (
        "refused",
        "unknown_address",
        "RCPT",
        554,
        "delivery error: dd This user doesn't have a yahoo.test account (bob) [0]",
    ),
    ("refused", "unknown_address", "RCPT", 550, "Requested action not taken: mailbox unavailable"),
    ("refused", "unknown_address", "RCPT", 550, "5.1.1 Adresse d au moins un destinataire invalide. OFR_416"),
    ("refused", "unknown_address", "RCPT", 550, "Message was not accepted -- invalid mailbox. user not found"),
    ("refused", "unknown_address", "RCPT", 550, "Not our Customer"),
    ("refused", "unknown_address", "RCPT", 550, "Benutzer unbekannt"),
    ("refused", "unknown_address", "RCPT", 550, "Mailbox not found. http://service.mail.qq.test/1"),
    ("refused", "unknown_address", "RCPT", 550, "Invalid Recipient - https://community.mimecast.test/docs#550"),
    ("refused", "doubtful_address", "RCPT", 550, "5.2.1 Mailbox cannot take messages"),
    ("refused", "doubtful_address", "RCPT", 550, "5.7.13 Owner has moved on"),
    ("refused", "doubtful_address", "RCPT", 554, "This account is temporarily locked"),
    ("refused", "refused", "RCPT", 554, "5.4.6 <bob@b.test>: mail for b.test loops back to myself"),
    # us again, or the message
    ("refused", "content", ".", 554, "5.6.0 Message refused"),
    ("refused", "content", ".", 552, "5.7.0 This message was stopped because of what it carries"),
    ("refused", "content", ".", 554, "Message rejected: looks like spam"),
    ("refused", "content", ".", 550, "5.2.0 Mail rejete. Mail rejected. OFR_506 [506]"),
    ("refused", "blocked", "MAIL", 554, "5.7.1 Service unavailable; Client host blocked using zen"),
    ("refused", "blocked", "RCPT", 550, "Your IP has a poor reputation"),
    ("refused", "blocked", ".", 554, "5.7.9 Message not accepted for policy reasons"),
    ("refused", "blocked", ".", 554, "5.7.1 [CS01] Message rejected due to local policy."),
    ("refused", "blocked", "RCPT", 550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. (S3140)"),
    ("refused", "blocked", "RCPT", 521, "spammers go away"),
    ("refused", "blocked", "RCPT", 550, "5.7.133 Only for some"),
    # codes alone
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


def test_every_reason_of_the_table_has_an_action() -> None:
    assert set() == {row.reason for row in ROWS if row.state is not MessageState.SENT} - ACTIONS.keys()


@pytest.mark.parametrize(
    "text",
    [
        # about all that we tried, not about this one
        "5.5.3 Too many invalid recipients",
        "5.7.1 Too many unknown users, come back tomorrow",
        "5.1.1 Recipient limit reached, message not accepted",
        # shut for now
        "5.1.1 <bob@b.test>: Recipient rejected. Mailbox temporarily disabled",
        "5.2.1 The account has been temporarily deactivated",
        "5.2.1 Mailbox suspended for inactivity",
        "account temporarily closed",
        # the server could not ask
        "5.1.1 <bob@b.test>: Recipient address rejected: unverified address: connection timed out",
        "5.1.1 <bob@b.test>: Recipient address rejected: undeliverable address: mail for b.test loops back to myself",
        "5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 Blocked by RBL",
        # only possible
        "5.7.1 The address may be misspelled or may not exist",
        "The account or domain may not exist, they may be blacklisted, or missing the proper dns entries",
        # about us
        "Requested action not taken: mailbox unavailable. Reject due to policy restrictions",
        "Requested action not taken: mailbox unavailable. Sender address has null MX",
        "5.7.1 The recipient does not accept mail from unknown users",
        "Absenderadresse existiert nicht",
    ],
)
def test_a_living_address_is_not_suppressed(text: str) -> None:
    assert "suppress" != action_of(classify(550, text, "RCPT").reason).address


@pytest.mark.parametrize("code", [421, 450, 451, 452, 454, 499])
@pytest.mark.parametrize("text", ["", "user unknown", "5.1.1 no", "looks like spam", "mailbox full", "too large"])
def test_a_4xx_is_never_final_unless_it_says_so(code: int, text: str) -> None:
    assert MessageState.REFUSED not in {classify(code, text, stage).state for stage in ("MAIL", "RCPT", "DATA", ".")}


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


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "."])
@pytest.mark.parametrize("reason", ["unknown_address", "doubtful_address"])
def test_a_4xx_never_says_that_nobody_lives_there(stage: str, reason: str) -> None:
    assert reason != classify(450, "4.1.1 User unknown", stage).reason


def test_the_name_of_a_machine_decides_nothing() -> None:
    said = classify(550, "antispam-policy.b.test said: no such user", "RCPT")

    assert "unknown_address" == said.reason


@pytest.mark.parametrize(
    "evil", ["user ", "mailbox is ", "exceed ", "unknown ", "account ", "a.", "550-5.1.1 ", "<" * 9]
)
def test_a_hostile_reply_costs_no_more_than_its_length(evil: str) -> None:
    started = time.process_time()

    classify(550, evil * 20_000, "RCPT")

    assert time.process_time() - started < 1.0
