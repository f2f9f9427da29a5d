"""How does a mail get into a folder instead of to a server? As an .eml file that any mail reader opens."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.delivery.offers import ENDING, Answer, Offer
from engine.errors import TransportUnavailable
from engine.model import Mail, MessageState, Outcome

_FILE = re.compile(r"(?P<number>\d+)-(?P<delivery_id>[A-Za-z0-9][A-Za-z0-9._-]*)\.eml")


class OutboxTransport:
    """Writes `NNN-<delivery_id>.eml`; the same delivery id is written once, however often it is sent."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._written: set[str] = set()
        self._last = 0
        self._seen = -1  # the folder's mtime when it was last read
        self._stopped = False

    def check(self) -> None:
        """The folder can be made and written."""
        with self._writable():
            self._folder.mkdir(parents=True, exist_ok=True)
            probe = self._folder / f".{os.getpid()}.probe"
            probe.touch()
            probe.unlink()

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over, one after another: a folder has nothing to wait for; see `transport.Transport.deliver`."""
        for offer in offers:
            try:
                outcome = self._put(offer)
            except TransportUnavailable as fault:
                outcome = Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=str(fault))
            yield offer.ord, outcome
            if outcome.reason in ENDING:
                return

    def give_up_after(self, seconds: float) -> None:
        """Write nothing more; there is no answer to wait for."""
        self._stopped = True

    def close(self) -> None:
        """Nothing stays open; after a stop the transport may be used again."""
        self._stopped = False

    def _put(self, offer: Offer) -> Outcome:
        """Put the mail in place in one step, after `before_dot` agreed; a half-written file is never seen."""
        mail = offer.mail
        if self._stopped:
            return Outcome(state=MessageState.DEFERRED, reason="stopped", stage="outbox")
        if not _FILE.fullmatch(f"0-{mail.delivery_id}.eml"):
            raise ValueError(f"delivery id {mail.delivery_id!r} can't be part of a file name")
        with self._writable():
            self._read_folder()
            draft = self._draft(mail)
        try:
            skip = offer.before_dot()
            if skip is None:
                with self._writable():
                    self._place(draft, mail.delivery_id)
        finally:
            with suppress(OSError):  # nothing here changes what has been handed over
                draft.unlink(missing_ok=True)
                self._seen = self._folder.stat().st_mtime_ns
        return skip or Outcome(state=MessageState.SENT, reply="written", stage="outbox")

    def _read_folder(self) -> None:
        """Learn what is there, again whenever another process has changed it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._folder.stat().st_mtime_ns == self._seen:
            return
        found = [match for one in self._folder.iterdir() if (match := _FILE.fullmatch(one.name))]
        self._written = {match["delivery_id"] for match in found}
        self._last = max((int(match["number"]) for match in found), default=0)

    def _draft(self, mail: Mail) -> Path:
        draft = self._folder / f".{mail.delivery_id}.{os.getpid()}.tmp"
        with draft.open("wb") as file:
            file.write(mail.data)
            file.flush()
            os.fsync(file.fileno())
        return draft

    def _place(self, draft: Path, delivery_id: str) -> None:
        if delivery_id in self._written:
            return
        self._last += 1
        draft.rename(self._folder / f"{self._last:03}-{delivery_id}.eml")
        self._written.add(delivery_id)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            said = f"transport {self.name!r}: the outbox {self._folder} can't be written: {fault.strerror or fault}"
            raise TransportUnavailable(f"{said}; make the folder writable or free some space") from fault
