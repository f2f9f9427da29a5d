"""WHAT: campaign files, variants and holdouts by keyed hash, and the plan: who gets which message when, or why not.

load, load_all, names, may_name   campaigns/NAME.toml as checked values
check_campaigns         every fault and doubt of the files, with file and line
plan, summarise         one entry for everybody in the audience
variant_for, is_tracked, due_times, drift   what single steps ask
parse_repeat, occurrences_after, caught_up   when a repeating campaign comes round
Allowance               how many messages somebody may still get
OwnTime, Quietness      everybody's own time: quiet hours, weekends, holidays, best hours
brake_verdict           should it go on, after what its messages met?
Table, SpanText, GoalText, Subjects, lines_by_key, line_of   keys of files and their places, for journeys' files, too

Knows no database and no template: people come as candidates, and what a message needs comes from the `draft` that the
pipeline hands in.
"""

from engine.campaign.assign import full_shares, is_held_out
from engine.campaign.best_hour import HOURS, LAST_EVENTS, Shares, local_hours, prior_of, shares_of
from engine.campaign.brake import BrakeState, BrakeVerdict, brake_verdict
from engine.campaign.caps import Allowance
from engine.campaign.checks import check_campaigns
from engine.campaign.files import ONLY_VARIANT, checked, load, load_all, names
from engine.campaign.keys import NAME, ClassText, Fault, GoalText, SpanText, Subjects, Table, may_name
from engine.campaign.own_time import OwnTime
from engine.campaign.places import Key, line_of, lines_by_key
from engine.campaign.planning import Draft, PlanOptions, drift, ends_at, is_tracked, plan, summarise, variant_for
from engine.campaign.quiet import Quietness
from engine.campaign.repeats import LOCAL, Occurrence, Repeat, caught_up, parse_repeat
from engine.campaign.repeats import after as occurrences_after
from engine.campaign.timing import due_times, instant, parse_send_at
from engine.campaign.zones import country_of, known_zone, zone_of

__all__ = [
    "HOURS",
    "LAST_EVENTS",
    "LOCAL",
    "NAME",
    "ONLY_VARIANT",
    "Allowance",
    "BrakeState",
    "BrakeVerdict",
    "ClassText",
    "Draft",
    "Fault",
    "GoalText",
    "Key",
    "Occurrence",
    "OwnTime",
    "PlanOptions",
    "Quietness",
    "Repeat",
    "Shares",
    "SpanText",
    "Subjects",
    "Table",
    "brake_verdict",
    "caught_up",
    "check_campaigns",
    "checked",
    "country_of",
    "drift",
    "due_times",
    "ends_at",
    "full_shares",
    "instant",
    "is_held_out",
    "is_tracked",
    "known_zone",
    "line_of",
    "lines_by_key",
    "load",
    "load_all",
    "local_hours",
    "may_name",
    "names",
    "occurrences_after",
    "parse_repeat",
    "parse_send_at",
    "plan",
    "prior_of",
    "shares_of",
    "summarise",
    "variant_for",
    "zone_of",
]
