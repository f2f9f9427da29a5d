"""One shop that sent its mails, copied for each test that changes it; and its tracking server."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked_shop import Site, free_port, make_shop, served


@pytest.fixture(scope="session")
def sent_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose mails lie in the outbox; not to be changed."""
    folder = tmp_path_factory.mktemp("sent") / "shop"
    make_shop(folder, free_port())
    return folder


@pytest.fixture
def shop(sent_shop: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(sent_shop, tmp_path / "shop"))


@pytest.fixture
def site(shop: Path) -> Iterator[Site]:
    """Its tracking server, for tests that change something."""
    with served(shop) as running:
        yield running


@pytest.fixture(scope="module")
def calm_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One server for tests that look and change nothing; its own shop, for its mails name its port."""
    folder = tmp_path_factory.mktemp("calm") / "shop"
    make_shop(folder, free_port())
    with served(folder) as running:
        yield running
