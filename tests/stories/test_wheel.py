"""What is shipped works by itself: the wheel, in a venv of its own, in a folder without the source tree."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Where the wheel puts what stands outside the package.
SHIPPED = {
    "templates": "engine/shipped/templates",
    "migrations": "engine/shipped/migrations",
    "config.example.toml": "engine/shipped/config.example.toml",
    "engine": "engine",
}
CONTACTS = """email,given_name,language,mailing_consent,consent_source
anna@people.test,Anna,en,yes,form
bo@people.test,Bo,fi,yes,form
"""
ORDERS = "order_id,email,ordered_at,product_id,quantity,unit_price\n" + "".join(
    f"{who[0]}{month},{who},2025-{month:02}-05,tea,1,4.50\n"
    for who in ("anna@people.test", "bo@people.test")
    for month in (7, 8, 9)
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree."""
    folder = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)], ROOT)
    (built,) = folder.glob("mailer-*.whl")
    return built


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty venv with the wheel; its dependencies are lent by the venv that runs the tests, its engine is not."""
    folder = empty_venv(tmp_path_factory.mktemp("venv"))
    run([str(folder / "bin" / "pip"), "install", "--quiet", "--no-index", "--no-deps", str(wheel)], folder)
    # A folder named in a .pth file is only looked into: the editable engine's own .pth in it does nothing.
    (site_of(folder) / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@pytest.mark.parametrize("source", SHIPPED)
def test_every_file_of_the_tree_is_in_the_wheel(wheel: Path, source: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}

    files = (
        [ROOT / source] if (ROOT / source).is_file() else [one for one in (ROOT / source).rglob("*") if one.is_file()]
    )
    wanted = {one: target(one, source) for one in files if "__pycache__" not in one.parts}
    assert wanted
    assert [] == [path for path, name in wanted.items() if held.get(name) != path.read_bytes()]


def test_the_wheel_holds_what_is_read_at_run_time(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())

    assert (
        set()
        == {
            "engine/shipped/config.example.toml",
            "engine/shipped/migrations/env.py",
            "engine/shipped/templates/_layout/shop.mjml",
            "engine/shipped/templates/winback/body.mjml",
            "engine/examples/segments.toml",
            "engine/examples/campaigns/winback.toml",
            "engine/web/page.html",
            "engine/analysis/report.html",
        }
        - names
    )
    assert [] == [name for name in names if name.startswith(("tests/", "docs/"))]


def test_the_tree_itself_holds_no_shipped_copy() -> None:
    assert not (ROOT / "engine" / "shipped").exists()


def test_the_installed_engine_runs_a_shop(venv: Path, tmp_path: Path) -> None:
    told = rehearse(venv, tmp_path)

    assert (2, 2, 0) == (told["audience"], told["messages"] + told["holdout"], len(told["skipped"]))
    assert [] == [one for one in told["findings"] if one["severity"] == "error"]


@pytest.mark.soak
def test_the_wheel_runs_with_what_the_lock_names(wheel: Path, tmp_path: Path) -> None:
    venv = empty_venv(tmp_path)
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv is None:  # as the Makefile does
        run([str(venv / "bin" / "pip"), "install", "--quiet", "uv"], tmp_path)
        uv = str(venv / "bin" / "uv")
    install = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
    run([*install, "--require-hashes", "-r", str(ROOT / "requirements.lock")], tmp_path)
    run([*install, "--no-deps", str(wheel)], tmp_path)

    told = rehearse(venv, tmp_path)

    assert 2 == told["audience"]


def rehearse(venv: Path, folder: Path) -> dict[str, object]:
    """A shop from nothing to the dry run of its first campaign, all by the installed command; gives what it said."""
    mailer = str(venv / "bin" / "mailer")
    where = run([str(venv / "bin" / "python"), "-c", "import engine; print(engine.__file__)"], folder)
    assert Path(where.strip()).is_relative_to(site_of(venv))

    run([mailer, "init", "shop"], folder)
    shop = folder / "shop"
    config = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(config.replace("allow_test_domains = false", "allow_test_domains = true"))
    (shop / "contacts.csv").write_text(CONTACTS)
    (shop / "orders.csv").write_text(ORDERS)
    (shop / "products.csv").write_text("product_id,title,price,url\ntea,Tea,4.50,https://shop.example/tea\n")
    run([mailer, "db", "upgrade"], shop)
    for kind in ("contacts", "products", "orders"):
        run([mailer, "import", kind, f"{kind}.csv"], shop)
    told: dict[str, object] = json.loads(
        run([mailer, "send", "winback", "--dry-run", "--format", "json", "--at", "2026-03-01"], shop)
    )
    return told


def run(command: list[str], folder: Path) -> str:
    """What the command writes to stdout; what it says on stderr is shown when it fails."""
    outside = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAILER_", "VIRTUAL"))
    }
    done = subprocess.run(command, cwd=folder, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def empty_venv(folder: Path) -> Path:
    run([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    return folder / "venv"


def site_of(venv: Path) -> Path:
    return next((venv / "lib").glob("python3*")) / "site-packages"


def target(path: Path, source: str) -> str:
    """Where a file of the tree stands in the wheel."""
    return "/".join((SHIPPED[source], *path.relative_to(ROOT / source).parts))
