"""`mailer`: what people type. A file a noun: parse, call the pipeline, print; nothing is decided here.

Data goes to stdout, progress and logs to stderr. Exit codes: 0 fine, 1 error, 2 usage, 3 findings, 4 refused for
safety, 5 ended with messages deferred or uncertain.
"""

import sys
from io import TextIOWrapper

from engine.cli import (
    bounces,
    campaigns,
    contacts,
    demo,
    importing,
    journeys,
    planning,
    publishing,
    reporting,
    running,
    segments,
    sending,
    setting_up,
    simulating,
)
from engine.cli.app import run

# Importing a file registers its commands.
COMMANDS = (
    setting_up,
    demo,
    importing,
    segments,
    campaigns,
    journeys,
    publishing,
    simulating,
    planning,
    sending,
    reporting,
    contacts,
    bounces,
    running,
)

__all__ = ["COMMANDS", "main"]


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that a terminal can't show is no fault
    sys.exit(run(sys.argv[1:]))
