"""Which mail servers take the messages? All on loopback, all throwing mails away; each counts what it took."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_POSTFIX = Path("/usr/sbin")  # where Debian puts them; not on everybody's PATH
_READY_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")


class SinkFailed(Exception):
    """A mail server to measure with did not start, or said nothing of what it took."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A mail server that can be started here."""

    name: str
    command: tuple[str, ...]
    is_postfix: bool = False  # is given a port and shows running counters; ours print their port and their count


class Sink:
    """A running mail server; a fresh one for each run, so that its count is the run's."""

    def __init__(self, kind: Kind, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._kind = kind
        self._took = 0
        self._said = folder / f"sink-{time.monotonic_ns()}"
        command, free = list(kind.command), _free_port()
        if kind.is_postfix:
            command += [f"127.0.0.1:{free}", "128"]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL)
        self.port = free if kind.is_postfix else self._told_port()
        self._wait_for_answer()

    def cpu_seconds(self) -> float:
        """User and system time of the server so far, to the kernel's tick."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self) -> int:
        """End it, once; gives how many messages it took."""
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(_READY_SECONDS)
            text = self._said.read_text()
            self._said.unlink()
            found = re.findall(r"mesg=(\d+)", text) if self._kind.is_postfix else text.split()
            self._took = int(found[-1]) if found else 0
        return self._took

    def _told_port(self) -> int:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            if (text := self._said.read_text()).endswith("\n"):
                return int(text)
            time.sleep(0.01)
        raise SinkFailed(f"{self._kind.name} did not start")

    def _wait_for_answer(self) -> None:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            try:
                with (
                    socket.create_connection(("127.0.0.1", self.port), timeout=1) as asked,
                    asked.makefile("rb") as said,
                ):
                    _leave(asked, said)
                    return
            except OSError:
                time.sleep(0.02)
        raise SinkFailed(f"{self._kind.name} does not answer")


def smtp_sink() -> Kind | None:
    """Postfix's sink, where it is installed."""
    found = postfix_tool("smtp-sink")
    if found is None:
        return None
    drop_rights = ("-u", "nobody") if os.geteuid() == 0 else ()
    return Kind(name="smtp-sink", command=(found, "-c", *drop_rights), is_postfix=True)


def cheap_sink(folder: Path) -> Kind | None:
    """Our own sink in C, compiled now, where there is a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = folder / "sink"
    source = Path(__file__).parent / "sink.c"
    subprocess.run([compiler, "-O2", "-std=c11", "-o", str(program), str(source)], check=True)
    return Kind(name="cheap sink (C, CHUNKING)", command=(str(program),))


def reading_sink(kept: Path | None = None, pause: float = 0.0) -> Kind:
    """Our own sink in Python: slow, but everywhere; with a folder it keeps what it takes.

    It answers each message after `pause` seconds.
    """
    program = Path(__file__).parent / "reading_sink.py"
    return Kind(name="sink in Python", command=(sys.executable, str(program), str(kept or "-"), str(pause)))


def postfix_tool(name: str) -> str | None:
    """The path of one of Postfix's tools; None where it is not installed."""
    beside = _POSTFIX / name
    return shutil.which(name) or (str(beside) if os.access(beside, os.X_OK) else None)


def _leave(asked: socket.socket, said: IO[bytes]) -> None:
    """A polite look: greeted, QUIT, goodbye. It counts as a session, not as a message."""
    said.readline()
    asked.sendall(b"QUIT\r\n")
    said.readline()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
