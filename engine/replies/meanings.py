"""What does a reason word mean, in words that need no table? For whoever asks why a mail did not arrive."""

from collections.abc import Mapping

MEANINGS: Mapping[str, str] = {
    "unknown_address": "there is no such mailbox",
    "doubtful_address": "most likely there is no such mailbox",
    "mailbox_full": "the mailbox is full",
    "mailbox_unavailable": "the mailbox can't take mail just now",
    "greylisted": "the server wants to be asked again later, as it does of strangers",
    "throttled": "the server wants fewer mails at a time",
    "temporary": "the server has a trouble of its own",
    "connection_lost": "the connection broke before the mail was handed over",
    "blocked": "the server wants no mail from here, for reputation or policy",
    "content": "the server objects to what the mail says",
    "configuration": "the set-up of this sender is at fault: its address, its login or its rights",
    "refused": "the server says no, and not why",
    "expired": "it was tried until its time was over",
    "bad_address": "the address fits in no envelope",
    "needs_smtputf8": "the mail server takes only addresses in ASCII",
    "malformed": "the mail would break a rule of the protocol",
    "reply_lost": "the connection broke after the mail was handed over, so nobody knows",
    "complaint": "a mail was reported as spam",
    "auto_reply": "a machine answered",
    "delayed": "a server is still trying",
}


def meaning(reason: str) -> str:
    """The reason in words; a word that is not in the list says itself."""
    return MEANINGS.get(reason, reason)
