"""Is what comes over the wire right? Some mails of the engine and the naive sender, read as a receiver reads them."""

import base64
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import dkim
from cryptography.hazmat.primitives import serialization

from benchmarks import people
from benchmarks.meter import RunFailed, run_together
from benchmarks.reference import Reference
from benchmarks.sinks import Sink, reading_sink
from engine import ledger, message, pipeline
from engine.pipeline.composing import plan_composer
from engine.pipeline.dry_running import letters

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")  # of a link: each sender makes its own
_SIGNATURE = re.compile(rb"^DKIM-Signature:.*\r\n(?:[ \t].*\r\n)*", re.MULTILINE | re.IGNORECASE)
_LINK = re.compile(r"(https://mail\.shop\.example/[a-z])[a-z]*/")


def check(reference: Reference, folder: Path) -> tuple[int, int]:
    """Send some, signed, and read them; RunFailed where one is wrong.

    Gives the octets of a mail without its signature, and how many mails were read.
    """
    kept = folder / "kept"
    kept.mkdir()
    sink = Sink(reading_sink(kept), folder)
    try:
        mine = reference.copy(folder / "samples", sink.port, signed=True)
        run_together(("sender", mine.folder, mine.warm_ups[0], mine.warm_ups[1]))
        count = 2 * people.WARM_UP_PEOPLE
        run_together(("naive", mine.folder, mine.warm_ups[0], people.WARM_UP_PEOPLE, sink.port))
    finally:
        taken = sink.end()
    mails = [one.read_bytes() for one in sorted(kept.iterdir())]
    if taken != len(mails) or taken != count + people.WARM_UP_PEOPLE:
        raise RunFailed(f"{count + people.WARM_UP_PEOPLE} samples were sent, {taken} came")
    _check_signatures(mails, mine.folder / "dkim.pem")
    _check_words(mine, mails[:count], mails[count:])
    return sum(map(_unsigned_size, mails[:count])) // count, len(mails)


def _check_signatures(mails: list[bytes], key_file: Path) -> None:
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None).public_key()
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(key.public_bytes(*form))
    for mail in mails:
        if not dkim.verify(mail, dnsfunc=lambda _name, timeout=5: record):
            raise RunFailed("a mail's signature does not verify")


def _check_words(mine: Reference, ours: list[bytes], naive: list[bytes]) -> None:
    """Each of ours reads as the plain rendering does; the naive ones but for the tokens of their links."""
    wanted = _rendered(mine)
    for mail in ours:
        subject, html, text, to = _read(mail)
        if (subject, html, text) != wanted[to]:
            raise RunFailed("a mail does not read as its plain rendering")
    for mail in naive:
        subject, html, text, to = _read(mail)
        if tuple(map(_masked, (subject, html, text))) != tuple(map(_masked, wanted[to])):
            raise RunFailed("the naive sender's mail reads otherwise than the engine's")


def _rendered(mine: Reference) -> dict[str, tuple[str, str, str]]:
    found = {}
    mailer = pipeline.open_mailer(mine.folder)
    try:
        for plan_id in mine.warm_ups:
            plan, compose = (
                pipeline.planned(mailer, plan_id),
                plan_composer(mailer, ledger.plan_of(mailer.store, plan_id)),
            )
            for _, letter in letters(mailer, plan_id, plan.campaign, plan.occurrence):
                assert letter is not None
                one = message.render(letter.template, letter.context, compose.addresses(letter))
                found[letter.email] = (one.subject, one.html.rstrip("\n"), one.text.rstrip("\n"))
    finally:
        mailer.store.close()
    return found


def _read(mail: bytes) -> tuple[str, str, str, str]:
    read = message_from_bytes(mail, policy=default)
    assert isinstance(read, EmailMessage)
    html, text = (read.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None
    words = [str(part.get_content()).replace("\r\n", "\n").rstrip("\n") for part in (html, text)]
    return str(read["subject"]), words[0], words[1], str(read["to"].addresses[0].addr_spec)


def _masked(words: str) -> str:
    return _TOKEN.sub("TOKEN", _LINK.sub(r"\1/", words))


def _unsigned_size(mail: bytes) -> int:
    return len(_SIGNATURE.sub(b"", mail))
