"""What does a refusal mean? Replies on the wire, final bounces, and what each reason word does.

Entry functions: `classify` (a live reply to an outcome), `classify_final` (a bounce to a reason word), `action_of`
(what follows from a reason word), `meaning` (it in plain words), `retry_at` (when to try again). Live replies and final
bounces are different inputs: the same 4xx code means "later" on the wire and "given up" in a bounce. Must not know: the
database, the wire, mails.

    unknown_address      never write again            doubtful_address     suppress after two hits, a day apart
    mailbox_full         retry a 4xx, count           mailbox_unavailable  retry a 4xx, count
    greylisted           retry, same addresses        throttled            slow down, retry
    temporary            retry                        blocked              never suppress: pause and alarm
    content              the message is at fault      configuration        ours: stop at once, suppress nobody
    refused              final, for no known reason   reply_lost           nobody knows: after the dot
    connection_lost      retry                        expired              retries are used up
    complaint            never write again
"""

from engine.replies.actions import ACTIONS, COUNTING, Action, Counting, action_of, has_counted_up, word_of
from engine.replies.final import FINAL_ROWS, FinalRow, classify_final, final_row_for, is_vague
from engine.replies.keeping import shortened
from engine.replies.live import DOT, ROWS, classify, outcome_of, row_for
from engine.replies.meanings import MEANINGS, meaning
from engine.replies.retrying import SCHEDULES, Schedule, retry_at
from engine.replies.row import Row

__all__ = [
    "ACTIONS",
    "COUNTING",
    "DOT",
    "FINAL_ROWS",
    "MEANINGS",
    "ROWS",
    "SCHEDULES",
    "Action",
    "Counting",
    "FinalRow",
    "Row",
    "Schedule",
    "action_of",
    "classify",
    "classify_final",
    "final_row_for",
    "has_counted_up",
    "is_vague",
    "meaning",
    "outcome_of",
    "retry_at",
    "row_for",
    "shortened",
    "word_of",
]
