"""What does Resend want to hear, and what do its answers mean? Requests, replies, errors; no connection.

Sources: the provider's OpenAPI file and resend.com/docs (api-reference/errors, dashboard/emails/idempotency-keys,
dashboard/emails/batch-validation-modes).
"""

import json
import re
from collections.abc import Mapping, Sequence
from email.charset import QP, Charset
from typing import Any

from engine.delivery.api import HTTP, Meaning, Reply, meaning
from engine.delivery.fields import fields_of
from engine.delivery.keys import is_for_many, uncertain
from engine.model import Mail, MessageState, Outcome
from engine.replies import shortened

TAG = "delivery_id"  # comes back with every webhook event
_PLAIN_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_TROUBLE = re.compile(r"[\"(),.:;<>@\[\\\]]+")
_QP = Charset("utf-8")
_QP.header_encoding = QP


def _deferred(reason: str, status: str = "", words: str = "") -> Meaning:
    return Meaning(state=MessageState.DEFERRED, reason=reason, status=status, words=words)


def _refused(reason: str, status: str, words: str = "") -> Meaning:
    return Meaning(state=MessageState.REFUSED, reason=reason, status=status, words=words)


# All but the first are certain: the mail was not taken.
ERRORS: tuple[Meaning, ...] = (
    # The key was used within 24 hours for something else: what became of that, this answer doesn't tell.
    Meaning(state=MessageState.UNCERTAIN, reason="reply_lost", status="409"),
    _deferred("unavailable", "429", "daily_quota"),  # nothing more goes out here today: a backup may
    _deferred("configuration", "429", "monthly_quota"),
    _deferred("throttled", "429"),
    _deferred("configuration", "401|403|404|405|451"),
    _deferred(
        "configuration", "400|422", r"idempotency|`from`|`reply_to`|from_address|domain is not verified|invalid_access"
    ),
    _refused("bad_address", "400|422", r"`to`|recipient|email address"),
    _refused("content", "400|413|422"),
    _deferred("configuration"),
)


def request_of(key: str, bodies: Sequence[bytes]) -> tuple[str, bytes, Mapping[str, str]]:
    """Path, body and headers: the same bytes for the same mails and key, or the provider takes it for another."""
    if not is_for_many(key):
        return "/emails", bodies[0], {"Idempotency-Key": key}
    # Permissive: what is wrong with one mail keeps only that one back.
    return (
        "/emails/batch",
        b"[" + b",".join(bodies) + b"]",
        {"Idempotency-Key": key, "x-batch-validation": "permissive"},
    )


def body_of(mail: Mail) -> bytes:
    """One mail as the API wants it. Its Date is not part of it, so that a later attempt has the same bytes."""
    fields = fields_of(mail.data)
    said: dict[str, Any] = {
        "from": _from(fields.from_name, fields.from_address),
        "to": [_to(fields.to_name, mail.recipient)],
        "subject": fields.subject,
        "html": fields.html,
        "text": fields.text,
        "reply_to": [fields.reply_to] if fields.reply_to else [],
        "headers": fields.headers,
        "tags": [{"name": TAG, "value": mail.delivery_id}],
    }
    kept = {name: value for name, value in said.items() if value}
    return json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace")


def said_in(reply: Reply) -> str:
    """An error's name and text, and how long to wait after a 429."""
    body = reply.body if isinstance(reply.body, dict) else {}
    said = f"{body.get('name', '')}: {body.get('message', '')}".strip(": ") or f"HTTP {reply.status}"
    return f"{said}; wait {reply.wait():g} s" if reply.status == 429 else said


def is_under_way(reply: Reply) -> bool:
    """Whether the same request is still being worked on: the answer comes later."""
    return reply.status == 409 and "concurrent" in said_in(reply)


def may_have_been_taken(reply: Reply) -> bool:
    """Whether this answer leaves open what became of the request, and the same request may tell."""
    return reply.status >= 500 or 200 <= reply.status < 300 or is_under_way(reply)


def is_about_one(reply: Reply) -> bool:
    """Whether one mail of the request is wrong and the others were kept back with it."""
    return not reply.is_yes and meaning(ERRORS, reply.status, said_in(reply)).reason in ("content", "bad_address")


def outcomes_of(reply: Reply, key: str, count: int) -> list[Outcome]:
    """One outcome for each mail of the request, in its order."""
    if not reply.is_yes:
        return [meaning(ERRORS, reply.status, said_in(reply))] * count
    found = _accepted(reply.body, count)
    return found or [uncertain(key, "it took the request and did not say which mails")] * count


def _accepted(body: Mapping[str, Any], count: int) -> list[Outcome]:
    """One outcome a mail from a yes; nothing when it doesn't say clearly what became of each."""
    if count == 1 and isinstance(body.get("id"), str):
        return [_sent(body["id"])]
    taken, errors = body.get("data"), body.get("errors") or []
    if not isinstance(taken, list) or not isinstance(errors, list) or len(taken) + len(errors) != count:
        return []
    wrong = {one.get("index"): str(one.get("message", "")) for one in errors if isinstance(one, dict)}
    if len(wrong) != len(errors) or not wrong.keys() <= set(range(count)):
        return []
    ids = iter(taken)
    return [meaning(ERRORS, 422, wrong[n]) if n in wrong else _sent(_id(next(ids))) for n in range(count)]


def _id(one: Any) -> str:
    return str(one.get("id", "")) if isinstance(one, dict) else ""


def _sent(identifier: str) -> Outcome:
    return Outcome(state=MessageState.SENT, reply=shortened(f"id {identifier}"), stage=HTTP)


def _from(name: str, address: str) -> str:
    """The sender's name goes bare: the API refuses quotes, commas and encoded words there (422, 451)."""
    bare = " ".join(_TROUBLE.sub(" ", name).split())
    return f"{bare} <{address}>" if bare else address


def _to(name: str, address: str) -> str:
    """A name that would need quotes goes as an encoded word, which the API does take here."""
    if not name:
        return address
    return f"{name if _PLAIN_NAME.fullmatch(name) else _QP.header_encode(name)} <{address}>"
