"""`mailer send`, `resume`, `why`: from a frozen plan to mails on their way, and the reason for each."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import fleet, pipeline
from engine import journeys as drip
from engine.cli.app import app
from engine.cli.opening import agreed, can_be_asked, folder_to_write, moment, workspace
from engine.cli.planning import OccurrenceOption, dry_run_all, dry_run_one, print_plan
from engine.cli.printing import (
    AtOption,
    Format,
    FormatOption,
    YesOption,
    chosen,
    progress_of,
    say,
    show_one,
    stderr,
    stdout,
)
from engine.errors import Unfinished, Usage

# What each option of `send` needs beside it, and what it can't stand beside.
_NEEDS = {"--as": "--test", "--variant": "--test", "--out": "--dry-run", "--strict": "--dry-run", "--all": "--dry-run"}
_APART = (
    *(("--test", other) for other in ("--dry-run", "--all", "--plan", "--occurrence", "--wait")),
    *(("--all", other) for other in ("--plan", "--occurrence")),
    ("--dry-run", "--wait"),
    ("--plan", "--occurrence"),
)


@app.command()
def send(
    context: typer.Context,
    campaign: Annotated[
        str | None, typer.Argument(metavar="CAMPAIGN", help="A file of campaigns/, without .toml.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render everybody, show what is wrong, send nothing.")
    ] = False,
    plan_id: Annotated[int | None, typer.Option("--plan", metavar="ID", help="Send exactly this plan.")] = None,
    occurrence: OccurrenceOption = "once",
    everything: Annotated[bool, typer.Option("--all", help="With --dry-run: check every campaign file.")] = False,
    test: Annotated[str | None, typer.Option("--test", metavar="ADDRESS", help="Mail one copy to yourself.")] = None,
    as_email: Annotated[str | None, typer.Option("--as", metavar="EMAIL", help="With --test: as this contact.")] = None,
    variant: Annotated[str | None, typer.Option("--variant", help="With --test: this variant.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until all are through, also those planned for later.")
    ] = False,
    yes: YesOption = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="With --dry-run: where samples go.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="With --dry-run: warnings count as errors.")] = False,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Release a plan (or make one) and send what is due now.

    `--dry-run` runs the same code for every recipient up to the wire and writes samples as .eml. A later
    `send --plan ID` sends exactly what it showed, and refuses (exit 4) when the audience or a template changed since.
    """
    _refuse_contradictions(
        {"--test": test is not None, "--dry-run": dry_run, "--all": everything, "--wait": wait}
        | {"--plan": plan_id is not None, "--occurrence": occurrence != "once", "--as": as_email is not None}
        | {"--variant": variant is not None, "--out": out is not None, "--strict": strict}
    )
    folder_to_write("--out", out)
    if everything:
        if campaign:
            raise Usage("--all checks every campaign; leave the name out, or leave --all out")
        dry_run_all(context, out, strict, at, form)
        return
    if campaign is None:
        raise Usage("which campaign? give the name of a file of campaigns/, or --all --dry-run")
    with workspace(context, at) as mailer:
        if test is not None:
            with stderr.status("sending"):
                reply = pipeline.send_test(mailer, campaign, test, as_email, variant, moment(mailer, at))
            say(f"sent one copy to {test}: {reply}")
            return
        if dry_run:
            dry_run_one(mailer, campaign, plan_id, occurrence, out, moment(mailer, at), strict, form)
            return
        with progress_of("sending") as progress:
            result = pipeline.send(
                mailer,
                campaign,
                plan_id,
                occurrence,
                moment(mailer, at),
                lambda made: agreed(_question(made), yes),
                progress,
                wait=wait,
                tell=progress.tell,
                released=fleet.hint_ready,
            )
    _show_sent(result, form)


