"""Which process holds a batch, and is it certainly dead?

A name is `host|boot|pid|start`: host with the number of its process table (containers may share a host name and a
kernel, and count their processes apart), the kernel's boot id, the process id and the tick at which it started.

Of a process in another table, a container's that was started again for one, only the kernel can tell: a file beside
its journals is locked (flock(2)) for as long as it lives.
"""

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UNKNOWN = "?"
_LEFT_SECONDS = 7 * 86_400.0  # long after that nothing is held in the name of a dead process


def owner_name() -> str:
    """This process, named so that no other process, before or after, has the same name."""
    return f"{_host()}|{_boot()}|{os.getpid()}|{_start(os.getpid()) or _UNKNOWN}"


@contextmanager
def presence(folder: Path, owner: str) -> Iterator[None]:
    """While it is open, whoever shares the folder and the kernel can tell that this process lives.

    Where the file can't be written or locked nobody is told, and nobody is taken for dead by it.
    """
    held = -1
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        held = os.open(_sign(folder, owner), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(held, fcntl.LOCK_SH)  # shared: one process may be present twice
    try:
        yield
    finally:
        if held >= 0:
            _sign(folder, owner).unlink(missing_ok=True)
            os.close(held)


def is_dead(owner: str, folder: Path | None = None) -> bool:
    """True only when this can be proved: same boot, and the process is gone or a zombie.

    It is looked for in this host's table, else by its `presence` in the folder.
    """
    parts = owner.split("|")
    if len(parts) != 4 or _UNKNOWN in parts[1:] or parts[1] != _boot() or not parts[2].isdigit():
        return False
    if parts[0] == _host() and _UNKNOWN not in parts[0]:
        return _start(int(parts[2])) != parts[3]
    return folder is not None and _is_left(_sign(folder, owner))


def _sign(folder: Path, owner: str) -> Path:
    return folder / f"{hashlib.sha256(owner.encode()).hexdigest()[:32]}.owner"


def _is_left(sign: Path) -> bool:
    """Whether the file is there and nobody holds it."""
    try:
        seen = os.open(sign, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(seen, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(seen)
    return True


def _sweep(folder: Path) -> None:
    """Delete what processes left that died long ago."""
    before = time.time() - _LEFT_SECONDS
    for sign in folder.glob("*.owner"):
        if sign.stat().st_mtime < before and _is_left(sign):
            sign.unlink(missing_ok=True)


def _host() -> str:
    try:
        table = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        return f"{socket.gethostname()}#{_UNKNOWN}"
    return f"{socket.gethostname()}#{table}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return _UNKNOWN  # no Linux: nothing can be proved, and leases run out by themselves


def _start(pid: int) -> str:
    """When the process started, in ticks since boot; empty when there is none or it is a zombie."""
    try:
        said = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The name in brackets may itself hold blanks and brackets: proc(5).
    fields = said.rpartition(")")[2].split()
    return "" if fields[0] in "ZX" else fields[19]
