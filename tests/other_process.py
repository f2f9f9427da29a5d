"""Another process that writes to the same SQLite database, when it is told to."""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

_WRITER = """
import json, sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=10)
for line in sys.stdin:
    statement, values = json.loads(line)
    db.execute(statement, values).fetchall()
    print(time.monotonic_ns(), flush=True)
"""


class OtherProcess:
    """Runs statements, each a transaction of its own; for a `with` block."""

    def __init__(self, database: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "OtherProcess":
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate()

    def run(self, statement: str, values: tuple[Any, ...] = ()) -> int:
        """The nanosecond of the machine's monotonic clock at which it had been committed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([statement, values]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
