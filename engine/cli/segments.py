"""`mailer segment`: the small groups; who is in, how many, and why."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.markup import escape

from engine import pipeline
from engine.cli.app import app
from engine.cli.opening import moment, workspace
from engine.cli.printing import AtOption, FormatOption, show_one, show_rows, stdout
from engine.errors import Usage

segments = typer.Typer(no_args_is_help=True, help="The small groups of segments.toml: who is in, how many, and why.")
app.add_typer(segments, name="segment")

WhereOption = Annotated[
    str | None, typer.Option("--where", metavar="RULE", help='A rule instead of a name: "orders_count >= 3".')
]
_SHOWN = ("email", "greeting", "language", "country", "orders_count", "revenue", "days_since_last_order", "lifecycle")


@segments.command(name="list")
def list_segments(context: typer.Context, at: AtOption = None, form: FormatOption = None) -> None:
    """All segments with their rules and how many contacts each holds."""
    with workspace(context, at) as mailer:
        now = moment(mailer, at)
        rows = [
            {"name": one.name, "contacts": pipeline.count(mailer, one.rule, now), "description": one.description}
            | {"where": one.rule.source}
            for one in mailer.segments().values()
        ]
    show_rows(rows, ("name", "contacts", "description", "where"), form)


@segments.command()
def count(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="SEGMENT", help="A segment's name.")] = None,
    where: WhereOption = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """How many contacts a segment or a rule holds for."""
    _one_of(name, where)
    with workspace(context, at) as mailer:
        found = pipeline.count(mailer, pipeline.the_rule(mailer, name, where), moment(mailer, at))
    show_one({"contacts": found}, form)


@segments.command()
def show(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="SEGMENT", help="A segment's name.")] = None,
    where: WhereOption = None,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """The contacts themselves, with what is known of each."""
    _one_of(name, where)
    with workspace(context, at) as mailer:
        rows = map(asdict, pipeline.members(mailer, pipeline.the_rule(mailer, name, where), moment(mailer, at)))
        show_rows(rows, _SHOWN, form)


@segments.command()
def why(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="SEGMENT", help="A segment's name.")],
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The contact's address.")],
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Each condition of a segment with this contact's value: why she is in, or what keeps her out."""
    if "@" in name and "@" not in email:
        raise Usage(f"the segment comes first: mailer segment why {email} {name}")
    with workspace(context, at) as mailer:
        steps = pipeline.why_in_segment(mailer, name, email, moment(mailer, at))
    data: dict[str, Any] = {
        "segment": name,
        "email": email,
        "holds": steps[0].holds,
        "steps": [asdict(s) for s in steps],
    }

    def told() -> None:
        for step in steps:
            mark = "[green]✓[/green]" if step.holds else "[red]✗[/red]"
            indent = "  " * step.depth
            value = f"   [dim]{escape(step.value)}[/dim]" if step.value else ""
            stdout.print(f"{indent}{mark} {escape(step.text)}{value}", soft_wrap=True)

    show_one(data, form, told)


def _one_of(name: str | None, where: str | None) -> None:
    if (name is None) == (where is None):
        raise Usage("give either a segment's name or a rule with --where")
