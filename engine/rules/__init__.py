"""Who fits, and what is true of her? One rule language for segments, journeys and templates.

check, check_all     a rule's text, or all segments', into Rules; BadRule names the place, the fault and the cure
evaluate, explain    does it hold for one profile, and why
to_sql, Columns      the same as a condition over tables
prepare, seen        the same inside `{% if %}` of a template; RuleGenerator is its compiler
less                 a rule, but not for whom another holds
outlook, next_change until when an answer stands if nothing happens: time alone changes some
number_of            the number that a text reads as: for whoever stores `attributes.X`

All four agree for every rule that `check` accepts. Rules know no table: who owns the tables hands the columns in.
"""

from engine.rules.checking import check
from engine.rules.columns import Columns, SqlField
from engine.rules.evaluating import Step, evaluate, explain, segment_named
from engine.rules.horizon import TURNING, Outlook, fields_read, next_change, outlook, stands_still
from engine.rules.prepared import PreparedRule
from engine.rules.segments import check_all
from engine.rules.sql import to_sql
from engine.rules.templates import RuleGenerator, prepare, seen_all
from engine.rules.tree import Rule, less
from engine.rules.values import MISSING, Missing, MissingPrinted, is_missing, number_of, seen

__all__ = [
    "MISSING",
    "TURNING",
    "Columns",
    "Missing",
    "MissingPrinted",
    "Outlook",
    "PreparedRule",
    "Rule",
    "RuleGenerator",
    "SqlField",
    "Step",
    "check",
    "check_all",
    "evaluate",
    "explain",
    "fields_read",
    "is_missing",
    "less",
    "next_change",
    "number_of",
    "outlook",
    "prepare",
    "seen",
    "seen_all",
    "segment_named",
    "stands_still",
    "to_sql",
]
