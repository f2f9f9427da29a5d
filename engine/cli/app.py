"""Which commands are there, and what becomes of a fault? One sentence on stderr and the right exit code, never a traceback."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from engine.errors import MailerError

app = typer.Typer(
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


@app.callback()
def _workspace(
    context: typer.Context,
    workspace: Annotated[
        Path, typer.Option(envvar="MAILER_WORKSPACE", help="The folder with config.toml; default: the current one.")
    ] = Path(),
) -> None:
    context.obj = workspace


def run(arguments: list[str]) -> int:
    """Run one command line; gives its exit code."""
    try:
        app(_workspace_first(arguments), prog_name="mailer")
    except SystemExit as end:  # how typer ends: 0, or 2 for a line it can't read
        return end.code if isinstance(end.code, int) else 1
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped", style="yellow")
        return 130
    except MailerError as fault:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[red]error:[/red] {_plain(fault)}")
        return fault.exit_code
    except BrokenPipeError:
        # `mailer ... | head`: the reader has seen enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0


def _plain(fault: MailerError) -> str:
    return str(fault).replace("[", r"\[")


def _workspace_first(arguments: list[str]) -> list[str]:
    """`--workspace DIR` may stand anywhere on the line; click wants it before the command."""
    found: list[str] = []
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word == "--workspace":
            found += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word.startswith("--workspace="):
            found.append(word)
        else:
            rest.append(word)
    return found + rest
