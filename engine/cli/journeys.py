"""`mailer journey`: journey files and what runs of them: list, check, draw, make new ones."""

import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from engine import journeys as drip
from engine.cli.app import app
from engine.cli.campaigns import StrictOption, show_and_judge
from engine.cli.opening import workspace
from engine.cli.printing import FormatOption, say, show_one, show_rows
from engine.errors import Usage

journeys = typer.Typer(no_args_is_help=True, help="Journeys: list, check, draw, make new ones, start and pause.")
app.add_typer(journeys, name="journey")

JourneyArgument = Annotated[str, typer.Argument(metavar="JOURNEY", help="A file of journeys/, without .toml.")]


@journeys.command(name="list")
def list_journeys(context: typer.Context, form: FormatOption = None) -> None:
    """All journeys, with how many came in, are inside, got mail and reached the goal."""
    with workspace(context) as mailer:
        rows = drip.journey_rows(mailer)
    columns = ("name", "state", "version", "start", "entered", "inside", "sent", "goal", "reason")
    show_rows(rows, columns, form)


@journeys.command()
def check(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[JOURNEY]", help="Default: all.")] = None,
    strict: StrictOption = False,
    form: FormatOption = None,
) -> None:
    """Files, rules, steps, templates, languages: every fault with its place. Exit 3 when there are errors."""
    with workspace(context) as mailer:
        findings = drip.check(mailer, name)
    show_and_judge(findings, strict, form)


@journeys.command()
def show(
    context: typer.Context,
    name: JourneyArgument,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="Default: the newest, with the numbers of all.")
    ] = None,
    svg: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the drawing there.")] = None,
    look: Annotated[bool, typer.Option("--open", help="Open the drawing in a browser.")] = False,
    form: FormatOption = None,
) -> None:
    """A journey's steps, how many went each way, and where people stand; as text, JSON or a drawing."""
    if svg is not None and not svg.absolute().parent.is_dir():
        raise Usage(f"the folder of {svg} does not exist; make it first, or choose another")
    with workspace(context) as mailer:
        seen = drip.shown(mailer, name, version)
    if look and svg is None:
        svg = Path(tempfile.mkdtemp(prefix="mailer-")) / f"{name}.svg"
    if svg is not None:
        svg.write_text(drip.as_svg(seen.journey, seen.counts if seen.version else None), encoding="utf-8")
        say(f"written: {svg}")
    if look:
        typer.launch(str(svg))
    show_one(_told(seen), form, lambda: _tell(seen))
    if seen.differs:
        say(seen.differs)


def _tell(seen: drip.Shown) -> None:
    stands = f"{seen.journey.name}: {seen.state}, version {seen.version}" if seen.version else "not published yet"
    print(f"{stands}: {seen.reason}" if seen.reason else stands)
    if seen.journey.description:
        print(seen.journey.description)
    print()
    print(drip.as_text(seen.journey, seen.counts if seen.version else None), end="")
    if seen.held_out.entered:
        print(f"holdout, who get no mail: {seen.held_out.entered:,} came in, {drip.ended_said(seen.held_out.ended)}")


def _told(seen: drip.Shown) -> dict[str, Any]:
    """The stable JSON."""
    return {
        "name": seen.journey.name,
        "state": seen.state.value,
        "reason": seen.reason,
        "version": seen.version,
        "differs": seen.differs,
        "definition": drip.to_json(seen.journey),
        **_numbers(seen.counts),
        "holdout": _numbers(seen.held_out),
    }


def _numbers(counts: drip.Counts) -> dict[str, Any]:
    return {
        "entered": counts.entered,
        "inside": dict(counts.inside),
        "ways": [
            {"step": step, "result": result, "to": to, "people": people}
            for (step, result, to), people in counts.gone.items()
        ],
        "ended": [{"step": step, "state": state, "people": people} for (step, state), people in counts.ended.items()],
    }


@journeys.command()
def new(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A shipped journey, as welcome.")],
    name: Annotated[str | None, typer.Option("--name", help="The new journey's name; default: the recipe's.")] = None,
) -> None:
    """Start a journey from a shipped recipe: its file and its templates are copied into the workspace."""
    with workspace(context) as mailer:
        for path in drip.new_journey(mailer, recipe, name or recipe):
            say(f"written: {path}")
