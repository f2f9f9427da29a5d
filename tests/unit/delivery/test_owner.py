"""Whose batch is it, and is that process certainly dead?"""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine.delivery import is_dead, owner_name

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
