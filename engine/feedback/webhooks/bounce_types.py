"""What do a provider's types of bounces mean? Amazon's words, which Resend passes on.

Where the receiving server's own words came along they decide, as in any other bounce; the provider's type only where
there are none, and where it speaks of its own list. Source: docs.aws.amazon.com/ses/latest/dg/notification-contents,
"Bounce types".
"""

from collections.abc import Mapping

from engine.replies import classify_final

# Not offered to the receiving server at all: the words are the provider's own.
_OWN_LISTS: Mapping[str, str] = {
    "Suppressed": "doubtful_address",  # bounced for any customer of theirs within 14 days
    "OnAccountSuppressionList": "doubtful_address",  # for us, by bounce or complaint
}
_TYPES: Mapping[tuple[str, str], str] = {
    ("Permanent", "NoEmail"): "unknown_address",
    ("Permanent", "General"): "doubtful_address",
    ("Transient", "MailboxFull"): "mailbox_full",
    ("Transient", "MessageTooLarge"): "content",
    ("Transient", "ContentRejected"): "content",
    ("Transient", "AttachmentRejected"): "content",
    ("Transient", "General"): "mailbox_unavailable",  # also holiday notes, which are no bounces: so only counted
}


def reason_of(kind: str, subtype: str, status: str, diagnostic: str) -> str:
    """The reason word of a bounce."""
    if subtype in _OWN_LISTS:
        return _OWN_LISTS[subtype]
    if status or diagnostic:
        return classify_final(status, diagnostic)
    return _TYPES.get((kind, subtype), "doubtful_address" if kind == "Permanent" else "mailbox_unavailable")
