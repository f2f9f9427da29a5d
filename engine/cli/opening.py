"""How does a command get its workspace and its moment?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import typer

from engine import pipeline
from engine.clock import clock_set_to, parse_moment
from engine.errors import Refused, Usage
from engine.pipeline import Mailer


@contextmanager
def workspace(context: typer.Context, at: str | None = None) -> Iterator[Mailer]:
    """The opened workspace; with `--at` its clock stands at that moment."""
    mailer = pipeline.open_mailer(folder_of(context))
    try:
        yield replace(mailer, clock=clock_set_to(moment(mailer, at))) if at is not None else mailer
    finally:
        mailer.store.close()


def folder_of(context: typer.Context) -> Path:
    """The folder that --workspace or MAILER_WORKSPACE names; default: the current one."""
    folder = context.find_root().obj
    return folder if isinstance(folder, Path) else Path()


def moment(mailer: Mailer, at: str | None) -> datetime:
    """The moment of `--at`, or now by the workspace's clock."""
    return mailer.clock() if at is None else parse_moment(at, mailer.zone)


def folder_to_write(option: str, folder: Path | None) -> None:
    """Usage where a file stands in the place of the folder that an option names."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise Usage(f"{option} {folder} is a file; name a folder")


def can_be_asked() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


def agreed(question: str, yes: bool) -> None:
    """Ask before something that can't be taken back; Refused where nobody can answer and nobody said --yes."""
    if yes:
        return
    if not can_be_asked():
        raise Refused(f"{question} Nobody can be asked here: repeat with --yes.")
    if not typer.confirm(question, err=True):
        raise Refused("nothing was done")
