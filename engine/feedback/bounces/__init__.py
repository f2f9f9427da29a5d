"""What comes back by mail: bounces, delays, complaints, holiday notes, and what is none of these.

Entry function: `read_notice` (a mail as bytes to notices). Must not know: mailboxes, the database, whether a sender can
be believed.
"""

from engine.feedback.bounces.reading import read_notice

__all__ = ["read_notice"]
