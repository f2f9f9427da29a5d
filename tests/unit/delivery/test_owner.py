"""Whose batch is it, and is that process certainly dead?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from engine.delivery import Journal, is_dead, owner_name, presence, read_journal, trusted_journal

ELSEWHERE = "{}#4026531999"  # a process table that is not this one
PRESENT = """
import sys; from pathlib import Path; from engine.delivery import presence
with presence(Path(sys.argv[1]), sys.argv[2]):
    print("here", flush=True); input()
"""
NAME = "from engine.delivery import owner_name; print(owner_name(), flush=True); input()"


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", NAME], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
    )
    yield process
    process.kill()
    process.communicate()


def test_a_living_process_is_not_dead(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None

    assert not is_dead(child.stdout.readline().strip())


def test_a_killed_process_is_dead_as_a_zombie_and_when_it_is_gone(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    name = child.stdout.readline().strip()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, not yet collected

    assert is_dead(name)
    child.wait()
    assert is_dead(name)


def test_a_process_that_took_over_the_number_of_a_dead_one_is_another() -> None:
    host, boot, pid, start = owner_name().split("|")

    assert is_dead(f"{host}|{boot}|{pid}|{int(start) - 1}")


@pytest.mark.parametrize("place", [0, 1])
def test_nothing_is_known_of_another_host_or_boot(place: int) -> None:
    parts = [*owner_name().split("|")[:2], "999999999", "1"]
    assert is_dead("|".join(parts))  # here it would be dead

    parts[place] += "x"

    assert not is_dead("|".join(parts))


@pytest.mark.parametrize("name", ["", "x", "a|b|c|d", "|||", "a|b|1|2|3", "?|?|?|?"])
def test_nonsense_is_nobody_dead(name: str) -> None:
    assert not is_dead(name)


def test_a_process_whose_name_holds_brackets_and_blanks_is_read_right() -> None:
    code = f"import ctypes; ctypes.CDLL(None).prctl(15, b'a) Z (b', 0, 0, 0); {NAME}"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as one:
        assert one.stdout is not None
        name = one.stdout.readline().strip()

        assert name.rpartition("|")[2].isdigit()
        assert not is_dead(name)
        one.kill()


def test_a_forked_process_has_its_own_name() -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, owner_name().encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 4096).decode()
    os.close(read)
    os.close(write)

    assert theirs != owner_name()
    assert is_dead(theirs)


# ---------------------------------------------------------------- in another table of processes: a container's


@pytest.fixture
def elsewhere() -> str:
    """As this process would be named in a container on this machine."""
    host, boot, *rest = owner_name().split("|")
    return "|".join([ELSEWHERE.format(host.partition("#")[0]), boot, *rest])


def present(folder: Path, owner: str) -> subprocess.Popen[str]:
    """Another process that says so while it lives."""
    command = [sys.executable, "-c", PRESENT, str(folder), owner]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert "here" == process.stdout.readline().strip()
    return process


def end(process: subprocess.Popen[str], said: str | None = None) -> None:
    if said is None:
        process.kill()
    with suppress(BrokenPipeError):
        process.communicate(said)


def test_who_lives_in_another_table_is_not_dead_and_who_was_killed_there_is(tmp_path: Path, elsewhere: str) -> None:
    process = present(tmp_path, elsewhere)
    while_alive = is_dead(elsewhere, tmp_path)
    end(process)

    assert (False, True) == (while_alive, is_dead(elsewhere, tmp_path))
    assert not is_dead(elsewhere)  # not by its name alone
    assert not is_dead(elsewhere, tmp_path / "another")


def test_who_ended_in_order_leaves_no_sign(tmp_path: Path, elsewhere: str) -> None:
    end(present(tmp_path, elsewhere), "\n")

    assert ([], False) == (list(tmp_path.iterdir()), is_dead(elsewhere, tmp_path))


def test_after_a_reboot_no_sign_is_believed(tmp_path: Path, elsewhere: str) -> None:
    host, _, pid, start = elsewhere.split("|")
    before = f"{host}|5f7f5f5c-0000-0000-0000-000000000000|{pid}|{start}"
    end(present(tmp_path, before))

    assert not is_dead(before, tmp_path)


def test_a_process_that_is_present_twice_lives_on_when_one_ends(tmp_path: Path, elsewhere: str) -> None:
    with presence(tmp_path, elsewhere):
        with presence(tmp_path, elsewhere):
            assert not is_dead(elsewhere, tmp_path)
        assert not is_dead(elsewhere, tmp_path)


def test_the_journal_of_one_killed_in_another_table_is_believed(tmp_path: Path, elsewhere: str) -> None:
    process = present(tmp_path, elsewhere)
    with Journal(tmp_path, 7, 1) as journal:
        journal.handing_over(3)
    assert trusted_journal(tmp_path, 7, 1, elsewhere) is None

    end(process)

    assert read_journal(tmp_path, 7, 1) == trusted_journal(tmp_path, 7, 1, elsewhere) is not None


def test_signs_are_deleted_long_after_a_death_and_never_of_the_living(tmp_path: Path, elsewhere: str) -> None:
    end(present(tmp_path, elsewhere))
    living = f"{elsewhere}9"
    with presence(tmp_path, living):
        for sign in tmp_path.iterdir():
            os.utime(sign, (0, 0))
        with presence(tmp_path, "somebody|else|1|1"):
            left = len(list(tmp_path.glob("*.owner")))

        assert (2, False) == (left, is_dead(living, tmp_path))


def test_where_no_sign_can_be_left_nobody_is_taken_for_dead(tmp_path: Path, elsewhere: str) -> None:
    (tmp_path / "file").write_text("")

    with presence(tmp_path / "file", elsewhere):
        assert not is_dead(elsewhere, tmp_path / "file")
