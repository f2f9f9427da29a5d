"""Who reads what comes to the webhook of a transport?"""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from engine.config import TransportSettings
from engine.feedback.webhooks import resend, ses, svix
from engine.feedback.webhooks.sns import Fetch, Sns, fetch
from engine.model import Notice


class Hook(Protocol):
    """The reader of one transport's webhook."""

    def read(self, headers: Mapping[str, str], body: bytes, at: datetime) -> tuple[Notice, ...] | None:
        """What the request tells; None when it is not proven to come from the provider. Header names in lower case.

        Raises:
            MailerError: this can't be found out now; the provider may come again.
        """


def hook_for(name: str, settings: TransportSettings, get: Fetch = fetch) -> Hook | None:
    """The reader for a transport; None when its kind has no webhook, or nothing to prove one with is configured."""
    if settings.kind == "resend" and settings.webhook_secret is not None:
        return _ResendHook(svix.key_of(name, settings.webhook_secret.get_secret_value()))
    if settings.kind == "ses" and settings.topics:
        return _SesHook(Sns(settings.topics, get))
    return None


class _ResendHook:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def read(self, headers: Mapping[str, str], body: bytes, at: datetime) -> tuple[Notice, ...] | None:
        """See `Hook.read`."""
        if not svix.is_genuine(self._key, headers, body, at):
            return None
        return resend.notices(body, headers["svix-id"])


class _SesHook:
    def __init__(self, sns: Sns) -> None:
        self._sns = sns

    def read(self, _headers: Mapping[str, str], body: bytes, at: datetime) -> tuple[Notice, ...] | None:
        """See `Hook.read`. A topic that wants its subscription confirmed is given that."""
        said = self._sns.read(body, at)
        if said is None:
            return None
        if said.subscribe_url:
            self._sns.confirm(said)
        return ses.notices(said.message, said.message_id)