@app.command()
def resume(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[CAMPAIGN|JOURNEY|PLAN]", help="Default: all that is under way.")
    ] = None,
    uncertain: Annotated[
        str | None,
        typer.Option(metavar="assume-sent|resend|ask", help="What to do with messages whose answer was lost."),
    ] = None,
    because: Annotated[
        str,
        typer.Option(
            "--because",
            metavar="WORDS",
            help="What you found and mended, after the brake (kept) or while a destination is held.",
        ),
    ] = "",
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Go on after a stop, a crash or a pause; tries again what was deferred. Never sends anything twice.

    A campaign that paused itself because too much came back (its brake) goes on only by name and with `--because`:
    look at what the servers say first. Its counts then start anew. The word also ends the holds of destinations that
    refused us.
    """
    if uncertain not in (None, "assume-sent", "resend", "ask"):
        raise Usage(f"--uncertain is assume-sent, resend or ask, not {uncertain!r}")
    with workspace(context, at) as mailer, progress_of("sending") as progress:
        if target is not None and not mailer.has_campaign(target) and drip.is_journey(mailer, target):
            drip.resume(mailer, target, because, moment(mailer, at))
        result = pipeline.resume(mailer, target, uncertain, progress, because, progress.tell)
    _show_sent(result, form)


@app.command()
def why(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The contact's address.")],
    campaign: Annotated[
        str | None, typer.Argument(metavar="[CAMPAIGN|JOURNEY[/STEP]]", help="Default: everything of hers.")
    ] = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """The full chain for one person: rule values, consent, caps, draws, variant, attempts, what came back."""
    if campaign is not None and "@" in campaign and "@" not in email:
        raise Usage(f"the address comes first: mailer why {campaign} {email}")
    with workspace(context, at) as mailer:
        answer = _why(mailer, email, campaign, moment(mailer, at))

    def told() -> None:
        stdout.print(answer["answer"], markup=False, style="bold")
        for step in answer["steps"]:
            stdout.print(f"  {step['what']}: {step['value']}", markup=False, soft_wrap=True)

    show_one(answer, form, told)


def _why(mailer: pipeline.Mailer, email: str, name: str | None, at: datetime) -> dict[str, Any]:
    """A campaign stands before a journey of the same name."""
    journey, _, step = (name or "").partition("/")
    if name is not None and (step or not mailer.has_campaign(name)) and drip.is_journey(mailer, journey):
        return drip.why(mailer, email, journey, step or None)
    return pipeline.why(mailer, email, name, at)


def _refuse_contradictions(given: Mapping[str, bool]) -> None:
    """An option that would be ignored is refused: `--as` without `--test` isn't meant to mail everybody."""
    for option, needed in _NEEDS.items():
        if given[option] and not given[needed]:
            raise Usage(f"{option} goes with {needed} only; nothing was sent")
    for one, other in _APART:
        if given[one] and given[other]:
            raise Usage(f"{one} and {other} don't go together; nothing was sent")


def _question(made: "pipeline.Planned") -> str:
    if can_be_asked():
        print_plan(made)
    number = made.summary["messages"]
    return f"Send {number:,} {'message' if number == 1 else 'messages'} of {made.campaign}?"


def _show_sent(result: "pipeline.Sent", form: Any) -> None:
    def told() -> None:
        for name, number in result.counts.items():
            if number or name == "sent":
                stdout.print(f"  {number:>9,}  {name}")
        for line in result.notes:
            stdout.print(line, markup=False, soft_wrap=True)

    show_one({"plan": result.plan_id, **result.counts}, form, told)
    if chosen(form) is not Format.TABLE:
        for line in result.notes:
            say(line)
    if result.cut_off:
        raise Unfinished("the send was cut off; `mailer resume CAMPAIGN` goes on, and nobody gets two")
    if result.counts["deferred"] or result.counts["uncertain"]:
        raise Unfinished(
            "some messages are deferred or uncertain; `mailer run` or `resume` tries the deferred again, "
            "`mailer plan show ID` names all, `mailer resume --help` tells of the uncertain"
        )
