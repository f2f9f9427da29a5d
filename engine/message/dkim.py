"""Who vouches for a mail? DKIM signatures (RFC 6376, RFC 8463) made with `cryptography`; dkimpy needs 9 ms for one.

Headers are canonicalised relaxed. So is the body where it is written in that form already, as fused parts are: the
hash is over the same bytes, and a relay that touches blanks breaks nothing. Other bodies are simple, that is, as they
are: to bring them into the other form would cost more than the whole mail.
"""

import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.config import Settings
from engine.errors import BadConfig
from engine.message.headers import ascii_domain

MIN_RSA_BITS = 2048  # RFC 8301 3.2: verifiers may ignore less than 1024; receivers want 2048
SIGNED = (
    "from to subject date message-id reply-to mime-version content-type "
    "list-unsubscribe list-unsubscribe-post list-id feedback-id"
).split()
# Named once more than they occur, so that none can be added on the way without breaking the signature (RFC 6376 8.15):
# a second From that a reader would see, a second address that her one click would go to (RFC 8058 6).
OVERSIGNED = frozenset(["from", "list-unsubscribe", "list-unsubscribe-post", "list-id"])
_LINE = 72
_BLANKS = re.compile(r"[ \t]+")
_PADDING = PKCS1v15()
_SHA256 = hashes.SHA256()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """The key that signs for one domain; `algorithm` is rsa-sha256 or ed25519-sha256."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)
    algorithm: str

    def signature(self, signed: bytes) -> str:
        """The signature of these bytes in base64."""
        if isinstance(self.key, RSAPrivateKey):
            raw = self.key.sign(signed, _PADDING, _SHA256)
        else:
            raw = self.key.sign(hashlib.sha256(signed).digest())  # RFC 8463 3: of the hash
        return binascii.b2a_base64(raw, newline=False).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """One signer's DKIM-Signature header, but for what differs from mail to mail: the time and two hashes."""

    signer: Signer
    before: str
    between: str
    after: str
    relaxed_before: str
    relaxed_between: str
    relaxed_after: str

    def line(self, relaxed_headers: str, body_hash: str, seconds: int) -> str:
        """The header over these headers (of `relaxed`, in the order of SIGNED) and a body of this hash."""
        signed = f"{relaxed_headers}{self.relaxed_before}{seconds}{self.relaxed_between}{body_hash}{self.relaxed_after}"
        made = self.signer.signature(signed.encode())
        folded = "\r\n ".join([made[i : i + _LINE] for i in range(0, len(made), _LINE)])
        return f"{self.before}{seconds}{self.between}{body_hash}{self.after}{folded}\r\n"


def seal(signer: Signer, present: Sequence[str], body_form: str) -> Seal:
    """The seal over mails with these headers (lower-case names), their body canonicalised `simple` or `relaxed`."""
    listed = ":".join(name for name in SIGNED for _ in range((name in present) + (name in OVERSIGNED)))
    said = f"v=1; a={signer.algorithm}; c=relaxed/{body_form}; d={signer.domain}; s={signer.selector}"
    before = f"DKIM-Signature: {said};\r\n t="
    between = f"; h={_folded(listed, ':')};\r\n bh="
    after = ";\r\n b="
    cut = "0"  # neither the time nor the hash holds a blank, so the form around them is the same for all
    whole = relaxed(f"{before}{cut}{between}{cut}{after}")
    relaxed_between = _BLANKS.sub(" ", between.replace("\r\n", ""))
    relaxed_after = _BLANKS.sub(" ", after.replace("\r\n", ""))
    relaxed_before = whole.removesuffix(f"{cut}{relaxed_between}{cut}{relaxed_after}")
    return Seal(
        signer=signer,
        before=before,
        between=between,
        after=after,
        relaxed_before=relaxed_before,
        relaxed_between=relaxed_between,
        relaxed_after=relaxed_after,
    )


def signers_for(settings: Settings, domain: str) -> tuple[Signer, ...]:
    """The signers of the sender's domain, else of the nearest domain above it (relaxed alignment, RFC 7489 3.1).

    None where no section is about it; two where its section has a key of each kind.
    """
    sections = {_a_labels(name): one for name, one in settings.dkim.items()}
    fitting = [name for name in sections if domain == name or domain.endswith(f".{name}")]
    if not fitting:
        return ()
    name = max(fitting, key=len)
    one = sections[name]
    first = load_signer(name, one.selector, settings.path(one.key_file), one.algorithm)
    if not one.ed25519_key_file:
        return (first,)
    return (first, load_signer(name, one.ed25519_selector, settings.path(one.ed25519_key_file), "ed25519-sha256"))


def load_signer(domain: str, selector: str, key_file: Path, algorithm: str = "rsa-sha256") -> Signer:
    """The signer of [dkim.DOMAIN]; BadConfig tells what is wrong with the key and how to make a right one."""
    kind = "ed25519" if algorithm == "ed25519-sha256" else "RSA -pkeyopt rsa_keygen_bits:2048"
    cure = f"make one with `openssl genpkey -algorithm {kind} -out {key_file.name}`"
    try:
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as fault:
        raise BadConfig(f"[dkim.{domain}] key_file {key_file} can't be read: {fault.strerror}; {cure}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadConfig(f"[dkim.{domain}] key_file {key_file} holds no unencrypted PEM private key; {cure}") from None
    wanted = Ed25519PrivateKey if algorithm == "ed25519-sha256" else RSAPrivateKey
    if not isinstance(key, wanted):
        raise BadConfig(f"[dkim.{domain}] key_file {key_file} is no key for {algorithm}; {cure}")
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise BadConfig(
            f"[dkim.{domain}] key_file {key_file} has {key.key_size} bits; receivers want {MIN_RSA_BITS}; {cure}"
        )
    return Signer(domain=_a_labels(domain), selector=selector, key=key, algorithm=algorithm)


def _a_labels(domain: str) -> str:
    """The domain as it stands behind d=, and as mails name it (RFC 6376 3.5)."""
    found = ascii_domain(domain)
    if not found:
        raise BadConfig(f"[dkim.{domain!r}] names no domain; write the one that the sender's address ends in")
    return found.lower()


def relaxed(line: str) -> str:
    """RFC 6376 3.4.2: lower-case name, unfolded, single spaces, none around the colon or at the end."""
    name, _, value = line.partition(":")
    value = value.replace("\r\n", "").strip(" \t")
    return f"{name.lower()}:{_BLANKS.sub(' ', value) if '  ' in value or chr(9) in value else value}"


def _folded(text: str, separator: str) -> str:
    lines, line = [], ""
    for piece in text.split(separator):
        if line and len(line) + len(piece) > _LINE - 20:
            lines.append(line)
            line = ""
        line += piece + separator
    return "\r\n  ".join([*lines, line.removesuffix(separator)])
