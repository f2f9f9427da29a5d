"""Where do hits wait before they reach the database? In small files, so that a pixel never waits for a writer.

A hit lies in memory for up to 100 ms, then in a file that is put in place whole: a killed process loses its last
100 ms, a power cut what the disk had not written yet. Draining reads whole files; `spool_id` (file and line) makes
storing them twice harmless, so a drain that was killed between the database's commit and `forget` does no harm.
"""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from engine.model import Hit, HitKind

FLUSH_SECONDS = 0.1
_MOST_WAITING = 50_000  # some 50 MB, when the disk takes nothing; what comes then is not kept


@dataclass(frozen=True, slots=True)
class Drained:
    """A file's worth of hits, each with an id that stays the same however often it is drained."""

    path: Path
    hits: list[tuple[str, Hit]]


class Spool:
    """One process's way in; any process may drain."""

    def __init__(self, folder: Path, most_waiting: int = _MOST_WAITING) -> None:
        self._folder = folder
        self._most_waiting = most_waiting
        self._waiting: list[Hit] = []
        self._lock = threading.Lock()
        self._files = 0
        # The start of a process is part of a file's name: a reused pid must not reuse spool ids.
        self._name = f"{os.getpid()}-{os.urandom(6).hex()}"

    def append(self, hit: Hit) -> None:
        """Take a hit; `flush` puts it on disk. Never fails and never waits."""
        with self._lock:
            if len(self._waiting) < self._most_waiting:
                self._waiting.append(hit)

    def flush(self) -> None:
        """Put what waits into a file of its own, whole or not at all; OSError: kept in memory for the next time."""
        with self._lock:
            hits, self._waiting = self._waiting, []
            if not hits:
                return
            self._files += 1
            path = self._folder / f"{self._name}-{self._files:08d}.jsonl"
        try:
            _write(path, "".join(json.dumps(_to_json(hit)) + "\n" for hit in hits))
        except OSError:
            with self._lock:
                self._waiting[:0] = hits
            raise

    def drain(self) -> Iterator[Drained]:
        """The files on disk, oldest first; call `forget` once their hits are stored."""
        for path in sorted(self._folder.glob("*.jsonl"), key=_age):
            try:
                lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            except FileNotFoundError:
                continue  # another process drained it
            yield Drained(path, [(f"{path.stem}:{n}", hit) for n, line in enumerate(lines) if (hit := _read(line))])

    def forget(self, drained: Drained) -> None:
        """The hits of this file are in the database."""
        drained.path.unlink(missing_ok=True)


def waiting_bytes(folder: Path) -> int:
    """How much lies in the spool's files."""
    return sum(_size(path) for path in folder.glob("*.jsonl"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # drained meanwhile
        return 0


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        part.rename(path)
    except OSError:
        with suppress(OSError):  # a full disk is not helped by halves of files
            part.unlink(missing_ok=True)
        raise


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _to_json(hit: Hit) -> dict[str, object]:
    return asdict(hit) | {"kind": hit.kind.value, "at": hit.at.isoformat()}


def _read(line: str) -> Hit | None:
    """The hit of a line; None for a line that a full disk or a stranger left broken."""
    try:
        raw = json.loads(line)
        texts = {
            name: str(raw[name]) for name in ("delivery_id", "method", "ip", "agent", "referer", "accept_language")
        }
        return Hit(
            kind=HitKind(raw["kind"]),
            site=int(raw["site"]),
            occurrence=int(raw["occurrence"]),
            at=_aware(datetime.fromisoformat(raw["at"])),
            **texts,
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a hit's time has no zone")
    return moment
