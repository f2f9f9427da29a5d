"""So what? Attribution, comparison of arms, what was earned, and the report. Takes numbers, never sessions.

Entry functions: `attribute` (who did what within the window), `results` (comparison, earned, checks, verdict),
`at_any_time` (for what is looked at every day),
`detectable` (what this audience can show), `to_json`, `to_html`.
"""

from engine.analysis.anytime import at_any_time
from engine.analysis.attribution import COVARIATE_DAYS, Assigned, Economics, Purchase, attribute
from engine.analysis.comparing import Comparison, sample_ratio
from engine.analysis.page import to_html
from engine.analysis.results import Check, Earned, Results, results, to_json
from engine.analysis.sizing import detectable

__all__ = [
    "COVARIATE_DAYS",
    "Assigned",
    "Check",
    "Comparison",
    "Earned",
    "Economics",
    "Purchase",
    "Results",
    "at_any_time",
    "attribute",
    "detectable",
    "results",
    "sample_ratio",
    "to_html",
    "to_json",
]
