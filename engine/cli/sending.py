"""`mailer plan`, `send`, `resume`, `why`: from a frozen plan to mails on their way, and the reason for each."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import agreed, moment, workspace
from engine.cli.printing import (
    AtOption,
    FormatOption,
    YesOption,
    chosen,
    findings_json,
    progress_of,
    show_findings,
    show_one,
    show_rows,
    stderr,
    stdout,
)
from engine.errors import Findings, Unfinished, Usage
from engine.model import Severity

CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A file of campaigns/, without .toml.")]
OccurrenceOption = Annotated[
    str, typer.Option("--occurrence", metavar="NAME", help="A name for sending the same campaign once more.")
]
_ENTRY_COLUMNS = ("email", "variant", "state", "reason", "send_at")


@app.command()
def plan(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(metavar="CAMPAIGN | show ID", help="Plan it, or show a plan.")],
    occurrence: OccurrenceOption = "once",
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Freeze a draft plan: who gets which variant when, who is held out, who is left out and why. Sends nothing.

    `mailer plan show ID` lists everybody in a plan.
    """
    with workspace(context, at) as mailer:
        if words[0] == "show":
            if len(words) != 2 or not words[1].isdecimal():
                raise Usage("`mailer plan show ID` wants a plan's number")
            show_rows(pipeline.plan_rows(mailer, int(words[1])), _ENTRY_COLUMNS, form)
            return
        if len(words) != 1:
            raise Usage("`mailer plan` wants one campaign")
        with progress_of("planning") as progress:
            made = pipeline.make_plan(mailer, words[0], moment(mailer, at), occurrence, progress)
    show_one(plan_json(made), form, lambda: print_plan(made))


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
    names = _names(context, campaign, everything, dry_run, at)
    with workspace(context, at) as mailer:
        if test is not None:
            with stderr.status("sending"):
                reply = pipeline.send_test(mailer, names[0], test, as_email, variant, moment(mailer, at))
            stderr.print(f"sent one copy to {test}: {reply}", markup=False)
            return
        if dry_run:
            _dry_run(mailer, names, plan_id, occurrence, out, strict, moment(mailer, at), form)
            return
        with progress_of("sending") as progress:
            result = pipeline.send(
                mailer,
                names[0],
                plan_id,
                occurrence,
                moment(mailer, at),
                lambda made: agreed(_question(made), yes, sys.stdin.isatty()),
                progress,
                wait=wait,
            )
    _show_sent(result, form)


