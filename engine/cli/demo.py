"""`mailer demo`: the whole story on a real shop's data."""

from pathlib import Path
from typing import Annotated

import typer

from engine.cli.app import app
from engine.cli.reporting import print_report


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The workspace to make; must not exist yet.")] = Path(
        "demo"
    ),
    households: Annotated[
        int | None, typer.Option("--households", min=50, help="Only the panel's first so many: a quicker story.")
    ] = None,
) -> None:
    """Tell the whole story on a real grocery panel: import, segments, a win-back with A/B and holdout, send, report."""
    # It brings a web server and an SMTP inbox, which no other command should wait for.
    from engine.demo import tell

    tell(folder, print_report, households)
