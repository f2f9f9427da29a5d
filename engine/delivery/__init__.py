"""OUT: how a composed mail leaves, and what is certain afterwards.

Entry points: `open_transport` for a way out (SMTP, or a folder); `Journal` beside each claim of a batch and
`trusted_journal` for what a dead sender's proves; `owner_name` and `is_dead` for whose batch it is. Knows mails and
replies, and nothing of contacts, campaigns or the database.
"""

from engine.delivery.journal import Journal, forget_older, read_journal, trusted_journal
from engine.delivery.offers import ENDING, Answer, BeforeDot, Offer
from engine.delivery.owner import is_dead, owner_name
from engine.delivery.transport import Transport, hand_over, open_transport
from engine.model import JournalProof

__all__ = [
    "ENDING",
    "Answer",
    "BeforeDot",
    "Journal",
    "JournalProof",
    "Offer",
    "Transport",
    "forget_older",
    "hand_over",
    "is_dead",
    "open_transport",
    "owner_name",
    "read_journal",
    "trusted_journal",
]
