"""What came back from a message in somebody's hands? Raw hits, judged human or machine, again at any time.

Entry functions: `Spool` (append now, drain later), `ClickCounts` (where nobody is followed), `judge` (verdicts for all
hits of one message). Must not know: the database, campaigns, templates.
"""

from engine.feedback.counting import ClickCounts, CountedLink
from engine.feedback.judging import TOO_FAST, Judged, judge
from engine.feedback.spool import Spool

__all__ = ["TOO_FAST", "ClickCounts", "CountedLink", "Judged", "Spool", "judge"]
