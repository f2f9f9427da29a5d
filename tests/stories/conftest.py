"""A small shop that is ready to send, on either database, and a mail server that remembers what it took."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from command_line import Commands
from databases import create_database, on_server
from fault_trial import SEED, Faulty
from faulty_server import FaultyServer
from sender_host import SenderHost
from sink import Sink
from story_shop import CONFIG, NOTE, ORDERS, PEOPLE, PRODUCTS, Shop, address, people

from engine import pipeline


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """A workspace whose people, products and orders are in, to copy; made once for each database."""
    made: dict[str, Path] = {}

    def prepare(kind: str, url: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind) / "shop"
            pipeline.init(made[kind], CONFIG.format(url=url, port=1, connections=1, login="", web=1))
            (made[kind] / "templates" / "note").mkdir()
            (made[kind] / "templates" / "note" / "en.mjml").write_text(NOTE)
            shop = Shop(made[kind], url)
            shop.import_text("contacts", people(0, PEOPLE))
            shop.import_text("products", PRODUCTS)
            shop.import_text("orders", ORDERS + f"O1,{address(0)},2026-02-01T10:00:00,T1,1,4.90\n")
            shop.close()
        return made[kind]

    return prepare


@pytest.fixture(scope="session")
def postgres_shop(postgres_url: str) -> str:
    """The address of the database that PostgreSQL's copies are made from."""
    return create_database(postgres_url, f"shop{uuid.uuid4().hex[:12]}")


@pytest.fixture
def sqlite_shop(prepared: Callable[[str, str], Path], tmp_path: Path) -> Iterator[Shop]:
    """A shop on SQLite, for stories that are not about the database."""
    shutil.copytree(prepared("sqlite", "sqlite:///mailer.db"), tmp_path / "shop")
    shop = Shop(tmp_path / "shop", "sqlite:///mailer.db")
    yield shop
    shop.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, prepared: Callable[[str, str], Path], tmp_path: Path) -> Iterator[Shop]:
    """A shop on either database."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_shop")
        return
    template, server = request.getfixturevalue("postgres_shop"), request.getfixturevalue("postgres_url")
    shutil.copytree(prepared("postgresql", template), tmp_path / "shop")
    name = f"s{uuid.uuid4().hex[:12]}"
    shop = Shop(tmp_path / "shop", create_database(server, name, sa.engine.make_url(template).database))
    shop.configure(port=1)  # the copied config names the database it was copied from
    yield shop
    shop.close()
    on_server(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A mail server in this process."""
    server = Sink()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Faulty]:
    """Starts mail servers that fail on purpose, each a process of its own with a record."""
    servers: list[FaultyServer] = []

    def start(**behaviour: object) -> FaultyServer:
        servers.append(FaultyServer(tmp_path / f"record{len(servers)}", seed=SEED, **behaviour))
        servers[-1].start()
        return servers[-1]

    yield start
    for one in servers:
        one.kill()


@pytest.fixture(scope="session")
def _host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SenderHost]:
    host = SenderHost(tmp_path_factory.mktemp("host"))
    yield host
    host.close()


@pytest.fixture
def host(_host: SenderHost) -> Iterator[SenderHost]:
    """Starts real processes that send, within milliseconds."""
    yield _host
    _host.end_all()


@pytest.fixture
def commands() -> Iterator[Commands]:
    """Command lines, each in a terminal of its own."""
    typed = Commands()
    yield typed
    typed.end_all()
