"""A real `mailer run` with all its children, its words in a file, and what the machine says about them."""

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from story_shop import Shop, quiet

from engine import pipeline

_STARTED = re.compile(r"child_started name=(?P<name>\S+) pid=(?P<pid>\d+)")


@dataclass
class Run:
    """`mailer run` in this workspace, on pages at `web`."""

    shop: Shop
    web: int
    log: Path
    _process: "subprocess.Popen[bytes] | None" = None
    _children: dict[int, int] = field(default_factory=dict)  # pid -> pidfd, so that none can be mistaken for another

    def start(self, *options: str) -> None:
        """Begin, again if need be; back at once."""
        command = [sys.executable, "-m", "engine", "--workspace", str(self.shop.folder), "run", *options]
        with self.log.open("ab") as words:
            self._process = subprocess.Popen(command, stdout=words, stderr=words, stdin=subprocess.DEVNULL)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, seconds: float = 30) -> int:
        """The parent's exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def said(self) -> str:
        return self.log.read_text()

    def pid(self, name: str) -> int:
        """The child that was started last by this name."""
        found = [one for one in _STARTED.finditer(self.said()) if one["name"] == name]
        return int(found[-1]["pid"]) if found else 0

    def child(self, name: str) -> int:
        """Waits for the child of this name; gives its pid, which is watched from now on."""
        until(lambda: bool(self.pid(name)), f"{name} was never started")
        pid = self.pid(name)
        if pid not in self._children:
            self._children[pid] = os.pidfd_open(pid)
        return pid

    def kill(self, name: str) -> None:
        """kill -9 one child."""
        signal.pidfd_send_signal(self._children[self.child(name)], signal.SIGKILL)

    def living_children(self) -> list[int]:
        """Those that were watched and still run."""
        return [pid for pid, watch in self._children.items() if not select.select([watch], [], [], 0)[0]]

    def is_answering(self) -> bool:
        """Whether the pages answer."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.web}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def status(self) -> dict[str, Any]:
        mailer = self._mailer()
        return pipeline.status(mailer, mailer.clock())

    def processes(self) -> dict[str, int]:
        found: dict[str, int] = self.status()["processes"]
        return found

    def close(self) -> None:
        """Leave nothing behind: children that nobody watched end with their parent."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        for watch in self._children.values():
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(watch, signal.SIGKILL)
            os.close(watch)

    def _mailer(self) -> pipeline.Mailer:
        if not self.shop._opened:
            self.shop.open()
        return self.shop._opened[0]


@contextmanager
def running(shop: Shop, folder: Path, port: int, connections: int = 1, *, night: bool = False) -> Iterator[Run]:
    """A `mailer run` that is not started yet; the first night is over, unless `night`."""
    web = free_port()
    shop.configure(port, connections=connections, web=web)
    mailer = shop.open()
    if not night:
        pipeline.night(mailer, mailer.clock())
    run = Run(shop, web, folder / "run.log")
    try:
        yield run
    finally:
        run.close()


def campaign_at(shop: Shop, tag: str, hour: datetime, name: str = "story", more: str = "") -> str:
    """A campaign for everybody with this tag, at that hour."""
    shop.campaign(tag, name=name)
    path = shop.folder / "campaigns" / f"{name}.toml"
    path.write_text(path.read_text().replace('"now"', f'"{hour.isoformat()}"') + more)
    return name


def seconds_to_plan(shop: Shop, tag: str) -> float:
    """How long this machine takes today to plan a campaign: an hour nearer than that is no test of waiting."""
    began, mailer = time.monotonic(), shop.open()
    pipeline.make_plan(mailer, shop.campaign(tag, name="measured"), mailer.clock(), "once", quiet)
    return time.monotonic() - began


def until(condition: Callable[[], bool], fault: str, seconds: float = 90) -> None:
    """Wait for other processes; a loaded machine is slow, a broken engine is never there."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, fault
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def in_seconds(seconds: float) -> datetime:
    """A moment that a campaign file can name: whole seconds."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
