"""OUT: how a composed mail leaves, and what is certain afterwards.

Entry points: `open_transport` for a way out (SMTP, a folder, a provider's API) and `capabilities` for what its kind
can do; `Journal` beside each claim of a batch and `trusted_journal` for what a dead sender's proves; `handover_key`,
`key_in` and `ask_again` where a lost answer can be asked for again; `owner_name`, `presence` and `is_dead` for whose
batch it is.
Knows mails and replies, and nothing of contacts, campaigns or the database.
"""

from engine.delivery.capabilities import Capabilities, capabilities
from engine.delivery.journal import Journal, forget_older, read_journal, trusted_journal
from engine.delivery.keys import journalled, key_in, transport_in
from engine.delivery.offers import ENDING, Answer, BeforeDot, Offer
from engine.delivery.owner import is_dead, owner_name, presence
from engine.delivery.transport import Transport, ask_again, hand_over, handover_key, open_transport
from engine.model import JournalProof

__all__ = [
    "ENDING",
    "Answer",
    "BeforeDot",
    "Capabilities",
    "Journal",
    "JournalProof",
    "Offer",
    "Transport",
    "ask_again",
    "capabilities",
    "forget_older",
    "hand_over",
    "handover_key",
    "is_dead",
    "journalled",
    "key_in",
    "open_transport",
    "owner_name",
    "presence",
    "read_journal",
    "transport_in",
    "trusted_journal",
]
