"""`mailer plan`, and what a dry run shows: who would get what and what is wrong with it. Nothing is sent here."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import moment, workspace
from engine.cli.printing import (
    AtOption,
    Format,
    FormatOption,
    chosen,
    findings_json,
    progress_of,
    show_findings,
    show_one,
    show_rows,
    stdout,
    to_json,
)
from engine.errors import Findings, MailerError, Refused, StoreUnavailable, Usage
from engine.model import Finding, Severity

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
    show_one(_plan_json(made), form, lambda: print_plan(made))


def dry_run_one(
    mailer: "pipeline.Mailer",
    name: str,
    plan_id: int | None,
    occurrence: str,
    out: Path | None,
    at: datetime,
    strict: bool,
    form: Format | None,
) -> None:
    """Show what would go out; Findings when something is wrong with it."""
    run = _rendered(mailer, name, plan_id, occurrence, out, at)
    show_one(_dry_run_json(run), form, lambda: _print_dry_run(run))
    _judge(run.findings, strict)


def dry_run_all(context: typer.Context, out: Path | None, strict: bool, at: str | None, form: Format | None) -> None:
    """Every campaign file, one after the other; one that can't be planned is a finding and doesn't hide the rest."""
    shown: list[dict[str, Any]] = []
    found: list[Finding] = []
    with workspace(context, at) as mailer:
        for name in pipeline.campaign_names(mailer):
            try:
                run = _rendered(mailer, name, None, "once", out / name if out else None, moment(mailer, at))
            except StoreUnavailable:
                raise
            except MailerError as fault:
                where = str(mailer.campaign_file(name))
                findings = [Finding(code="not_planned", severity=Severity.ERROR, where=where, message=str(fault))]
                data = {"plan": None, "campaign": name, "findings": findings_json(findings), "samples": []}
                told = partial(show_findings, findings)
            else:
                findings, data, told = run.findings, _dry_run_json(run), partial(_print_dry_run, run)
            found += findings
            shown.append(data)
            if chosen(form) is Format.JSONL:
                print(to_json(data))
            elif chosen(form) is Format.TABLE:
                told()
    if chosen(form) is Format.JSON:
        print(to_json(shown))
    _judge(found, strict)


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


def _rendered(
    mailer: "pipeline.Mailer", name: str, plan_id: int | None, occurrence: str, out: Path | None, at: datetime
) -> "pipeline.DryRun":
    with progress_of(f"dry run of {name}") as progress:
        if plan_id is None:
            return pipeline.dry_run(mailer, name, at, occurrence, out, progress)
        made = pipeline.planned(mailer, plan_id)
        if made.campaign != name:
            raise Refused(f"plan {plan_id} is of campaign {made.campaign!r}, not {name!r}")
        return pipeline.dry_run_of(mailer, made, at, out, progress)


def _plan_json(made: "pipeline.Planned") -> dict[str, Any]:
    """A plan's stable JSON."""
    return {
        "plan": made.plan_id,
        "campaign": made.campaign,
        "occurrence": made.occurrence,
        **made.summary,
        "hash": made.hash,
    }


def _dry_run_json(run: "pipeline.DryRun") -> dict[str, Any]:
    found = {"findings": findings_json(run.findings), "samples": [str(one) for one in run.samples]}
    return _plan_json(run.planned) | found


def _judge(findings: Sequence[Finding], strict: bool) -> None:
    if any(one.severity is Severity.ERROR or (strict and one.severity is Severity.WARNING) for one in findings):
        raise Findings("the dry run found faults; nothing was sent")


def _print_dry_run(run: "pipeline.DryRun") -> None:
    print_plan(run.planned)
    show_findings(run.findings)
    if not run.findings:
        stdout.print("[green]no findings[/green]")
    if run.samples:
        stdout.print(f"samples: {run.samples[0].parent}/*.eml", markup=False, soft_wrap=True)
    again = f"mailer send {run.planned.campaign} --plan {run.planned.plan_id}"
    stdout.print(f"nothing was sent; `{again}` sends exactly this", markup=False, soft_wrap=True)
