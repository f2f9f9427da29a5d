"""What do Resend's events mean? Source: the webhook schemas of its OpenAPI file (resend.com/docs/webhooks).

Our id comes back as the tag that `engine.delivery.resend_words` sends along.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.feedback.webhooks.bounce_types import reason_of
from engine.feedback.webhooks.document import items, moment, parsed, part, text
from engine.feedback.webhooks.opens import hint_of
from engine.model import Notice, NoticeKind
from engine.replies import shortened

KINDS: Mapping[str, NoticeKind] = {
    "email.sent": NoticeKind.ACCEPTED,
    "email.delivered": NoticeKind.DELIVERED,
    "email.delivery_delayed": NoticeKind.DELAYED,
    "email.bounced": NoticeKind.BOUNCED,
    "email.failed": NoticeKind.BOUNCED,  # Resend took it and could not send it
    "email.suppressed": NoticeKind.BOUNCED,  # on Resend's own list
    "email.complained": NoticeKind.COMPLAINED,
    "email.opened": NoticeKind.OPENED,
    "email.clicked": NoticeKind.CLICKED,
}
# Left out on purpose: email.scheduled, email.received, and all about contacts and domains.


def notices(body: bytes, event_id: str) -> tuple[Notice, ...]:
    """The notice of one event; none when it is of no use to us."""
    event = parsed(body)
    kind = KINDS.get(text(event, "type"))
    if kind is None:
        return ()
    data = part(event, "data")
    notice = Notice(
        kind=kind,
        delivery_id=_delivery_id(data),
        recipient=text(data, "to"),
        at=moment(event, "created_at"),
        source="resend",
        notice_id=event_id,
    )
    return (_detailed(notice, text(event, "type"), data),)


def _delivery_id(data: dict[str, Any]) -> str:
    """Our tag: a name with its value (OpenAPI file), or both in a list (docs/dashboard/webhooks/body-parameters)."""
    listed = {text(one, "name"): text(one, "value") for one in items(data, "tags")}
    return text(part(data, "tags"), "delivery_id") or listed.get("delivery_id", "")


def _detailed(notice: Notice, event: str, data: dict[str, Any]) -> Notice:
    """With what this kind of event tells beside."""
    if event == "email.bounced":
        bounce = part(data, "bounce")
        diagnostic = text(bounce, "diagnosticCode")
        reason = reason_of(text(bounce, "type"), text(bounce, "subType"), "", diagnostic)
        return replace(notice, reason=reason, diagnostic=shortened(diagnostic or text(bounce, "message")))
    if event == "email.suppressed":
        listed = part(data, "suppressed")
        if text(listed, "reason") == "previous_complaint":
            return replace(notice, kind=NoticeKind.COMPLAINED)
        return replace(notice, reason="doubtful_address", diagnostic=shortened(text(listed, "message")))
    if event == "email.failed":
        return replace(notice, reason="refused", diagnostic=shortened(text(part(data, "failed"), "reason")))
    agent = text(part(data, "click"), "userAgent") or text(part(data, "open"), "userAgent")
    return replace(notice, reason=hint_of(notice.kind, agent))