@app.command()
def resume(
    context: typer.Context,
    target: Annotated[
        str | None, typer.Argument(metavar="[CAMPAIGN|PLAN]", help="Default: all that is under way.")
    ] = None,
    uncertain: Annotated[
        str | None,
        typer.Option(metavar="assume-sent|resend|ask", help="What to do with messages whose answer was lost."),
    ] = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Go on after a stop, a crash or a pause; tries again what was deferred. Never sends anything twice."""
    if uncertain not in (None, "assume-sent", "resend", "ask"):
        raise Usage(f"--uncertain is assume-sent, resend or ask, not {uncertain!r}")
    with workspace(context, at) as mailer, progress_of("sending") as progress:
        result = pipeline.resume(mailer, target, uncertain, progress)
    _show_sent(result, form)


@app.command()
def why(
    context: typer.Context,
    email: Annotated[str, typer.Argument(help="The contact's address.")],
    campaign: Annotated[str | None, typer.Argument(metavar="[CAMPAIGN]", help="Default: everything of hers.")] = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """The full chain for one person: rule values, consent, caps, draws, variant, attempts, what came back."""
    with workspace(context, at) as mailer:
        answer = pipeline.why(mailer, email, campaign, moment(mailer, at))

    def told() -> None:
        stdout.print(answer["answer"], markup=False, style="bold")
        for step in answer["steps"]:
            stdout.print(f"  {step['what']}: {step['value']}", markup=False)

    show_one(answer, form, told)


def plan_json(made: "pipeline.Planned") -> dict[str, Any]:
    """A plan's stable JSON."""
    return {
        "plan": made.plan_id,
        "campaign": made.campaign,
        "occurrence": made.occurrence,
        **made.summary,
        "hash": made.hash,
    }


def print_plan(made: "pipeline.Planned") -> None:
    """A plan in words."""
    said = made.summary
    stdout.print(f"[bold]Plan {made.plan_id}[/bold] of {made.campaign}: {said['audience']:,} people in the audience")
    for name, number in said["variants"].items():
        stdout.print(f"  {number:>9,}  get {name}", markup=False)
    stdout.print(f"  {said['holdout']:>9,}  are held out, by lot, to measure against")
    for reason, number in said["skipped"].items():
        stdout.print(f"  {number:>9,}  left out: {reason}", markup=False)
    shows = said.get("detectable_relative") or {}
    if shows.get("baseline"):
        stdout.print(f"  of such people {shows['baseline']:.1%} reach the goal unasked, so this audience can show")
    for key, words in (("against_holdout", "against the holdout"), ("between_variants", "between variants")):
        if shows.get(key):
            stdout.print(f"    a rise of {shows[key]:.0%} or more {words}; less will drown in chance")


def _names(context: typer.Context, campaign: str | None, everything: bool, dry_run: bool, at: str | None) -> list[str]:
    if everything:
        if not dry_run or campaign:
            raise Usage("--all goes with --dry-run, and without a campaign's name")
        with workspace(context, at) as mailer:
            return pipeline.campaign_names(mailer)
    if campaign is None:
        raise Usage("which campaign? give the name of a file of campaigns/, or --all --dry-run")
    return [campaign]


def _dry_run(
    mailer: "pipeline.Mailer",
    names: list[str],
    plan_id: int | None,
    occurrence: str,
    out: Path | None,
    strict: bool,
    at: Any,
    form: Any,
) -> None:
    worst = False
    for name in names:
        with progress_of(f"dry run of {name}") as progress:
            if plan_id is None:
                run = pipeline.dry_run(mailer, name, at, occurrence, out, progress)
            else:
                run = pipeline.dry_run_of(mailer, pipeline.planned(mailer, plan_id), at, out, progress)
        data = plan_json(run.planned) | {
            "findings": findings_json(run.findings),
            "samples": [str(s) for s in run.samples],
        }
        show_one(data, form, lambda run=run: _print_dry_run(run))  # type: ignore[misc]
        worst |= any(f.severity is Severity.ERROR or (strict and f.severity is Severity.WARNING) for f in run.findings)
    if worst:
        raise Findings("the dry run found faults; nothing was sent")


def _print_dry_run(run: "pipeline.DryRun") -> None:
    print_plan(run.planned)
    show_findings(run.findings)
    if not run.findings:
        stdout.print("[green]no findings[/green]")
    if run.samples:
        stdout.print(f"samples: {run.samples[0].parent}/*.eml", markup=False)
    stdout.print(
        f"nothing was sent; `mailer send {run.planned.campaign} --plan {run.planned.plan_id}` sends exactly this"
    )


def _question(made: "pipeline.Planned") -> str:
    if sys.stdin.isatty():
        print_plan(made)
    return f"Send {made.summary['messages']:,} messages of {made.campaign}?"


def _show_sent(result: "pipeline.Sent", form: Any) -> None:
    def told() -> None:
        for name, number in result.counts.items():
            if number or name == "sent":
                stdout.print(f"  {number:>9,}  {name}")
        for line in result.notes:
            stdout.print(line, markup=False)

    show_one({"plan": result.plan_id, **result.counts}, form, told)
    if chosen(form) != "table":
        for line in result.notes:
            stderr.print(line, markup=False)
    if result.counts["deferred"] or result.counts["uncertain"]:
        raise Unfinished("some messages are deferred or uncertain; `mailer resume` goes on, `mailer report` lists them")


__all__ = ["CampaignArgument", "plan_json", "print_plan", "show_rows"]
