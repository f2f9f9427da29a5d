"""Processes that start within milliseconds: the engine is loaded once, and every order is carried out in a fork.

So a kill hits a process that works, not one that imports. Beside the orders' names stands the story of a shop day:
one sender, operators, one importer, people who leave. `hardships` is what befalls the process meanwhile.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa
from hardships import endured

from engine import audience, fleet, pipeline
from engine.errors import MailerError
from engine.fleet import working
from engine.store.tables import contact


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One forked process. Not our child: its end is seen through its pidfd."""

    pid: int
    said: Path
    watch: int

    def is_alive(self) -> bool:
        """Whether it still runs."""
        return not _has_ended(self.watch, 0)

    def rest(self, seconds: float) -> None:
        """Let it work, and be back at once when it ends."""
        _has_ended(self.watch, seconds)

    def kill_if_alive(self) -> bool:
        """kill -9; back when it is gone. False: it had ended by itself."""
        if not self.is_alive():
            return False
        with suppress(ProcessLookupError):  # it ends at this very moment
            self.signal(signal.SIGKILL)
        assert _has_ended(self.watch, 10)
        return not self.said.exists()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        signal.pidfd_send_signal(self.watch, number)

    def wait(self, seconds: float = 120) -> dict[str, Any]:
        """What it said at its end; empty when it was killed."""
        assert _has_ended(self.watch, seconds), "it does not end"
        text = self.said.read_text() if self.said.exists() else "{}"
        found: dict[str, Any] = json.loads(text)
        assert "bug" not in found, found["bug"]
        return found


def _has_ended(pidfd: int, seconds: float) -> bool:
    """Whether it ends within this time; not by `select`, which knows no descriptor beyond 1023."""
    watched = select.poll()
    watched.register(pidfd, select.POLLIN)
    return bool(watched.poll(seconds * 1000))


class SenderHost:
    """Takes orders: `start("send_due", folder, plan=..., hardships={"lease": [1.0]})`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._orders = 0
        self._workers: list[Worker] = []
        command = [sys.executable, __file__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, order: str, folder: Path, **values: object) -> Worker:
        """Fork a process that carries out the order in this workspace."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders += 1
        said = self._folder / f"{self._orders}.json"
        line = {"order": order, "folder": str(folder), "said": str(said), "hardships": {}, **values}
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        worker = Worker(pid=pid, said=said, watch=os.pidfd_open(pid))
        # Only now may it end: a pid that is gone can't be opened.
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._workers.append(worker)
        return worker

    def end_all(self) -> None:
        """Leave nothing behind: after each test."""
        for one in self._workers:
            if one.is_alive():
                one.signal(signal.SIGKILL)
            os.close(one.watch)
        self._workers.clear()

    def close(self) -> None:
        """End the host itself."""
        self.end_all()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


# ------------------------------------------------------------------------------------------- inside the host


def send_due(mailer: pipeline.Mailer, plan: int) -> dict[str, Any]:
    """One sender."""
    pipeline.send_due(mailer, pipeline.Stop(), plan)
    return {}


def work(mailer: pipeline.Mailer, machine: str = "", look: float = 0) -> dict[str, Any]:
    """One `mailer worker`, until SIGTERM; on a machine of this name, whose proofs no other machine can check.

    `look`: how seldom it looks where no hint comes.
    """
    working.LOOK_SECONDS = look or working.LOOK_SECONDS
    if machine:
        setattr(socket, "gethostname", lambda: machine)  # noqa: B010 - a plain assignment is what mypy forbids
    with pipeline.stop_on_signals() as stop:
        fleet.run_worker(mailer, stop)
    return {}


def send(mailer: pipeline.Mailer, campaign: str, plan: int | None = None, together: str = "") -> dict[str, Any]:
    """One operator who types `mailer send`; two that meet at `together` say yes at the same moment."""

    def agree(_made: pipeline.Planned) -> None:
        if together:
            (Path(together) / str(os.getpid())).touch()
            while len(list(Path(together).iterdir())) < 2:
                time.sleep(0.001)

    result = pipeline.send(mailer, campaign, plan, "once", mailer.clock(), agree, _quiet)
    return {"plan": result.plan_id, "counts": dict(result.counts), "notes": list(result.notes)}


