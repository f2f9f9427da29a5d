"""`mailer journey start, pause, resume, cancel, end, enrol`: what runs, and who is let in by hand."""

from typing import Annotated, Any

import typer

from engine import journeys as drip
from engine.cli.journeys import JourneyArgument, journeys
from engine.cli.opening import agreed, can_be_asked, moment, workspace
from engine.cli.printing import AtOption, FormatOption, YesOption, say, show_one, stderr, stdout

BecauseOption = Annotated[
    str, typer.Option("--because", metavar="WORDS", help="After the brake: what you found and mended; kept.")
]


@journeys.command()
def start(
    context: typer.Context,
    name: JourneyArgument,
    yes: YesOption = False,
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Publish a journey and let it run: shows what changes and how many are inside, and asks first."""
    with workspace(context, at) as mailer:
        found = drip.compare(mailer, name)
        if can_be_asked():
            for line in _difference_lines(found):
                stderr.print(line, markup=False, soft_wrap=True)
        agreed(_question(found), yes)
        made = drip.start(mailer, name, moment(mailer, at))

    def told() -> None:
        for line in _difference_lines(found):
            stdout.print(line, markup=False, soft_wrap=True)
        stdout.print(f"{name} is running, version {made.version}", markup=False)

    show_one(_json(made), form, told)


@journeys.command()
def pause(
    context: typer.Context,
    name: JourneyArgument,
    reason: Annotated[str, typer.Option("--reason", help="Shown to whoever asks.")] = "paused by hand",
    at: AtOption = None,
) -> None:
    """Hold a journey's mails and waits, not its goal; `mailer journey resume` goes on, all waits that much later."""
    with workspace(context, at) as mailer:
        drip.pause(mailer, name, reason, moment(mailer, at))
    say(f"{name} is paused: {reason}")


@journeys.command()
def resume(context: typer.Context, name: JourneyArgument, because: BecauseOption = "", at: AtOption = None) -> None:
    """Let a paused journey go on: whoever waits, waits that much longer."""
    with workspace(context, at) as mailer:
        drip.resume(mailer, name, because, moment(mailer, at))
    say(f"{name} is running")


@journeys.command()
def cancel(context: typer.Context, name: JourneyArgument, yes: YesOption = False, at: AtOption = None) -> None:
    """Stop a journey for good: everybody inside leaves it, and what has not gone out never will."""
    with workspace(context, at) as mailer:
        people = drip.people_inside(mailer, name)
        agreed(f"Cancel {name}? {people:,} inside leave it, and can't be brought back.", yes)
        left = drip.cancel(mailer, name, moment(mailer, at))
    say(f"{name} is cancelled; {left:,} left it")


@journeys.command()
def end(context: typer.Context, name: JourneyArgument, at: AtOption = None) -> None:
    """Let nobody in any more; whoever is inside goes on to her own end."""
    with workspace(context, at) as mailer:
        drip.end(mailer, name, moment(mailer, at))
    say(f"{name} is ended: nobody comes in any more")


@journeys.command()
def enrol(
    context: typer.Context,
    name: JourneyArgument,
    emails: Annotated[list[str], typer.Argument(metavar="EMAIL...", help="The contacts to let in.")],
    at: AtOption = None,
    form: FormatOption = None,
) -> None:
    """Let contacts in by hand; who is inside, or was there and may not come again, is left as she is."""
    with workspace(context, at) as mailer:
        counts = drip.enrol_by_hand(mailer, name, emails, moment(mailer, at))
    show_one(counts, form)


def _question(found: drip.Difference) -> str:
    if not found.version:
        return f"Start {found.name}?"
    if not found.is_new:
        return f"Let {found.name}, version {found.version}, run? Its file says nothing new."
    what = "finish their version" if found.on_edit == "finish" else "go on in the new one"
    return f"Publish version {found.version + 1} of {found.name}? {found.people:,} inside {what}."


def _difference_lines(found: drip.Difference) -> list[str]:
    """What the file changes, a line each; steps with how many stand there."""
    if not found.version:
        return [f"{found.name} is new: {len(found.added)} steps"]
    lines = [f"{found.name}, version {found.version}, is {found.state}; {found.people:,} are inside"]
    for what, steps in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
        for step in steps:
            people = (found.inside or {}).get(step, 0)
            lines.append(f"  {what}: {step}" + (f" ({people:,} stand there)" if people else ""))
    lines += [f"  changed: {key}" for key in found.settings]
    return lines


def _json(made: drip.Published) -> dict[str, Any]:
    found = made.difference
    return {
        "name": made.name,
        "version": made.version,
        "is_new": found.is_new,
        "added": list(found.added),
        "removed": list(found.removed),
        "changed": list(found.changed),
        "settings": list(found.settings),
        "inside": dict(found.inside or {}),
        "on_edit": found.on_edit.value,
        "woken": made.woken,
    }
