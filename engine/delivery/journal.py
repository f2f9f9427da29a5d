"""What had a sender handed over when it died? A small file beside the wire, one for each claim of a batch.

`S ord` is written before the dot (or API request; then with the key under which it may be asked for again), `R ord ...`
after the reply. Without fsync: the page cache survives the death of a
process, and after a reboot no journal is believed (`owner.is_dead`). Losing one is always safe: what it can't prove
counts as uncertain. So it must exist before the ledger first allows a hand-over: make it between claim and the first
advance.
"""

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from engine.delivery.owner import is_dead
from engine.errors import StoreUnavailable
from engine.model import JournalProof, MessageState, Outcome

_FIRST = "mailer journal 1"
_KEY = "key="


class Journal:
    """The journal of one claim; only its owner writes it."""

    def __init__(self, folder: Path, batch_id: int, fence: int) -> None:
        self._path = _path(folder, batch_id, fence)
        self._broken: OSError | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # A file of the same name can only come from a database that was set back since: its proofs are void.
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            self._file = os.open(self._path, flags, 0o600)
            self._write(b"%b %d %d\n" % (_FIRST.encode(), batch_id, fence))
        except OSError as fault:
            raise self._unwritable(fault) from fault

    def handing_over(self, ord_: int, key: str = "") -> None:
        """Call just before the dot. StoreUnavailable: don't send it. `key` holds no blanks (`handover_key`)."""
        try:
            self._write(f"S {ord_} {_KEY}{key}\n".encode() if key else b"S %d\n" % ord_)
        except OSError as fault:
            raise self._unwritable(fault) from fault

    def answered(self, ord_: int, outcome: Outcome) -> None:
        """Call with what came back. Never fails: a lost line only makes a message uncertain if this process dies."""
        state, reason, stage = outcome.state._value_, outcome.reason or "-", outcome.stage or "-"
        line = f"R {ord_} {state} {reason} {stage} {' '.join(outcome.reply.split())}\n"
        with suppress(OSError):  # the next hand-over says so
            self._write(line.encode("utf-8", "replace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop writing, and leave the file for whoever takes the batch over."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def finish(self) -> None:
        """Delete the file; call once the ledger holds every outcome of the claim."""
        self.close()
        self._path.unlink(missing_ok=True)

    def _write(self, line: bytes) -> None:
        # After half a line nothing more may follow: the two would read as one.
        if self._broken is None:
            try:
                if os.write(self._file, line) != len(line):
                    self._broken = OSError("the disk is full")
            except OSError as fault:
                self._broken = fault
        if self._broken is not None:
            raise self._broken

    def _unwritable(self, fault: OSError) -> StoreUnavailable:
        why = fault.strerror or fault
        return StoreUnavailable(
            f"the journal {self._path} can't be written: {why}; free some space, then `mailer resume`"
        )


def forget_older(folder: Path, batch_id: int, fence: int) -> None:
    """Delete the journals of earlier claims of this batch: what they prove was recorded when it was taken over."""
    for path in folder.glob(f"{batch_id}.*.journal"):
        number = path.name.split(".")[1]
        if number.isdecimal() and int(number) < fence:
            path.unlink(missing_ok=True)


def trusted_journal(folder: Path, batch_id: int, fence: int, owner: str) -> JournalProof | None:
    """What the journal proves if its owner is provably dead; None otherwise, for a living owner may write on."""
    return read_journal(folder, batch_id, fence) if is_dead(owner, folder) else None


def read_journal(folder: Path, batch_id: int, fence: int) -> JournalProof | None:
    """What stands in the journal of a dead owner; None when there is none or it is damaged.

    `handed` are the ords whose dot may have been sent: any other certainly was not. `answered` tells how an ord
    ended, with or without a dot; a later dot for the same ord voids it. A last line cut short is left out: its write
    had not ended, so its dot was not sent. `keys` tells under which key the last hand-over of an ord went, if it had
    one: all ords of one key, in their order, are one request.
    """
    try:
        whole = _path(folder, batch_id, fence).read_bytes().rpartition(b"\n")[0]
        lines = whole.decode("utf-8").split("\n")
        if lines[0] != f"{_FIRST} {batch_id} {fence}":
            return None
        return _proof(lines[1:])
    except (OSError, ValueError):
        return None


def _proof(lines: list[str]) -> JournalProof:
    handed: set[int] = set()
    answered: dict[int, Outcome] = {}
    keys: dict[int, str] = {}
    for line in lines:
        kind, ord_, *said = line.split(" ", 5)
        if kind == "S" and all(one.startswith(_KEY) for one in said[:1]) and len(said) <= 1:
            handed.add(int(ord_))
            answered.pop(int(ord_), None)
            keys.pop(int(ord_), None)
            keys |= {int(ord_): key.removeprefix(_KEY) for key in said}
        elif kind == "R" and len(said) == 4:
            answered[int(ord_)] = _outcome(*said)
        else:
            raise ValueError("no line of a journal")
    return JournalProof(handed=frozenset(handed), answered=answered, keys=keys)


def _outcome(state: str, reason: str, stage: str, reply: str) -> Outcome:
    return Outcome(state=MessageState(state), reason=_word(reason), reply=reply, stage=_word(stage))


def _word(text: str) -> str:
    return "" if text == "-" else text


def _path(folder: Path, batch_id: int, fence: int) -> Path:
    return folder / f"{batch_id}.{fence}.journal"
