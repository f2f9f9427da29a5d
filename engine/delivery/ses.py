"""How does one mail leave over Amazon SES (API v2), byte for byte, with certainty about whether it did?

SES knows no idempotency key: an answer that is lost leaves the mail uncertain, and only an event that carries our id
(`engine.feedback.webhooks`) or the operator settles it. Requests are signed by botocore (SigV4), an optional part.

Sources: the API model (SendEmail, its errors, Destination), docs.aws.amazon.com/ses/latest/dg: header-fields,
manage-sending-quotas-errors, troubleshoot-error-messages; docs.aws.amazon.com/ses/latest/APIReference/CommonErrors.
"""

import base64
import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import requests
from requests.auth import AuthBase

from engine.config import TransportSettings
from engine.delivery.api import HTTP, AnswerLost, Api, Meaning, Reply, meaning, not_handed_over, stopped, unsendable
from engine.delivery.offers import ENDING, Answer, Offer
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import Mail, MessageState, Outcome
from engine.replies import shortened

PAUSES = (0.5, 1.0, 2.0)  # before the same mail is offered anew, after "Maximum sending rate exceeded"
_SEND = "/v2/email/outbound-emails"
_ACCOUNT = "/v2/email/account"
_TAG = "delivery_id"  # comes back with every event of a configuration set
_TOO_FAST = "sending rate exceeded"


def _deferred(reason: str, words: str = "", status: str = "") -> Meaning:
    return Meaning(state=MessageState.DEFERRED, reason=reason, status=status, words=words)


def _refused(reason: str, words: str, status: str = "") -> Meaning:
    return Meaning(state=MessageState.REFUSED, reason=reason, status=status, words=words)


ERRORS: tuple[Meaning, ...] = (
    _deferred("unavailable", "daily message quota"),  # nothing more goes out here today: a backup may
    _deferred("throttled", "TooManyRequests|LimitExceeded|Throttling|sending rate"),
    _deferred("throttled", status="429"),
    _deferred("configuration", "AccountSuspended|SendingPaused|MailFromDomainNotVerified"),
    # In the sandbox every recipient must be verified, outside it only the sender: ours to mend in both cases.
    _deferred("configuration", "not verified|not authorized|authority to send"),
    # Who we are or when we ask, which other services say with 403: APIReference/CommonErrors.
    _deferred("configuration", "AccessDenied|NotAuthorized|RequestExpired|IncompleteSignature|InvalidAction|TokenId"),
    _deferred("configuration", "ExpiredToken|UnrecognizedClient|OptInRequired"),
    _refused("content", "MessageRejected"),
    _deferred("unavailable", "ServiceUnavailable", "503"),
    # The request was taken, and then something broke: no telling where.
    Meaning(state=MessageState.UNCERTAIN, reason="reply_lost", status="5..|2.."),
    _deferred("configuration", status="401|403|404|405|3.."),
    _refused("bad_address", "address|domain|recipient", "400"),
    _refused("content", "", "400|413"),
    _deferred("configuration"),
)


