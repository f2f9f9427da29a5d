"""Resend, SES and SNS as their documentation describes them, on loopback: limits, faults, keys, signatures.

A fault is asked for by putting its name into `faults`; each request to send takes the first one left:

    drop          take the mails, then close without an answer      lose       close before taking anything
    hang          take the mails, then never answer                 garbage    take the mails, answer 200 without JSON
    429 N [name]  over the limit, wait N seconds                    NNN name   that status with that error's name
    busy          409: the same key is still being worked on        strict     refuse the whole batch for one bad mail
"""

import base64
import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

RESEND_KEY = "re_test_123456789"
AWS_KEY, AWS_SECRET, REGION = "AKIATEST", "aws-secret", "eu-west-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:mail-events"
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a webhook secret of 32 bytes, ok").decode()
_MAILBOX = re.compile(r"(?:[^<>,\"]* <[^@\s<>,]+@[^@\s<>,]+\.[a-z]+>)|[^@\s<>,]+@[^@\s<>,]+\.[a-z]+")
_DAY = 86400.0


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes


@dataclass
class Fake:
    """A provider on a port of this machine."""

    faults: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    arrived: list[Any] = field(default_factory=list)  # every mail that was taken, in order
    answered_at: list[float] = field(default_factory=list)

    def start(self) -> None:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one write, or each answer takes 40 ms (Nagle, RFC 896)

            def handle_all(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Request(self.command, self.path, headers, body)
                fake.requests.append(request)
                answer = fake.answer(request)
                if answer is None:
                    self.close_connection = True
                    return
                status, more, said = answer
                fake.answered_at.append(time.monotonic())
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            do_GET = do_POST = do_PUT = handle_all  # noqa: N815 - http.server finds them by these names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, *_: object) -> None:
                """Torn connections are what these tests are about."""

            def get_request(self) -> tuple[socket.socket, Any]:
                connected = super().get_request()
                fake._open.append(connected[0])
                return connected

        self._hang = threading.Event()
        self._open: list[socket.socket] = []
        self._server = Server(("127.0.0.1", getattr(self, "port", 0)), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if not self._thread.is_alive():
            return
        self._hang.set()
        self._server.shutdown()
        self._server.server_close()
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sending(self) -> list[Request]:
        """The requests that were to send something."""
        return [one for one in self.requests if one.method == "POST"]

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        raise NotImplementedError

    def lost(self, fault: str) -> tuple[int, dict[str, str], bytes] | None:
        """What follows once the mails were taken."""
        if fault == "hang":
            self._hang.wait(30)
        said = {"garbage": b"<html>ok", "deep": b"[" * 100_000}.get(fault)
        return (200, {}, said) if said else None


@contextmanager
def running(fake: "FakeResend | FakeSes | FakeWeb") -> Iterator[Any]:
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()


@dataclass
class FakeResend(Fake):
    """api.resend.com: keys are remembered for 24 hours, with the answer they got."""

    restricted: bool = False  # the key may only send
    remembered: dict[str, tuple[str, bytes, float]] = field(default_factory=dict)
    age: float = 0.0  # seconds by which its clock is ahead

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        if request.headers.get("authorization") != f"Bearer {RESEND_KEY}":
            return self._error(403, "invalid_api_key", "API key is invalid")
        if not request.headers.get("user-agent"):
            return self._error(403, "validation_error", "A user agent is needed")
        if request.path.startswith("/domains"):
            if self.restricted:
                return self._error(401, "restricted_api_key", "This API key is restricted to only send emails")
            return 200, {}, b'{"data": []}'
        return self._send(request)

    def _send(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lose":
            return None
        if fault == "busy":
            return self._error(409, "concurrent_idempotent_requests", "The same key is in use by another request")
        if fault.startswith("429"):
            wait, *name = fault.split()[1:]
            limits = {"ratelimit-limit": "2", "ratelimit-remaining": "0", "ratelimit-reset": wait, "retry-after": wait}
            return self._error(429, *(name or ["rate_limit_exceeded"]), "Too many requests", limits)
        if re.match(r"\d{3} ", fault):
            status, name, *text = fault.split(" ", 2)
            return self._error(int(status), name, text[0] if text else "so it is")
        said = self._taken(request, strict=fault == "strict")
        return self.lost(fault) if fault in ("drop", "hang", "garbage", "deep") else said

    def _taken(self, request: Request, strict: bool) -> tuple[int, dict[str, str], bytes]:
        key = request.headers.get("idempotency-key", "")
        digest = hashlib.sha256(request.path.encode() + request.body).hexdigest()
        known = self.remembered.get(key)
        if known and time.monotonic() + self.age - known[2] < _DAY:
            if known[0] != digest:
                return self._error(409, "invalid_idempotent_request", "The key was used with another body")
            return 200, {}, known[1]
        mails = json.loads(request.body)
        many = isinstance(mails, list)
        permissive = request.headers.get("x-batch-validation") == "permissive" and not strict
        errors = [(n, fault) for n, one in enumerate(mails if many else [mails]) if (fault := _wrong(one))]
        if many and len(mails) > 100:
            return self._error(422, "validation_error", "The batch has more than 100 emails")
        if errors and not (many and permissive):
            return self._error(422, "validation_error", errors[0][1])
        wrong = {n for n, _ in errors}
        good = [one for n, one in enumerate(mails if many else [mails]) if n not in wrong]
        first = len(self.arrived)
        self.arrived += good
        ids = [{"id": f"id-{first + n}"} for n in range(len(good))]
        said: dict[str, Any] = {"data": ids} if many else ids[0]
        if errors:
            said["errors"] = [{"index": n, "message": fault} for n, fault in errors]
        answer = json.dumps(said).encode()
        self.remembered[key] = (digest, answer, time.monotonic() + self.age)
        return 200, {}, answer

    def _error(
        self, status: int, name: str, text: str, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        said = {"statusCode": status, "name": name, "message": text}
        return status, headers or {}, json.dumps(said).encode()


def _wrong(mail: dict[str, Any]) -> str:
    """What Resend finds wrong with a mail; empty when nothing."""
    for name in ("from", "to", "subject"):
        if not mail.get(name):
            return f"Missing `{name}` field"
    if not _MAILBOX.fullmatch(mail["from"]) or '"' in mail["from"] or "=?" in mail["from"]:
        return "Invalid `from` field. The email address needs to follow the `email@example.com` format"
    for one in mail["to"] if isinstance(mail["to"], list) else [mail["to"]]:
        if not _MAILBOX.fullmatch(one) or one.rstrip(">").endswith(".invalid"):
            return "Invalid `to` field. The email address needs to follow the `email@example.com` format"
    if "forbidden" in mail["subject"]:
        return "The subject holds something forbidden"
    for tag in mail.get("tags", []):
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", tag["value"]):
            return "Tags should only contain ASCII letters, numbers, underscores, or dashes"
    return ""


@dataclass
class FakeSes(Fake):
    """email.REGION.amazonaws.com: checks each signature, keeps no keys."""

    enabled: bool = True

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        if not _is_signed(request, self.base):
            return self._error(403, "SignatureDoesNotMatch", "The request signature does not match")
        if request.path == "/v2/email/account":
            return 200, {}, json.dumps({"SendingEnabled": self.enabled, "ProductionAccessEnabled": True}).encode()
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lose":
            return None
        if re.match(r"\d{3} ", fault):
            status, name, *text = fault.split(" ", 2)
            return self._error(int(status), name, text[0] if text else "so it is")
        said = json.loads(request.body)
        raw = base64.b64decode(said["Content"]["Raw"]["Data"], validate=True)
        (recipient,) = said["Destination"]["ToAddresses"]
        tags = {one["Name"]: one["Value"] for one in said["EmailTags"]}
        self.arrived.append({"recipient": recipient, "raw": raw, "tags": tags})
        if fault in ("drop", "hang", "garbage", "deep"):
            return self.lost(fault)
        return 200, {}, json.dumps({"MessageId": f"0100-{len(self.arrived)}"}).encode()

    def _error(self, status: int, name: str, text: str) -> tuple[int, dict[str, str], bytes]:
        # As the service does: the name with its address in a header, the text in the body.
        headers = {"x-amzn-ErrorType": f"{name}:http://internal.amazon.com/coral/com.amazonaws.sesv2/"}
        return status, headers, json.dumps({"message": text}).encode()


def _is_signed(request: Request, base: str) -> bool:
    """Whether a second, independent signing of what arrived gives the same signature."""
    said = request.headers.get("authorization", "")
    found = re.fullmatch(
        rf"AWS4-HMAC-SHA256 Credential={AWS_KEY}/\d{{8}}/{REGION}/ses/aws4_request, "
        r"SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})",
        said,
    )
    if not found:
        return False
    names = found[1].split(";")
    again = AWSRequest(
        method=request.method,
        url=base + request.path,
        data=request.body,
        headers={name: request.headers[name] for name in names if name != "host"},
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    signer = SigV4Auth(Credentials(AWS_KEY, AWS_SECRET), "ses", REGION)
    signature = signer.signature(signer.string_to_sign(again, signer.canonical_request(again)), again)
    return hmac.compare_digest(signature, found[2])


@dataclass
class FakeWeb(Fake):
    """Any other server: answers what `pages` says for a path."""

    pages: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes] | None:
        return self.pages.get(urlsplit(request.path).path, (404, {}, b""))


# ---------------------------------------------------------------- webhooks, signed as the providers sign them


def svix_headers(body: bytes, at: datetime, identifier: str = "msg_1", secret: str = WEBHOOK_SECRET) -> dict[str, str]:
    """The three headers that Resend sends with an event."""
    stamp = str(int(at.timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signature = hmac.new(key, f"{identifier}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "svix-id": identifier,
        "svix-timestamp": stamp,
        "svix-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


def resend_event(kind: str, delivery_id: str, **more: Any) -> bytes:
    """The body of one event, as the provider's OpenAPI file describes it."""
    data = {
        "email_id": "56761188-7520-42d8-8898-ff6fc54ce618",
        "created_at": "2026-03-01T12:00:00.000Z",
        "from": "Corner Shop <hello@shop.test>",
        "to": ["anna@people.test"],
        "subject": "Hello",
        "tags": {"delivery_id": delivery_id},
        **more,
    }
    return json.dumps({"type": kind, "created_at": "2026-03-01T12:00:05.000Z", "data": data}).encode()


class Sns:
    """A topic that signs its messages; `fetch` stands for the network in which its certificate lies."""

    def __init__(self, at: datetime, region: str = REGION) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"sns.{region}.amazonaws.com")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(at - timedelta(days=30))
            .not_valid_after(at + timedelta(days=30))
            .sign(self._key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )
        self.certificate_url = f"https://sns.{region}.amazonaws.com/SimpleNotificationService-0123abcd.pem"
        self.fetched: list[str] = []

    def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if url == self.certificate_url:
            return self.certificate
        if "Action=ConfirmSubscription" in url:
            return b"<ConfirmSubscriptionResponse/>"
        raise OSError(f"nothing is at {url}")

    def notification(self, message: str, version: str = "2", identifier: str = "m-1", **changed: str) -> bytes:
        return self._signed({"Type": "Notification", "MessageId": identifier, "Message": message}, version, changed)

    def confirmation(self, version: str = "2", **changed: str) -> bytes:
        url = f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
        said = {"Type": "SubscriptionConfirmation", "MessageId": "m-0", "Token": "abc", "SubscribeURL": url}
        return self._signed({**said, "Message": "You have chosen to subscribe"}, version, changed)

    def _signed(self, said: dict[str, str], version: str, changed: dict[str, str]) -> bytes:
        said |= {"TopicArn": TOPIC, "Timestamp": "2026-03-01T12:00:00.000Z", "SignatureVersion": version}
        said |= {"SigningCertURL": self.certificate_url, **changed}
        algorithm: hashes.HashAlgorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = self._key.sign(_canonical(said), padding.PKCS1v15(), algorithm)
        return json.dumps({**said, "Signature": base64.b64encode(signature).decode()}).encode()


def _canonical(said: dict[str, str]) -> bytes:
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if said["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    return "".join(f"{name}\n{said[name]}\n" for name in names if name in said).encode()


def ses_event(kind: str, delivery_id: str, part: dict[str, Any], tagged: bool = True) -> str:
    """One event as SES publishes it through a configuration set (dg/event-publishing-retrieving-sns-examples)."""
    name = {"Bounce": "bounce", "Complaint": "complaint", "Delivery": "delivery", "DeliveryDelay": "deliveryDelay"}
    mail: dict[str, Any] = {
        "timestamp": "2026-03-01T12:00:00.000Z",
        "source": "Corner Shop <hello@shop.test>",
        "messageId": "EXAMPLE7c191be45-e9aedb9a",
        "destination": ["anna@people.test"],
        "headers": [{"name": "Message-ID", "value": f"<{delivery_id}@shop.test>"}],
    }
    if tagged:
        mail["tags"] = {"delivery_id": [delivery_id], "ses:configuration-set": ["events"]}
    return json.dumps({"eventType": kind, "mail": mail, name.get(kind, kind.lower()): part})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


Fetch = Callable[[str], bytes]
