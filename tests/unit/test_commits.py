"""Whether anybody has committed is told without a statement; where it can't be told, that is told."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pytest
from other_process import OtherProcess

from engine.store import Commits

WRITE = "UPDATE t SET n = n + 1"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is never a mark")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database in WAL mode."""
    with opened(tmp_path / "some.db") as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t (n)")
        db.execute("INSERT INTO t VALUES (0)")
    return tmp_path / "some.db"


@contextmanager
def opened(file: Path | str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        yield db


@pytest.fixture
def ours(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to it, after a first commit."""
    with opened(file) as db:
        db.execute(WRITE)
        yield db


@pytest.fixture
def commits(ours: sqlite3.Connection) -> Iterator[Commits]:
    with closing(Commits(ours)) as commits:
        yield commits


@pytest.fixture(params=["another connection", "another process"])
def write(request: pytest.FixtureRequest, file: Path, ours: sqlite3.Connection) -> Iterator[Callable[[str], object]]:
    if request.param == "another connection":
        with opened(file) as db:
            yield lambda statement: db.execute(statement).fetchall()
        return
    with OtherProcess(file) as process:
        yield process.run


def test_a_mark_stands_until_somebody_commits(commits: Commits, write: Callable[[str], object]) -> None:
    mark = commits.mark()
    assert mark is not None
    assert commits.are_still(mark)

    write("SELECT n FROM t")
    assert commits.are_still(mark)
    write(WRITE)
    assert not commits.are_still(mark)
    assert commits.mark() not in (None, mark)


def test_what_is_written_and_not_committed_changes_no_mark(file: Path, commits: Commits) -> None:
    mark = commits.mark()
    with opened(file) as db:
        db.execute("BEGIN IMMEDIATE")
        db.execute(WRITE)
        assert commits.are_still(mark)
        db.execute("ROLLBACK")
    assert commits.are_still(mark)


def test_no_mark_comes_twice_however_often_the_log_begins_anew(
    commits: Commits, write: Callable[[str], object]
) -> None:
    random, seen = Random(1), {commits.mark()}
    for _ in range(150):
        if random.random() < 0.5:
            write(f"PRAGMA wal_checkpoint({random.choice('PASSIVE FULL RESTART TRUNCATE'.split())})")
        write(WRITE)
        assert commits.mark() not in seen
        seen.add(commits.mark())


def test_a_log_that_was_found_empty_gives_no_mark(file: Path) -> None:
    with opened(file) as db, closing(Commits(db)) as commits:
        assert commits.mark() is None
        db.execute(WRITE)
        assert commits.mark() is not None


@pytest.mark.parametrize(("at", "what"), [(8, "the first copy"), (56, "the second copy"), (0, "another version")])
def test_a_header_that_is_not_whole_gives_no_mark(file: Path, commits: Commits, at: int, what: str) -> None:
    mark = commits.mark()

    # From another process: whoever closes this file drops the locks that SQLite holds in his own.
    code = f"f = open({f'{file}-shm'!r}, 'r+b'); f.seek({at}); f.write(b'garb')"
    if what == "another version":
        code += "; f.seek(48); f.write(b'garb')"
    subprocess.run([sys.executable, "-c", code], check=True)

    assert commits.mark() is None
    assert not commits.are_still(mark)


@pytest.mark.parametrize("mode", ["journal_mode=DELETE", "locking_mode=EXCLUSIVE"])
def test_there_is_no_mark_in_another_mode(file: Path, mode: str) -> None:
    with opened(file) as db:
        db.execute(f"PRAGMA {mode}")
        db.execute(WRITE)
        with closing(Commits(db)) as commits:
            assert commits.mark() is None


def test_there_is_no_mark_in_memory() -> None:
    with opened(":memory:") as db, closing(Commits(db)) as commits:
        assert commits.mark() is None


@pytest.fixture
def other(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another database that this process has open."""
    with opened(tmp_path / "another.db") as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE t (n)")
        yield other


def test_of_two_open_databases_ours_is_told_by_its_lock(
    ours: sqlite3.Connection, other: sqlite3.Connection, write: Callable[[str], object]
) -> None:
    with closing(Commits(ours)) as commits:
        mark = commits.mark()
        assert mark is not None
        other.execute("INSERT INTO t VALUES (1)")
        assert commits.are_still(mark)
        write(WRITE)
        assert not commits.are_still(mark)


def test_while_another_database_is_read_nobody_guesses_which_is_ours(
    ours: sqlite3.Connection, other: sqlite3.Connection
) -> None:
    with closing(other.execute("SELECT name FROM sqlite_master")), closing(Commits(ours)) as commits:
        assert commits.mark() is None
    with closing(Commits(ours)) as commits:
        assert commits.mark() is not None


@pytest.mark.parametrize("how", ["moved away", "deleted"])
def test_a_database_that_took_the_place_of_ours_is_not_taken_for_ours(
    ours: sqlite3.Connection, file: Path, tmp_path: Path, how: str
) -> None:
    for one in list(tmp_path.glob("some.db*")):
        if how == "deleted":
            one.unlink()
        else:
            one.rename(tmp_path / f"old-{one.name}")
    with closing(Commits(ours)) as commits:
        assert commits.mark() is None
    with opened(file) as new:
        new.execute("PRAGMA journal_mode=WAL")
        new.execute("CREATE TABLE t (n)")
        with closing(Commits(ours)) as commits:
            assert commits.mark() is None


def test_closing_it_keeps_the_locks_of_the_database(file: Path, ours: sqlite3.Connection) -> None:
    take = f"import sqlite3; sqlite3.connect({str(file)!r}, timeout=0).execute('BEGIN IMMEDIATE')"
    ours.execute("BEGIN IMMEDIATE")

    commits = Commits(ours)
    commits.close()

    taken = subprocess.run([sys.executable, "-c", take], check=False, capture_output=True, text=True)
    assert "database is locked" in taken.stderr
    assert commits.mark() is None
    assert not commits.are_still(bytes(96))


# In a process of its own: where it fails, that process is gone.
_AFTER_THE_END = """
import sqlite3, sys
from engine.store import Commits
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("UPDATE t SET n = n + 1")
commits = Commits(db)
mark = commits.mark()
db.close()
assert mark is not None
for _ in range(1000):
    commits.are_still(mark)
    commits.mark()
"""


def test_reading_is_safe_even_when_the_connection_has_gone(file: Path) -> None:
    code = [sys.executable, "-c", _AFTER_THE_END, str(file)]
    assert (
        0 == subprocess.run(code, check=False, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).returncode
    )
