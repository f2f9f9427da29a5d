"""Every line of the table of final bounces, by what bounces say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.replies import ACTIONS, FINAL_ROWS, action_of, classify_final, final_row_for

# reason, status, diagnostic
SAMPLES = [
    ("mailbox_unavailable", "4.3.1", "452 4.3.1 Insufficient system storage"),
    ("mailbox_full", "5.2.2", "552 5.2.2 The email account that you tried to reach is over quota"),
    ("mailbox_full", "4.2.2", "452 4.2.2 Mailbox full"),
    ("mailbox_full", "5.0.0", "recipient reached disk quota"),
    ("mailbox_full", "", "The mailbox is full. It is looked at hourly."),
    ("throttled", "4.7.0", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume"),
    ("throttled", "5.4.5", "550 5.4.5 Daily sending quota exceeded"),
    ("content", "5.3.4", "552 5.3.4 Message size exceeds fixed limit"),
    ("blocked", "5.7.1", "554 5.7.1 Client host rejected: cannot find your reverse hostname"),
    (
        "blocked",
        "5.1.7",
        "SMTP error from remote mail server after MAIL FROM:<a@a.test>: 550 5.1.7 No such domain a.test",
    ),
    ("blocked", "5.1.8", "553 5.1.8 <a@a.test>... Domain of sender address a@a.test does not exist"),
    ("blocked", "5.7.26", "550 5.7.26 Unauthenticated email from a.test is not accepted due to domain's DMARC policy"),
    ("mailbox_unavailable", "5.0.0", 'procmail: Couldn\'t create "/var/spool/mail/bob" id: b.test: No such user'),
    ("doubtful_address", "4.1.1", "450 4.1.1 <bob@b.test>: Recipient address rejected: User unknown in virtual table"),
    ("unknown_address", "5.1.1", "550 5.1.1 <bob@b.test>: Recipient address rejected: User unknown in local table"),
    ("unknown_address", "5.0.0", "550-5.1.1 The email account that you tried to reach does 550-5.1.1 not exist"),
    ("unknown_address", "5.7.1", "550 5.7.1 No such user c18si2365148hub"),
    ("unknown_address", "", "<bob@b.test>: Sorry, no mailbox here by that name. (#5.1.1)"),
    (
        "unknown_address",
        "5.1.10",
        "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    ),
    (
        "unknown_address",
        "5.0.0",
        "554 delivery error: dd This user doesn't have a yahoo.test account (bob@yahoo.test) [0]",
    ),
    ("unknown_address", "5.0.0", "550 Empfaenger unbekannt"),
    ("unknown_address", "", "L'adresse de messagerie indiquée ci-dessus n'existe pas"),
    ("unknown_address", "", "local mailbox: пользователь не найден"),
    ("unknown_address", "5.4.1", "550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [b.test]"),
    ("unknown_address", "5.5.0", "550 Requested action not taken: mailbox unavailable (S2017062302)"),
    ("greylisted", "4.2.0", "450 4.2.0 <bob@b.test>: Recipient address rejected: Greylisted"),
    ("refused", "5.7.1", "554 5.7.1 <bob@b.test>: Relay access denied"),
    ("blocked", "5.7.1", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.test"),
    ("blocked", "5.1.3", "553 http://www.spamhaus.test/query/bl?ip=192.0.2.222"),
    ("blocked", "5.0.0", "5.1.0 - Unknown address error 550-'5.7.1 <bob@b.test>... Access denied'"),
    ("content", "5.0.0", "554 Message rejected as spam by content filtering"),
    ("doubtful_address", "5.7.13", "525 5.7.13 Disabled recipient address"),
    ("doubtful_address", "5.1.1", "550 [SUSPEND] Mailbox currently suspended - Please contact correspondent directly"),
    ("unknown_address", "5.2.1", "550 5.2.1 The email account that you tried to reach is disabled"),
    (
        "unknown_address",
        "5.0.0",
        "554 Sorry your message cannot be delivered. This account has been disabled or discontinued",
    ),
    ("doubtful_address", "4.0.0", "DNS Error: DNS type 'mx' lookup of b.test responded with code NXDOMAIN"),
    ("unknown_address", "5.1.2", "550 5.1.2 domain b.test does not exist"),
    ("unknown_address", "5.1.2", "550 5.1.2 <bob@b.test>... Host unknown (Name server: b.test: host not found)"),
    (
        "doubtful_address",
        "5.4.4",
        "Host or domain name not found. Name service error for name=b.test type=A: Host not found",
    ),
    ("refused", "5.4.6", "554 5.4.6 Too many hops 26 (25 max)"),
    ("mailbox_unavailable", "4.4.1", "connect to b.test[192.0.2.1]:25: Connection timed out"),
    ("mailbox_unavailable", "5.4.316", "550 5.4.316 Message expired, connection refused"),
    ("unknown_address", "5.1.1", ""),
    ("doubtful_address", "5.2.1", "550 5.2.1 cannot take messages"),
    ("blocked", "5.7.509", "550 5.7.509 no"),
    ("mailbox_full", "5.2.2", ""),
    ("content", "5.6.3", "no"),
    ("mailbox_unavailable", "4.2.0", ""),
    ("mailbox_unavailable", "", "I wasn't able to establish an SMTP connection: the host is unreachable"),
    ("mailbox_full", "", "552 sorry"),
    ("doubtful_address", "", "550 no"),
    ("refused", "", "554 no"),
    ("mailbox_unavailable", "", "451 no"),
    ("doubtful_address", "5.0.0", ""),
    ("refused", "5.3.0", ""),
    ("mailbox_unavailable", "", "It did not work out."),
]


@pytest.mark.parametrize(("reason", "status", "diagnostic"), SAMPLES)
def test_a_bounce_means(reason: str, status: str, diagnostic: str) -> None:
    assert reason == classify_final(status, diagnostic)


def test_every_row_is_reached_by_a_sample() -> None:
    reached = [final_row_for(status, diagnostic) for _, status, diagnostic in SAMPLES]

    assert [] == [row for row in FINAL_ROWS if not any(row is one for one in reached)]


def test_no_bounce_stops_a_campaign_as_a_fault_of_ours() -> None:
    reasons = {row.reason for row in FINAL_ROWS}

    assert set() == reasons - ACTIONS.keys()
    assert set() == {one for one in reasons if action_of(one).campaign == "stop"}


@pytest.mark.parametrize(
    ("status", "diagnostic"),
    [
        # sendmail writes 5.1.1 for every 550, whatever the server meant
        ("5.1.1", "550 Message refused: your server is on our black list"),
        ("5.1.1", "550 Denied by policy"),
        ("5.1.1", "550 this message looks like spam"),
        ("5.1.1", "550 Sender verify failed: the mailbox does not exist"),
        ("5.1.1", "552 mailbox for user is full"),
        # the sender's name, not the recipient's
        ("5.0.0", "550 Sending domain does not exist"),
        ("5.0.0", "550 Reverse DNS lookup failed: host name does not exist"),
        ("5.0.0", "550 The IP address of your server was not found in DNS"),
        ("5.0.0", "501 Invalid domain name in HELO"),
        ("5.0.0", "550 You are not a member of this list"),
        ("5.0.0", "550 Requested action not taken: mailbox unavailable. Sender address has null MX"),
        ("5.0.0", "550 Requested action not taken: mailbox unavailable. Reject due to policy restrictions"),
        ("5.7.1", "550 5.7.1 Your mail was rejected: the recipient does not accept mail from unknown users"),
        # the same in other languages
        ("5.0.0", "550 Die Absenderadresse existiert nicht"),
        ("5.0.0", "550 L'adresse de l'expéditeur n'existe pas"),
        ("5.0.0", "550 La dirección del remitente no existe"),
        ("5.0.0", "550 O endereço do remetente não existe"),
        ("5.0.0", "550 L'indirizzo del mittente non esiste"),
        ("5.0.0", "550 Adres nadawcy nie istnieje"),
        ("5.0.0", "550 Het afzenderadres bestaat niet"),
        ("5.0.0", "550 Avsändarens adress finns inte"),
        ("5.0.0", "550 Lähettäjän osoite on tuntematon"),
        ("5.0.0", "550 Adresa odesílatele neexistuje"),
        ("5.0.0", "550 Gönderen adresi bulunamadı"),
        ("5.0.0", "550 Адрес отправителя не существует"),
        ("5.0.0", "550 发件人地址不存在"),
        ("5.0.0", "550 差出人アドレスが存在しません"),
        ("5.0.0", "550 발신자 주소가 존재하지 않습니다"),
        # only possible
        ("5.7.1", "The address may be misspelled or may not exist. Send the message again"),
        ("5.0.0", "The account or domain may not exist, they may be blacklisted, or missing the proper dns entries."),
        ("5.0.0", "550 If the mailbox does not exist, ask the recipient for another one"),
        ("5.0.0", "550 收件人地址可能不存在"),
        # Exchange Online's heading of another server's words
        (
            "5.1.351",
            "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 Blocked by RBL",
        ),
        ("5.1.351", "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable -> 550 5.2.1 not now"),
        # given up, and nobody said that nobody lives there
        ("5.4.4", "Host not found, try again"),
        ("4.4.7", "Delivery to the following recipient has expired"),
        ("5.0.0", "Undeliverable address: bob@b.test Reason: connection timed out"),
        ("5.7.1", "550 5.7.1 The group may not exist, or you may not post to it"),
        ("5.4.2", "lost connection: the connection to the mailbox server was closed"),
        ("5.1.1", "550 5.1.1 <bob@b.test>: Recipient address rejected: unverified address: verification in progress"),
    ],
)
def test_a_living_address_is_not_suppressed(status: str, diagnostic: str) -> None:
    assert "suppress" != action_of(classify_final(status, diagnostic)).address


def test_the_words_that_a_heading_introduces_still_count() -> None:
    heading = "550 5.1.351 Remote server returned unknown recipient or mailbox unavailable"

    assert "unknown_address" == classify_final("5.1.351", f"{heading} -> 550 5.1.1 <bob@b.test>: User unknown")


@pytest.mark.parametrize(
    "said",
    [
        "Absender: news@a.test. Empfänger: bob@b.test unbekannt. Die Nachricht geht an den Absender zurück.",
        "Die Nachricht ging an den Absender zurück, weil der Empfänger unbekannt ist",
        "Le message est rendu à l'expéditeur, car le destinataire est inconnu",
        "邮件已退回发件人，收件人不存在",
    ],
)
def test_a_sender_named_beside_an_unknown_recipient_protects_nobody(said: str) -> None:
    assert "unknown_address" == classify_final("5.0.0", said)


@given(st.text(max_size=300), st.text(max_size=3000))
def test_any_words_have_a_reason(status: str, diagnostic: str) -> None:
    assert classify_final(status, diagnostic) in ACTIONS
