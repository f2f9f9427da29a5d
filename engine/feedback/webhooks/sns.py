"""Does this message come from a topic of ours? Amazon SNS signs with a certificate that lies on its own host.

The certificate and the confirmation of a subscription are fetched from nowhere but https://sns.REGION.amazonaws.com,
REGION being the topic's. Source: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.
"""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from engine.errors import MailerError

Fetch = Callable[[str], bytes]

_NOTIFICATION = "Notification"
_SIGNED: Mapping[str, tuple[str, ...]] = {
    _NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
# Version 1 is what a topic uses unless told otherwise.
_HASHES: Mapping[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}
_MOST_CERTIFICATES = 16
_SECONDS = 5.0
_LARGEST = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A genuine message. `subscribe_url` is set when the topic asks whether we want its messages."""

    message_id: str
    message: str
    subscribe_url: str = ""


class Sns:
    """Reads the messages of these topics; keeps certificates, each fetched once."""

    def __init__(self, topics: tuple[str, ...], get: Fetch) -> None:
        self._topics = frozenset(topics)
        self._get = get
        self._certificates: dict[str, x509.Certificate] = {}

    def read(self, body: bytes, at: datetime) -> Said | None:
        """The message; None when it is not proven to be one of these topics'. MailerError: the proof can't be got."""
        envelope = _envelope(body)
        # The topic comes first: strangers must not make us fetch anything.
        if envelope is None or envelope["TopicArn"] not in self._topics or not self._is_signed(envelope, at):
            return None
        if envelope["Type"] == _NOTIFICATION:
            return Said(message_id=envelope["MessageId"], message=envelope["Message"])
        asks = envelope["Type"] == "SubscriptionConfirmation"
        return Said(
            message_id=envelope["MessageId"], message="", subscribe_url=envelope["SubscribeURL"] if asks else ""
        )

    def confirm(self, said: Said) -> None:
        """Tell the topic that we want its messages."""
        self._fetched(said.subscribe_url)

    def _is_signed(self, envelope: Mapping[str, str], at: datetime) -> bool:
        region = envelope["TopicArn"].split(":")[3]
        urls = [envelope["SigningCertURL"], *([envelope["SubscribeURL"]] if "SubscribeURL" in envelope else [])]
        if not all(_is_of_sns(url, region) for url in urls):
            return False
        certificate = self._certificate(envelope["SigningCertURL"])
        key = certificate.public_key()
        if not isinstance(key, RSAPublicKey):
            return False
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            return False
        try:
            signature = base64.b64decode(envelope["Signature"], validate=True)
            key.verify(signature, _canonical(envelope), PKCS1v15(), _HASHES[envelope["SignatureVersion"]])
        except (InvalidSignature, binascii.Error):
            return False
        return True

    def _certificate(self, url: str) -> x509.Certificate:
        if url not in self._certificates:
            if len(self._certificates) >= _MOST_CERTIFICATES:
                self._certificates.clear()
            try:
                self._certificates[url] = x509.load_pem_x509_certificate(self._fetched(url))
            except ValueError as fault:
                raise MailerError(f"what lies at {url} is no certificate; SNS will come again") from fault
        return self._certificates[url]

    def _fetched(self, url: str) -> bytes:
        try:
            return self._get(url)
        except OSError as fault:
            host = urlsplit(url).hostname
            raise MailerError(f"{host} can't be reached: {fault}; let this machine out to it by https") from fault


def fetch(url: str) -> bytes:
    """What lies there; OSError when nothing does, or too much, or only the way to another place."""
    import requests  # late: it takes as long to load as all the rest

    with closing(requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True)) as answer:
        if answer.status_code != 200:
            raise OSError(f"it answered {answer.status_code}")
        found = answer.raw.read(_LARGEST + 1, decode_content=True)
    if len(found) > _LARGEST:
        raise OSError("it is larger than any certificate")
    return bytes(found)


def _envelope(body: bytes) -> dict[str, str] | None:
    """The fields of a message, when all are there that its kind must have."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict):
        return None
    fields = {name: value for name, value in said.items() if isinstance(value, str)}
    needed = {*_SIGNED.get(fields.get("Type", ""), ("Type",)), "Signature", "SigningCertURL"} - {"Subject"}
    if fields.get("Type") not in _SIGNED or not needed <= fields.keys():
        return None
    return fields if fields.get("SignatureVersion") in _HASHES and fields["TopicArn"].count(":") == 5 else None


def _canonical(envelope: Mapping[str, str]) -> bytes:
    """What was signed: names and values, each on a line of its own; a missing Subject is left out."""
    names = (name for name in _SIGNED[envelope["Type"]] if name in envelope)
    return "".join(f"{name}\n{envelope[name]}\n" for name in names).encode("utf-8", "surrogatepass")


def _is_of_sns(url: str, region: str) -> bool:
    """Whether this leads to SNS itself, over https: nobody else may write there."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    ours = (f"sns.{region}.amazonaws.com", f"sns.{region}.amazonaws.com.cn")
    return parts.scheme == "https" and host in ours and port in (None, 443) and "@" not in parts.netloc
