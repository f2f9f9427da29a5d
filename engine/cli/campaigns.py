"""`mailer campaign`, `preview`, `lint`: campaign files and templates, looked at before anybody gets them."""

from pathlib import Path
from typing import Annotated

import typer

from engine import journeys as drip
from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import folder_to_write, moment, workspace
from engine.cli.printing import (
    AtOption,
    Format,
    FormatOption,
    chosen,
    findings_json,
    say,
    show_findings,
    show_one,
    show_rows,
    stdout,
)
from engine.errors import Findings
from engine.model import Finding, Severity

campaigns = typer.Typer(no_args_is_help=True, help="Campaign files: list, check, make new ones, pause and cancel.")
app.add_typer(campaigns, name="campaign")

NameArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="A file of campaigns/, without .toml.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")]


@campaigns.command(name="list")
def list_campaigns(context: typer.Context, form: FormatOption = None) -> None:
    """All campaign files, with what the ledger knows of each."""
    with workspace(context) as mailer:
        rows = pipeline.campaign_rows(mailer)
    show_rows(rows, ("name", "state", "segment", "variants", "sent", "waiting", "next", "reason"), form)


@campaigns.command()
def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[CAMPAIGN]", help="Default: all.")] = None,
    strict: StrictOption = False,
    form: FormatOption = None,
) -> None:
    """Files, rules, templates, languages, sender: every fault with its place. Exit 3 when there are errors."""
    with workspace(context) as mailer:
        findings = pipeline.check_campaigns(mailer, name)
    show_and_judge(findings, strict, form)


@campaigns.command()
def new(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="winback, cross_sell or loyalty.")],
    name: Annotated[str | None, typer.Option("--name", help="The new campaign's name; default: the recipe's.")] = None,
) -> None:
    """Start a campaign from a shipped recipe: its file and its templates are copied into the workspace."""
    with workspace(context) as mailer:
        for path in pipeline.new_campaign(mailer, recipe, name or recipe):
            say(f"written: {path}")


@campaigns.command()
def start(context: typer.Context, name: NameArgument) -> None:
    """Arm a campaign whose file says `repeat`, from its next time on; or take a pause or a cancellation back."""
    with workspace(context) as mailer:
        at = moment(mailer, None)
        armed = pipeline.arm(mailer, name, at)
        pipeline.set_campaign_state(mailer, name, "running", "", at)
        lives = "run" in pipeline.status(mailer, at)["processes"]
        zone = mailer.zone
    say(f"{name} is running")
    if armed:
        coming = ", ".join(f"{one.due_at.astimezone(zone):%a %Y-%m-%d %H:%M}" for one in armed.coming)
        say(f"it comes round {armed.repeat}: next {coming} ({zone})")
    if armed and not lives:
        say("nothing runs that would send it: start `mailer run`")


@campaigns.command()
def pause(
    context: typer.Context,
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Shown to whoever asks.")] = "paused by hand",
) -> None:
    """Hold everything of a campaign that is not handed over yet; `mailer resume` goes on."""
    with workspace(context) as mailer:
        pipeline.set_campaign_state(mailer, name, "paused", reason, moment(mailer, None))
    say(f"{name} is paused: {reason}")


@campaigns.command()
def cancel(context: typer.Context, name: NameArgument) -> None:
    """Stop a campaign for good: what has not gone out never will."""
    with workspace(context) as mailer:
        pipeline.set_campaign_state(mailer, name, "cancelled", "cancelled by hand", moment(mailer, None))
    say(f"{name} is cancelled")


@app.command()
def preview(
    context: typer.Context,
    campaign: NameArgument,
    to: Annotated[str, typer.Option("--to", metavar="EMAIL", help="The contact whose mail it is.")],
    variant: Annotated[str | None, typer.Option("--variant", help="Default: the one she would get.")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the .eml, .html and .txt go.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Write exactly the mail that one person would get: .eml, .html and .txt."""
    folder_to_write("--out", out)
    with workspace(context, at) as mailer:
        journey, _, step = campaign.partition("/")
        seen = (
            drip.preview(mailer, journey, step, to, moment(mailer, at), variant=variant, out=out)
            if step
            else pipeline.preview(mailer, campaign, to, variant, out, moment(mailer, at))
        )
    if show:
        typer.launch(str(seen.html))
    data = {"variant": seen.variant, "language": seen.language, "subject": seen.subject, "reason": seen.reason}
    show_one(data | {"eml": str(seen.eml), "html": str(seen.html), "text": str(seen.text)}, form)
    if seen.reason:
        say(f"planned now, she would get nothing: {seen.reason}")


@app.command()
def lint(
    context: typer.Context,
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Templates (.mjml or their folders) and messages (.eml).")
    ],
    strict: StrictOption = False,
    form: FormatOption = None,
) -> None:
    """Check templates and messages: codes with file:line:col. Needs no database. Exit 3 when there are errors."""
    # Two files of one template are looked at together, and told once.
    findings = list(dict.fromkeys(finding for file in files for finding in pipeline.lint(file)))
    show_and_judge(findings, strict, form)


def show_and_judge(findings: list[Finding], strict: bool, form: Format | None) -> None:
    """What was found; raises Findings when there are errors, or warnings with `strict`."""
    if chosen(form) is Format.TABLE:
        show_findings(findings)
        if not findings:
            stdout.print("[green]no findings[/green]")
    else:
        show_one({"findings": findings_json(findings)}, form)
    errors = [f for f in findings if f.severity is Severity.ERROR or (strict and f.severity is Severity.WARNING)]
    if errors:
        raise Findings("1 fault found" if len(errors) == 1 else f"{len(errors)} faults found")
