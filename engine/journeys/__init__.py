"""DRIP: each contact on her own way through a few mails, started by what she does, ended by what she reached.

load, read, check        journeys/NAME.toml as checked values, or every fault and doubt with its line
to_json, from_json, digest   how a version is kept
report                   what a journey, one of its mails or an experiment earned
journey_rows, shown      which journeys there are, and how their people stand
as_text, as_svg          a journey as a tree for terminals, and as a drawing
compare, start, pause, resume, cancel, end   publish a version, tell what it changes, hold the journey and let it go on
enter, advance, call_out STEPS of the tick: who newly comes in; everybody on whose turn it is; the webhooks that are due
why, preview, enrol_by_hand   one person: her chain, a mail of hers, her way in
entry_of, comes_after, last_come, is_held_out   who comes in, and when: pure, as the simulator asks it, too
"""

from engine.journeys.admitting import enter
from engine.journeys.advancing import advance
from engine.journeys.calling import call_out
from engine.journeys.drawing import as_svg
from engine.journeys.entering import Comes, comes_after, entry_of, is_held_out, last_come
from engine.journeys.files import load, names, read
from engine.journeys.outline import as_text, ended_said
from engine.journeys.publishing import Difference, Published, cancel, compare, end, pause, people_inside, resume, start
from engine.journeys.recounting import enrol_by_hand, preview, why
from engine.journeys.reporting import is_journey, report
from engine.journeys.showing import (
    Shown,
    check,
    counts_of,
    journey_file,
    journey_rows,
    load_journey,
    new_journey,
    shown,
)
from engine.journeys.stored import digest, from_json, to_json
from engine.journeys.ways import Counts

__all__ = [
    "STEPS",
    "Comes",
    "Counts",
    "Difference",
    "Published",
    "Shown",
    "advance",
    "as_svg",
    "as_text",
    "call_out",
    "cancel",
    "check",
    "comes_after",
    "compare",
    "counts_of",
    "digest",
    "end",
    "ended_said",
    "enrol_by_hand",
    "enter",
    "entry_of",
    "from_json",
    "is_held_out",
    "is_journey",
    "journey_file",
    "journey_rows",
    "last_come",
    "load",
    "load_journey",
    "names",
    "new_journey",
    "pause",
    "people_inside",
    "preview",
    "read",
    "report",
    "resume",
    "shown",
    "start",
    "to_json",
    "why",
]

# What each tick does for journeys, in this order; each step may run in any number of processes at once.
STEPS = (enter, advance, call_out)
