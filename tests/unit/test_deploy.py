"""What operators install: the service and the container call commands that exist, with files that are there."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from packaging.requirements import Requirement
from tracked_shop import make_shop, opened

from engine import web
from engine.cli.app import app
from engine.config import Web

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def unit() -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(DEPLOY / "mailer.service")
    return found


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The Containerfile's instructions."""
    text = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text())
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word.isupper()]


def of(steps: list[tuple[str, str]], word: str) -> list[str]:
    return [rest for one, rest in steps if one == word]


def understood(words: list[str]) -> dict[str, object]:
    """What our command line makes of it; fails as a wrong one does."""
    import engine.cli  # noqa: F401  the commands

    group = typer.main.get_command(app)
    context = group.make_context("mailer", list(words))
    command = group.commands[words[0]]  # type: ignore[attr-defined]
    with command.make_context(words[0], words[1:], parent=context) as found:
        return dict(found.params)


def test_the_service_starts_our_run(unit: configparser.ConfigParser) -> None:
    words = shlex.split(unit["Service"]["ExecStart"])

    assert "/opt/mailer/bin/mailer" == words[0]
    assert "run" == words[1]
    assert "text" == understood(words[1:])["log"]


def test_the_service_waits_for_what_run_tells(unit: configparser.ConfigParser) -> None:
    service = unit["Service"]

    assert ("notify", "main", "always") == (service["Type"], service["NotifyAccess"], service["Restart"])
    assert int(service["WatchdogSec"]) >= 10 * 5, "the clock answers every five seconds"
    assert int(service["TimeoutStopSec"]) > 20, "a sender is killed after twenty"
    assert "/var/lib/mailer" == service["WorkingDirectory"]
    assert "MAILER_WORKSPACE=/var/lib/mailer" == service["Environment"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_understands_every_line_of_the_service(tmp_path: Path) -> None:
    text = (DEPLOY / "mailer.service").read_text().replace("/opt/mailer/bin/mailer", sys.executable)
    (tmp_path / "mailer.service").write_text(text)

    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "mailer.service")], capture_output=True, text=True
    )

    assert "" == "\n".join(line for line in found.stderr.splitlines() if "mailer.service" in line)


def test_the_container_runs_our_run_without_root(steps: list[tuple[str, str]]) -> None:
    words = [*json.loads(of(steps, "ENTRYPOINT")[0]), *json.loads(of(steps, "CMD")[0])]

    assert "mailer" == words[0]
    assert "json" == understood(words[1:])["log"]
    assert ["mailer"] == of(steps, "USER")
    assert ["/workspace"] == of(steps, "VOLUME")
    last_run = max(n for n, (word, _) in enumerate(steps) if word == "RUN")
    assert last_run < [word for word, _ in steps].index("USER"), "what needs root comes before"


def test_the_container_is_built_of_files_that_are_there(steps: list[tuple[str, str]]) -> None:
    copied = [rest.split()[:-1] for rest in of(steps, "COPY") if not rest.startswith("--from")]

    for source in (one for words in copied for one in words):
        assert (ROOT / source).exists(), source
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for source in (*shipped["packages"], *shipped["force-include"]):
        assert source in {one for words in copied for one in words}, "the wheel needs it"


def test_the_containers_constraints_are_the_lock_without_hashes() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    kept = [line.removesuffix(" \\") for line in lines if "--hash=" not in line]
    pins = [Requirement(line) for line in kept if line.strip() and not line.lstrip().startswith("#")]

    assert len(pins) > 30
    assert all(str(one.specifier).startswith("==") for one in pins)


def test_the_containers_health_check_asks_what_the_pages_answer(steps: list[tuple[str, str]], tmp_path: Path) -> None:
    (asked,) = of(steps, "HEALTHCHECK")
    port = Web().listen.rpartition(":")[2]
    (tmp_path / "shop").mkdir()
    make_shop(tmp_path / "shop", 1, send=False)
    with opened(tmp_path / "shop") as mailer:
        paths = {getattr(one, "path", "") for one in web.tracking_app(mailer).routes}

    assert f"http://127.0.0.1:{port}/health" in asked
    assert "/health" in paths
    assert [port] == of(steps, "EXPOSE")
