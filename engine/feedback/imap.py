"""How is a bounce mailbox read over IMAP, so that each mail is dealt with once and nobody loses one?

By UID, within one UIDVALIDITY (RFC 3501, 2.3.1.1). A mail that is dealt with gets the keyword below and \\Seen; only
the keyword counts, since a person who opens the mailbox sets \\Seen too. Where a server keeps no keywords, \\Seen
counts. Not by moving: without the MOVE extension that means copy and delete, and we delete nothing.
"""

import base64
import imaplib
import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from engine.config import Bounces
from engine.errors import MailboxUnavailable

KEYWORD = "$MailerDone"
LONGEST = 1024 * 1024  # octets of a mail: whatever tells a bounce stands before the mail that it returns
_TIMEOUT = 60.0
_AT_ONCE = 20_000  # mails a search: the answer is one line, and imaplib refuses lines of more than a million octets


class ImapMailbox:
    """One folder of an IMAP account, open for reading and marking."""

    def __init__(self, settings: Bounces) -> None:
        self._settings = settings
        self._where = f"{settings.host}:{settings.port}"
        with self._named_faults("can't be reached; check [bounces] host, port and tls"):
            self._imap = self._connect()
        try:
            with self._named_faults("refuses the login; check [bounces] username and its password"):
                self._log_in()
            with self._named_faults(f"has no folder {settings.folder!r} to write to; check [bounces] folder"):
                self._held = int(self._must(self._imap.select(_quoted(settings.folder)))[-1] or 0)
        except MailboxUnavailable:
            self.close()
            raise
        self._validity = self._told("UIDVALIDITY")
        kept = self._told("PERMANENTFLAGS")
        self._keeps_keyword = "\\*" in kept or KEYWORD.lower() in kept.lower()

    def waiting(self) -> Sequence[str]:
        """The UIDs without our mark, with their UIDVALIDITY.

        Asked for by their places in the folder: UIDs may lie anywhere up to four thousand million (RFC 3501, 2.3.1.1).
        """
        wanted = f"UNKEYWORD {KEYWORD}" if self._keeps_keyword else "UNSEEN"
        found: set[int] = set()
        with self._named_faults("can't be searched; try again later"):
            for first in range(1, self._held + 1, _AT_ONCE):
                last = first + _AT_ONCE - 1
                places = f"{first}:{last if last < self._held else '*'}"  # the last ones came since we opened it
                (line, *_) = self._must(self._imap.uid("SEARCH", f"{places} {wanted}"))
                found.update(int(uid) for uid in (line or b"").split())
        return [f"{self._validity}:{uid}" for uid in sorted(found)]

    def read(self, mail_id: str) -> bytes | None:
        """The first megabyte of the mail, left unseen."""
        with self._named_faults("can't be read; the next fetch goes on"):
            answer = self._must(self._imap.uid("FETCH", self._uid(mail_id), f"(BODY.PEEK[]<0.{LONGEST}>)"))
        return next((bytes(part[1]) for part in answer if isinstance(part, tuple)), None)

    def done(self, mail_id: str) -> None:
        """Set our keyword, where the server keeps it, and \\Seen."""
        flags = f"({KEYWORD} \\Seen)" if self._keeps_keyword else "(\\Seen)"
        with self._named_faults("can't be marked; the next fetch goes on"):
            self._must(self._imap.uid("STORE", self._uid(mail_id), "+FLAGS.SILENT", flags))

    def close(self) -> None:
        """Say goodbye; CLOSE would expunge what others have deleted, so the folder is just left."""
        try:
            self._imap.logout()
        except (OSError, imaplib.IMAP4.error):
            with suppress(OSError):
                self._imap.shutdown()

    def _connect(self) -> imaplib.IMAP4:
        host, port, tls = self._settings.host, self._settings.port, self._settings.tls
        if tls == "implicit":
            return imaplib.IMAP4_SSL(host, port, ssl_context=ssl.create_default_context(), timeout=_TIMEOUT)
        plain = imaplib.IMAP4(host, port, timeout=_TIMEOUT)
        if tls == "required":
            try:
                self._must(plain.starttls(ssl.create_default_context()))
            except (OSError, imaplib.IMAP4.error):
                plain.shutdown()
                raise
        return plain

    def _log_in(self) -> None:
        """By AUTHENTICATE where it is offered: LOGIN takes no password outside ASCII."""
        name = self._settings.username
        password = self._settings.password.get_secret_value() if self._settings.password else ""
        if "AUTH=PLAIN" in self._imap.capabilities:
            self._must(self._imap.authenticate("PLAIN", lambda _: f"\0{name}\0{password}".encode()))
        else:
            self._must(self._imap.login(name, password))

    def _uid(self, mail_id: str) -> str:
        validity, _, uid = mail_id.partition(":")
        if validity != self._validity:
            raise MailboxUnavailable(
                f"the IMAP server {self._where} has numbered {self._settings.folder} anew; "
                "run `mailer bounce fetch` again"
            )
        return uid

    def _told(self, name: str) -> str:
        """What the server said of the folder when it was opened."""
        _, data = self._imap.response(name)
        return b" ".join(one for one in data if isinstance(one, bytes)).decode("ascii", "replace")

    def _must(self, answer: tuple[str, Any]) -> Any:
        """The data of an answer that is OK."""
        kind, data = answer
        if kind != "OK":
            raise imaplib.IMAP4.error(_words(data))
        return data

    @contextmanager
    def _named_faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, imaplib.IMAP4.error, UnicodeError) as fault:
            # An encoding fault would quote the password.
            words = "letters outside ASCII, and no AUTH=PLAIN" if isinstance(fault, UnicodeError) else str(fault)
            said = _words(fault.args) if isinstance(fault, imaplib.IMAP4.error) else words
            raise MailboxUnavailable(f"the IMAP server {self._where} {what} ({said})") from fault


def _words(said: Sequence[Any]) -> str:
    """The server's own words: on one line, shortened."""
    texts = (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in said if one is not None)
    return " ".join(" ".join(texts).split())[:200] or "no reason given"


def _quoted(folder: str) -> str:
    """The folder's name as a quoted string in IMAP's own UTF-7 (RFC 3501, 5.1.3)."""
    encoded = re.sub(r"[^\x20-\x7e]+|&", lambda found: _utf7(found[0]), folder)
    return '"' + encoded.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _utf7(text: str) -> str:
    if text == "&":
        return "&-"
    return "&" + base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"
