"""Mails as other servers return them, and a Maildir that they are delivered to."""

import itertools
from pathlib import Path

_NUMBERS = itertools.count()
MAILDIR = '[bounces]\nkind = "maildir"\npath = "returned"\n'


class Returned:
    """The bounce mailbox of a workspace."""

    def __init__(self, workspace: Path) -> None:
        self.folder = workspace / "returned"
        for name in ("new", "cur", "tmp"):
            (self.folder / name).mkdir(parents=True)
        config = workspace / "config.toml"
        config.write_text(config.read_text() + MAILDIR)

    def put(self, *mails: bytes) -> None:
        for raw in mails:
            (self.folder / "new" / f"{next(_NUMBERS):06}.host").write_bytes(raw)

    def waiting(self) -> int:
        return len(list((self.folder / "new").iterdir()))

    def done(self) -> int:
        return len(list((self.folder / "cur").glob("*:2,S")))


_DSN = """{head}From: MAILER-DAEMON@relay.test (Mail Delivery System)
Subject: {subject}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="cut"

--cut
Content-Type: text/plain

This is the mail system at host relay.test.

--cut
Content-Type: message/delivery-status

Reporting-MTA: dns; relay.test

Final-Recipient: rfc822; {recipient}
Action: {action}
Status: {status}
Diagnostic-Code: {diagnostic}

--cut--
"""
_ARF = """{head}From: fbl@provider.test
Subject: FW: News
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="cut"

--cut
Content-Type: text/plain

This is an email abuse report.

--cut
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Loop/1.0
Version: 1
Original-Rcpt-To: <{recipient}>

--cut
Content-Type: text/rfc822-headers

From: hello@shop.example
To: {recipient}
Subject: News
{named}
--cut--
"""
_AWAY = """{head}From: p1@shop.test
Subject: Out of office
Auto-Submitted: auto-replied

I am away until Monday.
"""


def dsn(
    recipient: str,
    delivery_id: str = "",
    status: str = "5.1.1",
    diagnostic: str = "smtp; 550 5.1.1 no such user",
    action: str = "failed",
    message_id: str = "",
) -> bytes:
    """A report of RFC 3464, to our VERP address where the id is given."""
    subject = "Undelivered Mail Returned to Sender" if action == "failed" else "Delayed Mail (still being retried)"
    told = {"recipient": recipient, "status": status, "diagnostic": diagnostic, "action": action, "subject": subject}
    return _DSN.format(head=_head(delivery_id, message_id), **told).encode()


def arf(recipient: str, delivery_id: str = "", message_id: str = "") -> bytes:
    """A complaint of RFC 5965, with the Message-ID of what it is about where the id is given."""
    named = f"Message-ID: <{delivery_id}@shop.example>\n" if delivery_id else ""
    return _ARF.format(head=_head("", message_id), recipient=recipient, named=named).encode()


def holiday(delivery_id: str) -> bytes:
    """A note that somebody is away."""
    return _AWAY.format(head=_head(delivery_id, "")).encode()


def _head(delivery_id: str, message_id: str) -> str:
    to = f"b+{delivery_id}@bounce.shop.example" if delivery_id else "bounce@bounce.shop.example"
    name = message_id or f"<{next(_NUMBERS)}@relay.test>"
    return f"To: {to}\nDate: Sun, 01 Mar 2026 13:00:00 +0000\nMessage-ID: {name}\n"
