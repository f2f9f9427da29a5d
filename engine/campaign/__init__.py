"""WHAT: campaign files, variants and holdouts by keyed hash, and the plan: who gets which message when, or why not.

load, load_all, names, may_name   campaigns/NAME.toml as checked values
check_campaigns         every fault and doubt of the files, with file and line
plan, summarise         one entry for everybody in the audience
variant_for, is_tracked, due_times, drift   what single steps ask
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
from engine.campaign.timing import due_times
from engine.campaign.zones import zone_of

__all__ = [
    "BrakeState",
    "BrakeVerdict",
    "Draft",
    "PlanOptions",
    "brake_verdict",
    "check_campaigns",
    "checked",
    "drift",
    "due_times",
    "is_held_out",
    "is_tracked",
    "load",
    "load_all",
    "may_name",
    "names",
    "plan",
    "summarise",
    "variant_for",
    "zone_of",
]
