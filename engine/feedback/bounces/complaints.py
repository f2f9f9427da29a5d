"""Did somebody press the spam button? Feedback reports (RFC 5965), and Microsoft's, which are not."""

import re

from engine.feedback.bounces.addresses import address_in
from engine.feedback.bounces.letters import Letter
from engine.model import NoticeKind

# RFC 5965, 7.3 and what is sent besides; auth-failure (RFC 6591) and not-spam are no complaints.
_COMPLAINTS = {
    "abuse",
    "fraud",
    "virus",
    "other",
    "opt-out",
    "opt-out-list",
    "complaint",
    "spam",
    "miscategorized",
    "phishing",
}
_HOTMAIL = re.compile(r"^complaint about message from", re.IGNORECASE)


def complaint(letter: Letter) -> tuple[NoticeKind, str, str] | None:
    """Kind, recipient (often withheld) and words of a feedback report; None when it is none."""
    if letter.feedback is not None:
        kind = letter.feedback.get("feedback-type", "").lower().split(";")[0].strip()
        meant = NoticeKind.COMPLAINED if kind in _COMPLAINTS else NoticeKind.UNKNOWN
        return meant, _complainer(letter), f"feedback report: {kind}"
    if _HOTMAIL.match(letter.header("subject")) and letter.header("from").lower().find("@hotmail.com") > 0:
        return NoticeKind.COMPLAINED, _complainer(letter), "feedback report: hotmail"
    return None


def _complainer(letter: Letter) -> str:
    feedback = letter.feedback or {}
    for name in ("original-rcpt-to", "removal-recipient"):
        if (found := address_in(feedback.get(name, ""))) and not found.lower().startswith("redacted"):
            return found
    for fields in letter.returned:
        for name in ("x-hmxmroriginalrecipient", "x-original-to", "delivered-to", "to"):
            if (found := address_in(fields.get(name, ""))) and not found.lower().startswith("redacted"):
                return found
    return ""
