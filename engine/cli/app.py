"""Which commands are there, and what becomes of a fault? One sentence on stderr, an exit code, never a traceback."""

import errno
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.exceptions import TyperException

from engine.errors import MailerError, Usage

STOPPED = 130  # as shells say it: 128 + SIGINT

# A campaign's life, and below it what keeps the shop's mail going: the order of the help.
ORDER = (
    *(
        "init",
        "demo",
        "import",
        "refresh",
        "segment",
        "campaign",
        "journey",
        "preview",
        "lint",
        "plan",
        "send",
        "resume",
        "why",
    ),
    *("report", "recommend", "contact", "bounce", "run", "status", "worker", "serve", "night", "db"),
)


class _InOrder(TyperGroup):
    """Lists its commands in the order of a campaign's life."""

    def list_commands(self, ctx: object) -> list[str]:
        """The names of all commands."""
        return sorted(self.commands, key=lambda name: (*ORDER, name).index(name))


app = typer.Typer(
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""The personalised email campaign engine that people trust to press Send on.

    A campaign's way: **import** people and orders, look at **segment**s, **plan** or **send --dry-run**
    (shows every mail, sends nothing), **send**, then **report**. `mailer init` makes a workspace with working
    examples, `mailer demo` tells the whole story on a real shop's data.
    """,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"mailer {version('mailer')}")
        raise typer.Exit


@app.callback()
def _workspace(
    context: typer.Context,
    workspace: Annotated[
        Path, typer.Option(envvar="MAILER_WORKSPACE", help="The folder with config.toml; default: the current one.")
    ] = Path(),
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    context.obj = workspace


def run(arguments: list[str]) -> int:
    """Run one command line; gives its exit code."""
    try:
        code = app(_workspace_first(arguments), prog_name="mailer", standalone_mode=False) or 0
        sys.stdout.flush()
    except TyperException as fault:  # a line that can't be read
        return _told_usage(fault)
    except MailerError as fault:
        return _told(str(fault), fault.exit_code)
    except typer.Abort:  # asked, and answered with Ctrl-C or the end of the input
        return _told("nothing was done", STOPPED)
    except (BrokenPipeError, SystemExit):
        # `mailer ... | head`: the reader has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno() if sys.__stdout__ else 1)
        return 0
    except OSError as fault:
        # A path of the command line, or a full disk: the person can mend it. Anything else is a bug.
        if fault.filename is None and fault.errno != errno.ENOSPC:
            raise
        return _told(f"{fault.filename or 'the disk'}: {fault.strerror}", 1)
    if code == STOPPED:  # typer's word for Ctrl-C
        Console(stderr=True).print("stopped", style="yellow")
    return int(code)


def _told(sentence: str, code: int) -> int:
    words = sentence.replace("[", r"\[")
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {words}")
    return code


def _told_usage(fault: TyperException) -> int:
    """What is wrong with the line, and which help tells how it is written."""
    said = " ".join(fault.format_message().replace("Value error, ", "").rstrip(".").split())
    context = getattr(fault, "ctx", None)
    if said:  # nothing is said where the help itself was the answer
        pause = "" if said.endswith("?") else ";"
        _told(f"{said}{pause} `{context.command_path if context else 'mailer'} --help` shows how", fault.exit_code)
    return fault.exit_code


def _workspace_first(arguments: list[str]) -> list[str]:
    """`--workspace DIR` may stand anywhere on the line; click wants it before the command."""
    found: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--workspace":
            value = next(words, None)
            if value is None:
                raise Usage("--workspace wants the folder with config.toml behind it")
            found += [word, value]
        elif word.startswith("--workspace="):
            found.append(word)
        else:
            rest.append(word)
    return found + rest
