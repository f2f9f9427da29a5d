"""Every command explains itself, stands in the documentation, and starts without waiting for what it doesn't need."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk
from typer.main import get_command

from engine.cli.app import ORDER, app

PAGE = Path(__file__).parents[3] / "docs" / "commands.md"
HEAVY = ("scipy", "matplotlib", "pandas", "pyarrow", "alembic", "lxml", "mjml", "css_inline", "uvicorn", "apscheduler")


def commands(group: Any, *path: str) -> Iterator[tuple[str, Any]]:
    for name, one in group.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, *path, name)
        elif not one.hidden:
            yield " ".join((*path, name)), one


COMMANDS = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_help(bare_desk: Desk, name: str) -> None:
    typed = bare_desk.type(f"{name} --help")

    assert (0, "") == (typed.code, typed.err)
    assert f"Usage: mailer {name}" in " ".join(typed.out.split())
    assert COMMANDS[name].help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_is_explained(name: str) -> None:
    unexplained = [one.name for one in COMMANDS[name].params if not getattr(one, "help", None) and not one.hidden]

    assert [] == unexplained


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_stands_in_the_documentation(name: str) -> None:
    assert re.search(rf"^\| `mailer {name}[ `]", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_documentation_names_no_command_that_is_not_there() -> None:
    written = re.findall(r"^\| `mailer ([a-z]+(?: [a-z]+)?)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert {"plan show"} == set(written) - set(COMMANDS)  # written as an argument of `plan`


def test_the_documentation_names_no_option_that_is_not_there() -> None:
    known = {word for one in COMMANDS.values() for param in one.params for word in param.opts}

    written = set(re.findall(r"--[a-z][a-z-]+", PAGE.read_text(encoding="utf-8")))
    assert set() == written - known - {"--workspace", "--help", "--version"}


def test_the_help_follows_a_campaigns_life(bare_desk: Desk) -> None:
    shown = re.findall(r"^│ ([a-z]+) ", bare_desk.type("--help").out, re.MULTILINE)

    assert [name for name in ORDER if name in shown] == shown
    assert {name.split()[0] for name in COMMANDS} == set(shown)


def test_a_line_without_a_command_shows_the_help(bare_desk: Desk) -> None:
    typed = bare_desk.type("")

    assert (2, "") == (typed.code, typed.err)
    assert "Usage: mailer" in typed.out


def test_the_version_is_told(bare_desk: Desk) -> None:
    assert re.fullmatch(r"mailer \d+\.\d+\.\d+\n", bare_desk.type("--version").out)


def test_starting_up_loads_nothing_heavy() -> None:
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import engine.cli"], capture_output=True, text=True, check=True
    ).stderr

    modules = {line.rpartition("|")[2].strip().partition(".")[0] for line in loaded.splitlines()}
    assert "sqlalchemy" in modules  # else nothing was measured
    assert set() == modules & set(HEAVY)


def test_a_reader_who_has_seen_enough_is_no_fault(tmp_path: Path) -> None:
    line = f"{sys.executable} -m engine --help | head -1; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=os.environ)

    assert (0, "") == (done.returncode, done.stderr)
