"""On what was measured? The machine and the versions, so that figures can be read years later."""

import os
import platform
import re
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.sinks import postfix_tool

_LIBRARIES = "jinja2 markupsafe sqlalchemy cryptography dkimpy mjml-python".split()


def described() -> dict[str, str]:
    """What each line of the description says."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return {
        "CPU": f"{_cpu_name()}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "system": f"{system}, Linux {platform.release()}",
        "Python": f"{sys.version}, SQLite {sqlite3.sqlite_version}",  # how it was built is a quarter of its speed
        "libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "Postfix": _postfix_version(),
    }


def load() -> str:
    """The load averages of now."""
    return " ".join(f"{one:.2f}" for one in os.getloadavg())


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.machine()


def _postfix_version() -> str:
    postconf = postfix_tool("postconf")
    if postconf is None:
        return "not installed"
    told = subprocess.run([postconf, "-d", "-h", "mail_version"], capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"
