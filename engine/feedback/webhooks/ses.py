"""What do Amazon SES's events mean? Both its forms: event publishing (tags) and notifications of an identity (headers).

Sources: docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents and notification-contents.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.feedback.webhooks.bounce_types import reason_of
from engine.feedback.webhooks.document import items, moment, parsed, part, text
from engine.feedback.webhooks.opens import hint_of
from engine.model import Notice, NoticeKind
from engine.replies import shortened

# The event's name: what it is, and where its details stand.
KINDS: Mapping[str, tuple[NoticeKind, str]] = {
    "Send": (NoticeKind.ACCEPTED, "send"),
    "Delivery": (NoticeKind.DELIVERED, "delivery"),
    "DeliveryDelay": (NoticeKind.DELAYED, "deliveryDelay"),
    "Bounce": (NoticeKind.BOUNCED, "bounce"),
    "Reject": (NoticeKind.BOUNCED, "reject"),  # taken, and then found to hold a virus
    "Complaint": (NoticeKind.COMPLAINED, "complaint"),
    "Open": (NoticeKind.OPENED, "open"),
    "Click": (NoticeKind.CLICKED, "click"),
}
# Left out on purpose: Rendering Failure (SES's own templates) and Subscription (its own lists).
_RECIPIENTS = {NoticeKind.BOUNCED: "bouncedRecipients", NoticeKind.DELAYED: "delayedRecipients"}
_MESSAGE_ID = re.compile(r"<?([^<>@\s]+)@[^<>@\s]+>?")


def notices(message: str, message_id: str) -> tuple[Notice, ...]:
    """The notices of one event, one a recipient; none when it is of no use to us. A topic's first words are no JSON."""
    event = parsed(message)
    found = KINDS.get(text(event, "eventType") or text(event, "notificationType"))
    if found is None:
        return ()
    kind, where = found
    mail, details = part(event, "mail"), part(event, where)
    notice = Notice(
        kind=kind,
        delivery_id=_delivery_id(mail),
        recipient=text(mail, "destination"),
        at=moment(details, "timestamp") or moment(mail, "timestamp"),
        source="ses",
        notice_id=message_id,
    )
    if kind in _RECIPIENTS and items(details, _RECIPIENTS[kind]):
        recipients = items(details, _RECIPIENTS[kind])
        return tuple(_about(notice, details, one, n) for n, one in enumerate(recipients))
    if kind is NoticeKind.COMPLAINED and text(details, "complaintFeedbackType") == "not-spam":
        return ()  # she took it out of the spam folder
    if kind is NoticeKind.BOUNCED:
        reason = "content" if where == "reject" else _reason(details, "", "")
        return (replace(notice, reason=reason, diagnostic=shortened(text(details, "reason"))),)
    return (replace(notice, reason=hint_of(kind, text(details, "userAgent"))),)


def _about(notice: Notice, details: dict[str, Any], recipient: dict[str, Any], n: int) -> Notice:
    """The notice for one recipient of a bounce or a delay."""
    status, diagnostic = text(recipient, "status"), text(recipient, "diagnosticCode")
    return replace(
        notice,
        reason=_reason(details, status, diagnostic) if notice.kind is NoticeKind.BOUNCED else "",
        recipient=text(recipient, "emailAddress") or notice.recipient,
        status=status,
        diagnostic=shortened(diagnostic),
        notice_id=notice.notice_id if n == 0 else f"{notice.notice_id}/{n}",
    )


def _reason(details: dict[str, Any], status: str, diagnostic: str) -> str:
    return reason_of(text(details, "bounceType"), text(details, "bounceSubType"), status, diagnostic)


def _delivery_id(mail: dict[str, Any]) -> str:
    """Our id: from the tag, else from our Message-ID, which SES replaced on the wire and still knows."""
    tagged = text(part(mail, "tags"), "delivery_id")
    if tagged:
        return tagged
    headers = {text(one, "name").lower(): text(one, "value") for one in items(mail, "headers")}
    said = headers.get("message-id") or text(part(mail, "commonHeaders"), "messageId")
    found = _MESSAGE_ID.fullmatch(said)
    return found[1] if found else ""
