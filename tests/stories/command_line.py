"""`mailer` in a terminal of its own: a process group that hears Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Command:
    """One command line that was typed."""

    process: subprocess.Popen[str]

    def press_ctrl_c(self) -> None:
        """The terminal tells everybody in the group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, dict[str, Any], str]:
        """Exit code, what stands on stdout, and what on stderr."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, json.loads(out), err

    def kill(self) -> None:
        """kill -9 to all of the group that still live."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


class Commands:
    """What was typed in a test; ended with it in any case."""

    def __init__(self) -> None:
        self._started: list[Command] = []

    def type(self, folder: Path, *words: str) -> Command:
        """Start `mailer WORDS` in this workspace."""
        line = [sys.executable, "-m", "engine", "--workspace", str(folder), *words]
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        self._started.append(Command(process))
        return self._started[-1]

    def end_all(self) -> None:
        """Leave nothing behind."""
        for one in self._started:
            one.kill()
