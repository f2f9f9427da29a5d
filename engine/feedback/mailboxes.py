"""Which mails did servers return to us, and which of them are dealt with? A bounce mailbox, by IMAP or as a Maildir.

A mail is marked only when its effect is committed, and nothing is ever deleted or moved elsewhere: what is cut off
half-way is read again, and what was read can be read by people. The folder must be the bounces' own: mails that other
programs mark as read are taken for dealt with wherever no mark of our own can be kept.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from engine.config import Bounces
from engine.errors import BadConfig, MailboxUnavailable
from engine.feedback.imap import LONGEST, ImapMailbox

_SEEN = "S"
_FLAGS = ":2,"


class Mailbox(Protocol):
    """Where returned mails lie. One mail's id is good for as long as the mailbox is open."""

    def waiting(self) -> Sequence[str]:
        """The ids of the mails that are not dealt with yet, oldest first.

        Raises:
            MailboxUnavailable: as all methods; one sentence with the place and the cure.
        """

    def read(self, mail_id: str) -> bytes | None:
        """The mail as it came, cut after a megabyte; None when it is gone. Reading marks nothing."""

    def done(self, mail_id: str) -> None:
        """The mail is dealt with: it won't be waiting any more. Call it when its effect is committed."""

    def close(self) -> None:
        """Leave the mailbox."""


def open_mailbox(settings: Bounces, workspace: Path) -> Mailbox:
    """The mailbox of [bounces]; BadConfig when there is none."""
    if settings.kind == "none":
        raise BadConfig('no bounce mailbox is set: write [bounces] kind = "imap" or "maildir" into config.toml')
    if settings.kind == "imap":
        return ImapMailbox(settings)
    return MaildirMailbox(workspace / settings.path)


class MaildirMailbox:
    """A Maildir: a mail lies in new/ or cur/ until its file in cur/ has the flag S (seen)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: dict[str, Path] = {}  # where each waiting mail lay when we looked
        missing = [name for name in ("new", "cur") if not (folder / name).is_dir()]
        if missing:
            raise MailboxUnavailable(
                f"{folder} is no Maildir: it has no folder {' and no '.join(missing)}; "
                "name the one to which bounces are delivered in [bounces] path"
            )

    def waiting(self) -> Sequence[str]:
        """By name: mail servers begin it with the time of arrival."""
        try:
            new, cur = (list((self._folder / name).iterdir()) for name in ("new", "cur"))
        except OSError as fault:
            raise self._unreadable(fault) from fault
        unseen = [path for path in cur if _SEEN not in path.name.partition(_FLAGS)[2]]
        found = {path.name.partition(_FLAGS)[0]: path for path in (*unseen, *new) if not path.name.startswith(".")}
        self._names = found
        return sorted(found)

    def read(self, mail_id: str) -> bytes | None:
        """Wherever the mail lies now: other programs may have moved it from new/ to cur/."""
        path = self._find(mail_id)
        try:
            if path is None:
                return None
            with path.open("rb") as file:
                return file.read(LONGEST)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise self._unreadable(fault) from fault

    def done(self, mail_id: str) -> None:
        """Rename it into cur/, with S among its flags: atomic, and what every mail program understands."""
        path = self._find(mail_id)
        if path is None:
            return
        flags = "".join(sorted({*path.name.partition(_FLAGS)[2], _SEEN}))
        try:
            path.rename(self._folder / "cur" / f"{mail_id}{_FLAGS}{flags}")
        except FileNotFoundError:
            return  # it was taken away meanwhile
        except OSError as fault:
            raise self._unreadable(fault) from fault

    def close(self) -> None:
        """Nothing is held open."""

    def _find(self, mail_id: str) -> Path | None:
        known = self._names.get(mail_id)
        if known is not None and known.exists():
            return known
        moved = (one for one in (self._folder / "cur").iterdir() if one.name.partition(_FLAGS)[0] == mail_id)
        return next(moved, None)

    def _unreadable(self, fault: OSError) -> MailboxUnavailable:
        return MailboxUnavailable(
            f"the Maildir {self._folder} can't be used: {fault.strerror}; give this account the right to read and "
            "rename what lies in it"
        )
