"""Who vouches for a mail? A DKIM signature (RFC 6376, RFC 8463) made with `cryptography`; dkimpy needs 9 ms for one.

Headers are canonicalised relaxed, the body simple: quoted-printable text has no trailing blanks to lose, and the
simple form is the bytes as they are.
"""

import binascii
import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.errors import BadConfig
from engine.message.headers import HeaderLine

MIN_RSA_BITS = 2048  # RFC 8301 3.2: verifiers may ignore less than 1024; receivers want 2048
SIGNED = (
    "From To Subject Date Message-ID Reply-To MIME-Version Content-Type "
    "List-Unsubscribe List-Unsubscribe-Post List-ID Feedback-ID"
).split()
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

    def sign(self, lines: list[HeaderLine], body: bytes, at: datetime) -> str:
        """The DKIM-Signature line over these headers and this body (which must end in exactly one CRLF)."""
        present = {one.name: one.line for one in lines}
        names = [name for name in SIGNED if name in present]
        # From once more than it occurs: a second one added on the way breaks the signature (RFC 6376 8.15).
        listed = ":".join(["from", *(name.lower() for name in names)])
        bodyhash = binascii.b2a_base64(hashlib.sha256(body).digest(), newline=False).decode()
        unsigned = (
            f"DKIM-Signature: v=1; a={self.algorithm}; c=relaxed/simple; d={self.domain}; s={self.selector};\r\n"
            f" t={int(at.timestamp())}; h={_folded(listed, ':')};\r\n bh={bodyhash};\r\n b="
        )
        # The one From there is is taken by the last mention of it, from the bottom up; the extra one stands for none.
        signed = "\r\n".join([*(_relaxed(present[name]) for name in names), _relaxed(unsigned)]).encode()
        signature = binascii.b2a_base64(self._signature(signed), newline=False).decode()
        return unsigned + "\r\n ".join(signature[i : i + _LINE] for i in range(0, len(signature), _LINE))

    def _signature(self, signed: bytes) -> bytes:
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(signed, _PADDING, _SHA256)
        return self.key.sign(hashlib.sha256(signed).digest())  # RFC 8463 3: of the hash


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
    return Signer(domain=domain.lower(), selector=selector, key=key, algorithm=algorithm)


def _relaxed(line: str) -> str:
    """RFC 6376 3.4.2: lower-case name, unfolded, single spaces, none around the colon or at the end."""
    name, _, value = line.partition(":")
    return name.lower() + ":" + _BLANKS.sub(" ", value.replace("\r\n", "")).strip(" ")


def _folded(text: str, separator: str) -> str:
    lines, line = [], ""
    for piece in text.split(separator):
        if line and len(line) + len(piece) > _LINE - 20:
            lines.append(line)
            line = ""
        line += piece + separator
    return "\r\n  ".join([*lines, line.removesuffix(separator)])
