"""What came back from a message in somebody's hands? Raw hits, judged human or machine, again at any time.

Entry functions: `Spool` (append now, drain later), `ClickCounts` (where nobody is followed), `judge` (verdicts for all
hits of one message); `open_mailbox` (the mails that servers return, by IMAP or Maildir), `read_notice` (what one says).
Must not know: the database, campaigns, templates.
"""

from engine.feedback.bounces import read_notice
from engine.feedback.counting import ClickCounts, CountedLink
from engine.feedback.judging import TOO_FAST, Judged, judge
from engine.feedback.mailboxes import Mailbox, open_mailbox
from engine.feedback.spool import Spool, waiting_bytes

__all__ = [
    "TOO_FAST",
    "ClickCounts",
    "CountedLink",
    "Judged",
    "Mailbox",
    "Spool",
    "judge",
    "open_mailbox",
    "read_notice",
    "waiting_bytes",
]
