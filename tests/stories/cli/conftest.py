"""A small English shop, ready to send, and the command line of its owner."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from desk import CONFIG, CONTACTS, ORDERS, PRODUCTS, SECRET, Desk

from engine import pipeline


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop with its people, products and orders; copied for every test."""
    folder = tmp_path_factory.mktemp("desk") / "shop"
    folder.mkdir()
    (folder / "secret.key").write_text(SECRET)
    pipeline.init(folder, CONFIG)
    mailer = pipeline.open_mailer(folder)
    for kind, text in (("contacts", CONTACTS), ("products", PRODUCTS), ("orders", ORDERS)):
        (folder / f"{kind}.csv").write_text(text)
        pipeline.import_file(mailer, kind, folder / f"{kind}.csv", {}, "", "point", lambda _done, _total: None)
    pipeline.refresh(mailer, mailer.clock(), lambda _done, _total: None)
    mailer.store.close()
    return folder


@pytest.fixture
def desk(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Somebody who stands in the shop's folder and types."""
    shutil.copytree(prepared, tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    monkeypatch.delenv("MAILER_WORKSPACE", raising=False)
    return Desk(folder=tmp_path / "shop", capsys=capsys)


@pytest.fixture
def bare_desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Somebody in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MAILER_WORKSPACE", raising=False)
    return Desk(folder=tmp_path, capsys=capsys)


@pytest.fixture
def edited(desk: Desk) -> Callable[[str, str, str], None]:
    """Put other words into a file of the workspace."""

    def edit(name: str, old: str, new: str) -> None:
        path = desk.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return edit
