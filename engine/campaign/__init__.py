"""WHAT: campaign files, variants and holdouts by keyed hash, and the plan: who gets which message when, or why not.

load, load_all, names, may_name   campaigns/NAME.toml as checked values
check_campaigns         every fault and doubt of the files, with file and line
plan, summarise         one entry for everybody in the audience
variant_for, is_tracked, due_times, drift   what single steps ask
parse_repeat, occurrences_after, caught_up   when a repeating campaign comes round
brake_verdict           should it go on, after what its messages met?

Knows no database and no template: people come as candidates, and what a message needs comes from the `draft` that the
pipeline hands in.
"""

from engine.campaign.assign import is_held_out
from engine.campaign.brake import BrakeState, BrakeVerdict, brake_verdict
from engine.campaign.checks import check_campaigns
from engine.campaign.files import checked, load, load_all, names
from engine.campaign.keys import may_name
from engine.campaign.planning import Draft, PlanOptions, drift, is_tracked, plan, summarise, variant_for
from engine.campaign.repeats import Occurrence, Repeat, caught_up, parse_repeat
from engine.campaign.repeats import after as occurrences_after
from engine.campaign.timing import due_times, instant
from engine.campaign.zones import zone_of

__all__ = [
    "BrakeState",
    "BrakeVerdict",
    "Draft",
    "Occurrence",
    "PlanOptions",
    "Repeat",
    "brake_verdict",
    "caught_up",
    "check_campaigns",
    "checked",
    "drift",
    "due_times",
    "instant",
    "is_held_out",
    "is_tracked",
    "load",
    "load_all",
    "may_name",
    "names",
    "occurrences_after",
    "parse_repeat",
    "plan",
    "summarise",
    "variant_for",
    "zone_of",
]
