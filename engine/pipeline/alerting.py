"""How does a person hear that she should look? Once a cause, by webhook, mail or both; again when it is over.

What counts is `worries`. It must have lasted half a minute: a sender that is started again is no news. An alert counts
as told once any way got through; where none did, all are tried again a minute later, as long as it lasts.
"""

import html
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from engine import delivery, ledger, message
from engine.errors import MailerError, TransportUnavailable
from engine.links import Keys
from engine.model import MessageState
from engine.pipeline.composing import composer
from engine.pipeline.workspace import Mailer
from engine.pipeline.worrying import worries
from engine.webhooks import Poster

_PATIENCE = timedelta(seconds=30)
_AGAIN_SECONDS = 60.0
_NAME = "alert"  # stands where a campaign's name stands in the headers of its mails

log = logging.getLogger("mailer.alert")


def alert(mailer: Mailer, at: datetime) -> None:
    """Note what somebody should look at, and tell her what she has not heard yet; may take as long as a slow server."""
    found = worries(mailer, at)
    if any(one.cause == "database" for one in found):
        return  # nothing could be noted: the log and `/ready` tell it
    ledger.note_causes(mailer.store, {one.cause: one.text for one in found}, at)
    settings = mailer.settings.alerts
    if not (settings.webhook or settings.email):
        return
    news = ledger.claim_untold(mailer.store, at, _patience(mailer))
    if not news:
        return
    if _told(mailer, news, at):
        ledger.note_told(mailer.store, news, at)
        for one in news:
            log.warning("alert_told cause=%r over=%s", one.cause, one.is_over)
    else:
        ledger.note_untold(mailer.store, news, _AGAIN_SECONDS)


def _patience(mailer: Mailer) -> timedelta:
    """A rehearsal's clock may stand, or run faster."""
    clock = mailer.settings.clock
    return _PATIENCE * clock.speed if clock.fixed_at else _PATIENCE


def _told(mailer: Mailer, news: Sequence[ledger.Alert], at: datetime) -> bool:
    """Whether any way got through; each that did not is logged."""
    ways = [
        (name, act) for name, act in (("webhook", _post), ("email", _mail)) if getattr(mailer.settings.alerts, name)
    ]
    reached = False
    for name, act in ways:
        try:
            act(mailer, news, at)
            reached = True
        except MailerError as fault:
            log.error("alert_failed way=%s causes=%s reason=%r", name, len(news), str(fault))
    return reached


def _post(mailer: Mailer, news: Sequence[ledger.Alert], _at: datetime) -> None:
    """One POST of JSON; `text` is what chat programs show."""
    body = {"shop": mailer.settings.shop.name, "text": "\n".join(_lines(news)), "alerts": [_json(one) for one in news]}
    with Poster() as poster:
        trouble = poster.post(mailer.settings.alerts.webhook, body)
    if trouble:
        raise TransportUnavailable(f"the webhook does not take it: {trouble}")


def _mail(mailer: Mailer, news: Sequence[ledger.Alert], at: datetime) -> None:
    """One mail, outside every campaign; its tokens name no message."""
    wanted = mailer.settings.alerts
    compose = composer(
        mailer, campaign=_NAME, plan_id=0, message_class="transactional", transport=wanted.transport or None
    )
    lines = _lines(news)
    said = message.Rendered(
        subject=_subject(mailer.settings.shop.name, news),
        preheader="",
        html="<br>\n".join(html.escape(one) for one in lines),
        text="\n".join(lines) + "\n",
    )
    told = "\0".join(f"{one.cause}@{one.began_at}@{one.over_at}" for one in news)
    mail = compose.frame.mail(
        said.subject,
        message.body_of(said),
        delivery_id=_delivery_id(mailer.keys, told),
        to=message.mailbox(wanted.email, "[alerts] email"),
        date=at,
        unsubscribe_url="",
    )
    transport = delivery.open_transport(compose.transport_name, compose.transport, mailer.folder)
    try:
        outcome = delivery.hand_over(transport, mail)
    finally:
        transport.close()
    if outcome.state not in (MessageState.SENT, MessageState.UNCERTAIN):
        raise TransportUnavailable(f"the mail was {outcome.state.value}: {outcome.reason} {outcome.reply}".strip())


def _delivery_id(keys: Keys, told: str) -> str:
    return keys.delivery_id(f"\0{_NAME}", told, 0)


def _subject(shop: str, news: Sequence[ledger.Alert]) -> str:
    first = news[0]
    more = f" (and {len(news) - 1} more)" if len(news) > 1 else ""
    return f"[{shop}] {'all clear: ' if first.is_over else ''}{first.text}{more}"[:200]


def _lines(news: Sequence[ledger.Alert]) -> list[str]:
    return [f"all clear: {one.text}" if one.is_over else one.text for one in news]


def _json(one: ledger.Alert) -> dict[str, Any]:
    return {
        "cause": one.cause,
        "state": "over" if one.is_over else "open",
        "text": one.text,
        "began_at": one.began_at.isoformat(),
        "over_at": one.over_at.isoformat() if one.over_at else None,
    }
