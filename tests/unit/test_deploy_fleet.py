"""The compose file: it starts commands that exist, with files that a workspace has, in an order that works."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from engine import pipeline
from engine.cli.app import app
from engine.config import Web

ROOT = Path(__file__).parents[2]
OURS = ("upgrade", "run", "worker-1", "worker-2")
_PASSWORD = "/run/secrets/database_password"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace as the page on several machines tells to make it."""
    folder = tmp_path_factory.mktemp("compose") / "shop"
    pipeline.init(folder)
    (folder / "database.password").write_text("something long")
    return folder


@pytest.fixture(scope="module")
def compose(shop: Path) -> dict[str, Any]:
    """The file as compose reads it: variables in their places, $$ as $."""
    text = (ROOT / "deploy" / "compose.yaml").read_text()
    assert {"SHOP"} == set(re.findall(r"(?<!\$)\$\{(\w+)", text))
    whole = re.sub(r"(?<!\$)\$\{SHOP[^}]*\}", str(shop), text).replace("$$", "$")
    found: dict[str, Any] = yaml.safe_load(whole)
    return found


def understood(words: list[str]) -> dict[str, object]:
    """What our command line makes of it; fails as a wrong one does."""
    import engine.cli  # noqa: F401  the commands

    group: Any = typer.main.get_command(app)
    context = group.make_context("mailer", list(words))
    while hasattr(group, "commands"):
        group, words = group.commands[words[0]], words[1:]
    with group.make_context(group.name, list(words), parent=context) as found:
        return dict(found.params)


def test_every_service_of_ours_runs_a_command_that_exists(compose: dict[str, Any]) -> None:
    services = compose["services"]

    assert {"database", *OURS} == services.keys()
    assert {} == understood(services["upgrade"]["command"])
    assert 0 == understood(services["run"]["command"])["senders"]
    for name in ("worker-1", "worker-2"):
        told = understood(services[name]["command"])
        assert ("json", False) == (told["log"], told["once"])


def test_the_password_reaches_the_database_from_its_file_and_no_command_line(compose: dict[str, Any]) -> None:
    for name in OURS:
        shell, option, script, nought = compose["services"][name]["entrypoint"]
        assert ("sh", "-c", "mailer") == (shell, option, nought)
        assert ["exec", "mailer", "$@"] == shlex.split(script.partition("; ")[2])
        assert f'export PGPASSWORD="$(cat {_PASSWORD})"' == script.partition("; ")[0]
        assert "database_password" in compose["services"][name]["secrets"]
    assert _PASSWORD == compose["services"]["database"]["environment"]["POSTGRES_PASSWORD_FILE"]


def test_every_file_that_is_mounted_is_in_the_workspace_or_the_tree(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for mount in service.get("volumes", ()):
            source = mount.split(":")[0]
            assert source in compose["volumes"] or Path(source).exists(), (name, mount)
    assert all(Path(one["file"]).is_file() for one in compose["secrets"].values())
    build = compose["services"]["run"]["build"]
    context = ROOT / "deploy" / build["context"]
    assert (context / build["dockerfile"]).is_file()


def test_a_worker_has_settings_and_secret_and_a_place_of_its_own_for_its_journal(compose: dict[str, Any]) -> None:
    for name in ("worker-1", "worker-2"):
        worker = compose["services"][name]
        own, config = worker["volumes"]
        assert f"{name}:/workspace" == own
        assert config.endswith("/config.toml:/workspace/config.toml:ro")
        assert {"source": "mailer_key", "target": "/workspace/secret.key"} in worker["secrets"]


def test_nobody_begins_before_the_tables_are_there_and_who_dies_is_started_again(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert "service_healthy" == services["upgrade"]["depends_on"]["database"]["condition"]
    assert "no" == services["upgrade"]["restart"]
    for name in ("run", "worker-1", "worker-2"):
        assert "service_completed_successfully" == services[name]["depends_on"]["upgrade"]["condition"]
        assert "unless-stopped" == services[name]["restart"]
        assert 20 < int(services[name]["stop_grace_period"].removesuffix("s")), "a sender is killed after twenty"


def test_only_who_has_pages_is_asked_for_its_health(compose: dict[str, Any]) -> None:
    services = compose["services"]
    port = Web().listen.rpartition(":")[2]

    assert [f"127.0.0.1:{port}:{port}"] == services["run"]["ports"]
    assert "healthcheck" not in services["run"], "the image's own"
    assert all(services[name]["healthcheck"] == {"disable": True} for name in OURS if name != "run")
    assert "pg_isready" == services["database"]["healthcheck"]["test"][1]
