"""What may be said to a server about one mail, and what is never said? Addresses, sizes, lines.

Reasons given here, with nothing sent: bad_address, configuration (our own return path), malformed, needs_smtputf8,
content (larger than the server takes).
"""

import re
from functools import lru_cache

import numpy as np
from email_validator import EmailNotValidError, validate_email

from engine.model import Mail, MessageState, Outcome, frozen

# No blank, bracket, quote, comma or control character: nothing that could end the command or name a second person.
_PATH = re.compile(
    r"[^\s<>()\[\],;:\\\"@\x00-\x20\x7f-\xa0\ud800-\udfff]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
)
_LONGEST_PATH = 254
_LONGEST_LINE = 1000  # with its CRLF: RFC 5321 4.5.3.1.6
_CR, _LF, _DOT = (np.array(ord(one), np.uint8) for one in "\r\n.")


@frozen
class Letter:
    """A mail whose addresses and lines may go on the wire."""

    sender: str
    recipient: str
    data: bytes  # ends in CRLF
    may_have_dots: bool = True  # at the beginning of a line


def sealed(mail: Mail) -> Letter | Outcome:
    """The mail as it may be offered to any server, or why it may not."""
    recipient, sender = _path(mail.recipient), _path(mail.envelope_from)
    if not recipient:
        return Outcome(state=MessageState.REFUSED, reason="bad_address", stage="RCPT")
    if not sender:
        return Outcome(state=MessageState.DEFERRED, reason="configuration", reply="bad return path", stage="MAIL")
    if mail.is_wire_ready:  # a look at every octet would cost as much as sending them
        return Letter(sender=sender, recipient=recipient, data=mail.data, may_have_dots=False)
    data = mail.data if mail.data.endswith(b"\r\n") else mail.data + b"\r\n"
    fault = malformed(data)
    if fault:
        return Outcome(state=MessageState.REFUSED, reason="malformed", reply=fault, stage="DATA")
    return Letter(sender=sender, recipient=recipient, data=data)


def commands(letter: Letter, features: dict[str, str]) -> bytes | Outcome:
    """MAIL and RCPT for a server that offers these features, or why it can't take the letter."""
    parameters = ""
    if "SIZE" in features:
        most, size = features["SIZE"], len(letter.data)
        # At most 20 digits; 0 or nothing: no fixed limit (RFC 1870 section 3).
        if most.isdecimal() and len(most) <= 20 and 0 < int(most) < size:
            said = f"the mail has {size} bytes, the server takes {int(most)} at most (SIZE)"
            return Outcome(state=MessageState.REFUSED, reason="content", reply=said, stage="MAIL")
        parameters = f" SIZE={size}"
    if not (letter.recipient.isascii() and letter.sender.isascii()):
        if "SMTPUTF8" not in features:
            return Outcome(state=MessageState.REFUSED, reason="needs_smtputf8", stage="MAIL")
        parameters += " SMTPUTF8"
    return f"MAIL FROM:<{letter.sender}>{parameters}\r\nRCPT TO:<{letter.recipient}>\r\n".encode()


def stuffed(letter: Letter) -> bytes:
    """The data with a second dot where a line begins with one (RFC 5321 4.5.2)."""
    data = letter.data
    if not letter.may_have_dots:
        return data
    octets = np.frombuffer(data, np.uint8)
    if ((octets[:-1] == _LF) & (octets[1:] == _DOT)).any():  # a quarter of the time of `in`
        data = data.replace(b"\r\n.", b"\r\n..")
    return b"." + data if data.startswith(b".") else data


def _path(address: str) -> str:
    """The address as it is named to a server, its domain in A-labels; empty when it is none."""
    if not address.isascii():
        local, _, domain = address.rpartition("@")
        if not domain.isascii():
            address = f"{local}@{_ascii_domain(domain)}"
    return address if is_path(address) else ""


def is_path(address: str) -> bool:
    """Whether an address may be named to a server: nothing in it could end the command or name a second person."""
    return len(address) <= _LONGEST_PATH and _PATH.fullmatch(address) is not None


@lru_cache(maxsize=1024)
def _ascii_domain(domain: str) -> str:
    try:
        checked = validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return ""
    return checked.ascii_domain or ""


def malformed(data: bytes) -> str:
    """What is wrong with the lines of a mail that ends in CRLF; empty when nothing is."""
    # A bare CR or LF can make some servers see two messages in one.
    octets = np.frombuffer(data, np.uint8)
    line_ends = octets == _LF
    if line_ends[0] or line_ends[1:].tobytes() != (octets[:-1] == _CR).tobytes():
        return "bare CR or LF"
    at, end, last_break = 0, len(data), data.rfind
    while at < end:  # hops from line end to line end, as far as a line may be long
        at = last_break(b"\n", at, at + _LONGEST_LINE) + 1
        if at == 0:
            return f"a line of more than {_LONGEST_LINE - 2} characters"
    return ""
