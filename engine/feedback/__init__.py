"""What came back from a message in somebody's hands? Raw hits, judged human or machine, again at any time.

Entry functions: `Spool` (append now, drain later), `judge` (verdicts for all hits of one message).
Must not know: the database, campaigns, templates.
"""

from engine.feedback.judging import Judged, judge
from engine.feedback.spool import Spool

__all__ = ["Judged", "Spool", "judge"]
