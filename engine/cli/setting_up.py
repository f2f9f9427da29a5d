"""`mailer init`, `mailer db`: a workspace and its database."""

from pathlib import Path
from typing import Annotated

import typer

from engine import fleet, pipeline
from engine.cli.app import app
from engine.cli.opening import folder_of
from engine.cli.printing import say, stdout

db = typer.Typer(no_args_is_help=True, help="The database: migrations and copies.")
app.add_typer(db, name="db")


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where; default: the workspace folder.")
    ] = None,
) -> None:
    """Make a new workspace: a commented config.toml, example segments and campaigns, templates, a fresh secret."""
    where = folder or folder_of(context)
    written = pipeline.init(where)
    say(f"{len(written)} files written to {where.resolve()}")
    stdout.print(
        "Next: set your shop's name, address and sender in config.toml, then\n"
        "  mailer import contacts people.csv\n"
        "  mailer import orders orders.csv\n"
        "  mailer segment list\n"
        "  mailer send winback --dry-run"
    )


@db.command()
def upgrade(context: typer.Context) -> None:
    """Create the database where it is missing, and bring its tables up to this version."""
    pipeline.upgrade_database(folder_of(context))
    fleet.upgrade(folder_of(context))
    say("the database is up to date")


@db.command()
def backup(
    context: typer.Context, file: Annotated[Path, typer.Argument(metavar="FILE", help="The copy to write.")]
) -> None:
    """Write a consistent copy of the SQLite database, also while it is in use."""
    pipeline.backup(folder_of(context), file)
    say(f"copied to {file}")