class SesTransport:
    """One mail a request; one kept connection."""

    def __init__(self, name: str, settings: TransportSettings, pauses: tuple[float, ...] = PAUSES) -> None:
        self.name = name
        base = settings.endpoint or f"https://email.{settings.region}.amazonaws.com"
        password = settings.password.get_secret_value() if settings.password else ""
        auth = _Signature(name, settings.username, password, settings.region)
        self._api = Api(f"transport {name!r} ({base})", base, auth, settings.timeout)
        self._pauses = pauses
        self._in_doubt = False  # an answer was lost: look whether anybody is there before handing over more

    def check(self) -> None:
        """Ask about the account; TransportUnavailable when nobody answers, or not to this key, or it may not send."""
        self._in_doubt = True
        try:
            reply = self._api.call("GET", _ACCOUNT)
        except AnswerLost as fault:
            raise TransportUnavailable(f"{self._api.place} does not answer: {fault}; try later") from fault
        said = shortened(_said(reply))
        # A key that may send and nothing else is refused here, and is a good key. Stand-ins don't know this question.
        if reply.status in (401, 403) and "AccessDenied" not in said:
            raise TransportRefused(f"{self._api.place} refuses the key: {said}; check username, password and region")
        if reply.status >= 500:
            raise TransportUnavailable(f"{self._api.place} can't work now: {said}; try later")
        if reply.is_yes and reply.body.get("SendingEnabled") is False:
            raise TransportRefused(f"{self._api.place}: sending is switched off for this account; ask AWS support")
        self._in_doubt = False

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over, one after another; see `transport.Transport.deliver`."""
        for offer in offers:
            outcome = (
                self._api.kept_back(self._in_doubt, self.check) or unsendable(offer.mail) or self._handed_over(offer)
            )
            yield offer.ord, outcome
            if outcome.reason in ENDING:
                return

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for an answer under way."""
        self._api.cut(seconds)

    def close(self) -> None:
        """Hang up; a later `deliver` connects again."""
        self._api.close()

    def _handed_over(self, offer: Offer) -> Outcome:
        body = _body(offer.mail)
        for pause in (*self._pauses, None):
            skip = offer.before_dot()
            if skip is not None:
                return skip
            outcome = self._request(body)
            if pause is None or _TOO_FAST not in outcome.reply:
                return outcome
            self._api.rest(pause)
            if self._api.is_cut:
                return stopped()
        raise AssertionError("the last try returns")

    def _request(self, body: bytes) -> Outcome:
        try:
            reply = self._api.call("POST", _SEND, body)
        except AnswerLost as fault:
            self._in_doubt = True
            return Outcome(state=MessageState.UNCERTAIN, reason="reply_lost", reply=shortened(str(fault)), stage=HTTP)
        except TransportUnavailable as fault:
            return not_handed_over(fault)
        if reply.is_yes and isinstance(reply.body.get("MessageId"), str):
            return Outcome(state=MessageState.SENT, reply=shortened(f"id {reply.body['MessageId']}"), stage=HTTP)
        outcome = meaning(ERRORS, reply.status, _said(reply))
        self._in_doubt = self._in_doubt or outcome.state is MessageState.UNCERTAIN
        return outcome


class _Signature(AuthBase):
    """Signs each request (AWS Signature Version 4); given as `auth`, so that no .netrc takes its place."""

    def __init__(self, name: str, username: str, password: str, region: str) -> None:
        self._name = name
        self._username = username
        self._password = password
        self._region = region

    @cached_property
    def _signer(self) -> tuple[Any, Any]:
        # Late: botocore is a large, optional part that no other transport needs.
        try:
            from botocore.auth import SigV4Auth
            from botocore.awsrequest import AWSRequest
            from botocore.credentials import Credentials
        except ImportError as fault:
            raise TransportRefused(
                f"transport {self._name!r}: botocore is not installed; pip install 'mailer[ses]'"
            ) from fault
        return SigV4Auth(Credentials(self._username, self._password), "ses", self._region), AWSRequest

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        signer, make_request = self._signer
        signed = make_request(
            method=request.method,
            url=request.url,
            data=request.body or b"",
            headers={"Content-Type": request.headers["Content-Type"]},
        )
        signer.add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


def _body(mail: Mail) -> bytes:
    """SendEmail with the raw mail. No FromEmailAddress: it would take the place of the From header with its name."""
    said = {
        "Content": {"Raw": {"Data": base64.b64encode(mail.data).decode("ascii")}},
        "Destination": {"ToAddresses": [mail.recipient]},
        "EmailTags": [{"Name": _TAG, "Value": mail.delivery_id}],
    }
    return json.dumps(said).encode("ascii")


def _said(reply: Reply) -> str:
    """An error's name and text; the name stands in a header or in the body, by service."""
    body = reply.body if isinstance(reply.body, dict) else {}
    name = reply.headers.get("x-amzn-errortype") or body.get("__type") or body.get("code") or ""
    text = body.get("message") or body.get("Message") or ""
    return f"{str(name).partition(':')[0].rpartition('#')[2]}: {text}".strip(": ") or f"HTTP {reply.status}"
