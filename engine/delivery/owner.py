"""Which process holds a batch, and is it certainly dead?

A name is `host|boot|pid|start`: host with the number of its process table (containers may share a host name and a
kernel, and count their processes apart), the kernel's boot id, the process id and the tick at which it started.
"""

import os
import socket
from pathlib import Path

_UNKNOWN = "?"


def owner_name() -> str:
    """This process, named so that no other process, before or after, has the same name."""
    return f"{_host()}|{_boot()}|{os.getpid()}|{_start(os.getpid()) or _UNKNOWN}"


def is_dead(owner: str) -> bool:
    """True only when this can be proved: same host, same boot, and the process is gone or a zombie."""
    parts = owner.split("|")
    if len(parts) != 4 or _UNKNOWN in owner or parts[:2] != [_host(), _boot()] or not parts[2].isdigit():
        return False
    return _start(int(parts[2])) != parts[3]


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
