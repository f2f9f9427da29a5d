"""`mailer bounce`: mails that other servers return; what they mean, and what follows."""

from pathlib import Path
from typing import Annotated

import typer

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import moment, workspace
from engine.cli.printing import AtOption, FormatOption, progress_of, show_one, show_rows, stdout

bounces = typer.Typer(no_args_is_help=True, help="Returned mail: bounces, complaints, holiday notes.")
app.add_typer(bounces, name="bounce")

# What `fetch` prints for people, in this order.
_TOLD = {
    "suppressed": "addresses given up: nobody lives there",
    "counted": "kept in mind: when it comes again, the address is given up",
    "kept": "bounced, through no fault of the address",
    "complained": "complaints: never mailed again",
    "opted_out": "opted out",
    "settled": "uncertain messages that did go out",
    "repeated": "known already",
    "ignored": "holiday notes, delays and what nobody understands",
    "unmatched": "about nobody we know",
}


@bounces.command()
def classify(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Mails (.eml), mbox files, or folders of them.")
    ],
    form: FormatOption = None,
) -> None:
    """Say what returned mails mean; changes nothing and needs no workspace.

    The action is what would follow for the address: suppress, count, retry, throttle, block, ignore or complaint.
    """
    with progress_of("reading") as progress:
        rows = pipeline.classify_files(files, progress)
    show_rows(rows, ("file", "kind", "recipient", "status", "reason", "action"), form)


@bounces.command()
def fetch(context: typer.Context, at: AtOption = None, form: FormatOption = None) -> None:
    """Read the bounce mailbox of [bounces] and act: suppress, count, settle. Marks what is dealt with, deletes nothing.

    A bounce is believed when it carries the id of a message of ours; without it, only when it comes again.
    """
    with workspace(context, at) as mailer, progress_of("fetching") as progress:
        counts = pipeline.fetch_bounces(mailer, moment(mailer, at), progress)

    def told() -> None:
        stdout.print(f"{counts['mails']:,} mails")
        for name, words in _TOLD.items():
            if counts[name]:
                stdout.print(f"  {counts[name]:>9,}  {words}")

    show_one(counts, form, told)