def resume(mailer: pipeline.Mailer, campaign: str) -> dict[str, Any]:
    """One operator who types `mailer resume`."""
    result = pipeline.resume(mailer, campaign, None, _quiet)
    return {"plan": result.plan_id, "counts": dict(result.counts), "notes": list(result.notes)}


def import_again_and_again(mailer: pipeline.Mailer, file: str, until: str) -> dict[str, Any]:
    """One importer: contacts in, over and over, a little different each time, until there is a file `until`."""
    source, times = Path(file), 0
    text = source.read_text()
    while not Path(until).exists():
        times += 1
        source.write_text(text.replace("Round 0", f"Round {times}"))
        pipeline.import_file(mailer, "contacts", source, {}, "", "point", _quiet)
    return {"times": times}


def opt_out_ahead(mailer: pipeline.Mailer, record: str, left: str, tries: int, seed: float) -> dict[str, Any]:
    """People who leave just before their mail comes: those next in line after the server's latest message.

    Writes down for each when her opt-out's transaction was over, until so many have left or there is `left`.enough.
    """
    random, gone, latest = Random(seed), set[int](), 0
    with mailer.store.read() as db:
        numbers = {email: number for number, email in db.execute(sa.select(contact.c.id, contact.c.email))}
    last, committed = max(numbers.values()), _noting_commits(mailer)
    with Path(record).open() as lines, Path(left).open("a", buffering=1) as told:
        while len(gone) < tries and not Path(f"{left}.enough").exists():
            for line in lines:
                words = line.split(" ")  # the last line may not be whole yet
                latest = numbers.get(words[2], latest) if len(words) == 4 else latest
            chosen = latest + random.randint(1, 4)
            if chosen in gone or chosen > last:
                time.sleep(0.0005)
                continue
            audience.opt_out(mailer.store, mailer.keys, chosen, mailer.clock(), "link", mailer.settings.state_dir)
            gone.add(chosen)
            told.write(f"{committed[-1]} {chosen}\n")
    return {"left": len(gone)}


def _noting_commits(mailer: pipeline.Mailer) -> list[int]:
    """From now on the nanosecond at which each write transaction was over."""
    ended: list[int] = []
    write = mailer.store.write

    @contextmanager
    def noted() -> Iterator[sa.Connection]:
        with write() as db:
            yield db
        ended.append(time.monotonic_ns())

    object.__setattr__(mailer.store, "write", noted)
    return ended


def _quiet(_done: int, _total: int | None) -> None:
    """Nobody looks at the progress."""


ORDERS = {one.__name__: one for one in (send_due, work, send, resume, import_again_and_again, opt_out_ahead)}


def carry_out(order: str, folder: str, said: str, hardships: dict[str, Any], **values: Any) -> None:
    """Do it, and write down how it ended."""
    mailer = pipeline.open_mailer(Path(folder))
    try:
        with endured(mailer, hardships) as burdened:
            answer = ORDERS[order](burdened, **values)
    except MailerError as fault:
        answer = {"fault": type(fault).__name__, "exit_code": fault.exit_code, "message": str(fault)}
    except Exception:
        answer = {"bug": traceback.format_exc()}
    finally:
        mailer.store.close()
    whole = Path(f"{said}.part")
    whole.write_text(json.dumps(answer))
    whole.rename(said)


def main() -> None:
    """Fork for each line of orders; the forks are nobody's children to wait for."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    orders = sys.stdin
    while line := orders.readline():
        start, begin = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.close(begin)
            os.read(start, 1)
            carry_out(**json.loads(line))
            os._exit(0)
        os.close(start)
        print(pid, flush=True)
        orders.readline()
        os.write(begin, b"g")
        os.close(begin)


if __name__ == "__main__":
    main()
