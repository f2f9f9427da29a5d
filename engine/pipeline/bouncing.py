"""What do returned mails mean, and what is done about them? Files to look at, and the bounce mailbox to act upon.

Looking (`classify_files`) changes nothing and needs no workspace. Acting (`fetch_bounces`) marks each mail when its
effect is committed; the same mail again, after a crash or as a second copy, changes nothing.
"""

import logging
import mailbox
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from engine import feedback, replies
from engine.errors import BadFile
from engine.model import Notice, Progress
from engine.pipeline.noticing import Effect, apply_notice
from engine.pipeline.workspace import Mailer

_SOURCE = "mailbox"
_MBOX = b"From "
_LONGEST = 1024 * 1024  # octets of a file that is one mail: as of a mail in the mailbox, more is never looked at

log = logging.getLogger("mailer.return")


def classify_files(paths: Sequence[Path], progress: Progress) -> list[dict[str, Any]]:
    """What each mail means: .eml files, mbox files, folders of either, Maildirs. One row a recipient that it names."""
    files = [file for path in paths for file in _files(path)]
    rows = []
    for number, file in enumerate(files, 1):
        for name, raw in _mails(file):
            rows += [_row(name, notice) for notice in feedback.read_notice(raw)]
        progress(number, len(files))
    return rows


def fetch_bounces(mailer: Mailer, at: datetime, progress: Progress) -> dict[str, int]:
    """Read the bounce mailbox and do what its mails ask for; gives how many there were, and what came of them.

    Raises MailboxUnavailable when it can't be opened or read: what was not reached waits for the next time.
    """
    effects: Counter[str] = Counter()
    box = feedback.open_mailbox(mailer.settings.bounces, mailer.folder)
    try:
        waiting = box.waiting()
        for number, mail_id in enumerate(waiting, 1):
            raw = box.read(mail_id)
            if raw is not None:
                effects["mails"] += 1
                notices = (replace(one, source=_SOURCE) for one in feedback.read_notice(raw))
                effects.update(apply_notice(mailer, one, at).effect for one in notices)
                box.done(mail_id)
            progress(number, len(waiting))
    finally:
        box.close()
    counts = {"mails": effects["mails"], **{effect.value: effects[effect] for effect in Effect}}
    log.info("bounces_fetched %s", " ".join(f"{name}={number}" for name, number in counts.items() if number))
    return counts


def _row(name: str, notice: Notice) -> dict[str, Any]:
    return {
        "file": name,
        "kind": notice.kind.value,
        "recipient": notice.recipient,
        "status": notice.status,
        "action": replies.word_of(notice.kind, notice.reason),
        "reason": notice.reason,
        "delivery_id": notice.delivery_id,
        "diagnostic": notice.diagnostic,
    }


def _files(path: Path) -> Iterable[Path]:
    if not path.exists():
        raise BadFile(f"{path} does not exist; name mails (.eml), an mbox file, or a folder of them")
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
    return [path]


def _mails(file: Path) -> Iterator[tuple[str, bytes]]:
    """The mails of a file, each with a name: an mbox file holds many, and begins with `From `."""
    with file.open("rb") as opened:
        begins = opened.read(_LONGEST)
    if not begins.startswith(_MBOX):
        yield str(file), begins
    elif file.suffix.lower() == ".eml":  # one mail, saved with its envelope; lines of its text may begin with `From `
        yield str(file), begins.partition(b"\n")[2]
    else:
        held = mailbox.mbox(file, create=False)
        try:
            for number, key in enumerate(held.keys(), 1):
                yield (str(file) if len(held) == 1 else f"{file}#{number}"), held.get_bytes(key)
        finally:
            held.close()
