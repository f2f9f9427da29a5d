"""What became of messages whose answer was lost, where the provider can tell? The same request again, with its key.

Under a key a provider takes a request once: asked again with the same bytes it says what it answered then, and where
it had never arrived it takes it now. So the messages are made anew from what was frozen, in the order in which they
went, and only whole: a request that lacks one of its mails would be another one.
"""

import logging
from contextlib import closing
from datetime import datetime, timedelta
from itertools import groupby

from engine import audience, delivery, ledger
from engine.errors import BadConfig, RenderFailed
from engine.ledger import Item, Keyed
from engine.model import MessageState, Outcome
from engine.pipeline.composing import Composer, letter_of, plan_composer
from engine.pipeline.workspace import Mailer

_PAUSE = timedelta(seconds=30)  # after the answer was lost, before it is asked for

log = logging.getLogger("mailer.send")


def ask_providers(mailer: Mailer, at: datetime) -> int:
    """A step of the tick: settle what providers can tell; gives how many messages that settled."""
    longest = max(delivery.capabilities(one.kind).repeat_for for one in mailer.settings.transport.values())
    if not longest:
        return 0
    doubts = [one for one in ledger.keyed_doubts(mailer.store, at - longest) if one.at <= at - _PAUSE]
    return sum(
        _ask(mailer, transport, key, list(same), at)
        for (transport, key), same in groupby(doubts, key=_request)
        if may_be_asked(mailer, transport)
    )


def may_be_asked(mailer: Mailer, transport: str) -> bool:
    """Whether this transport is configured, and takes a request once under its key."""
    settings = mailer.settings.transport.get(transport)
    return settings is not None and bool(delivery.capabilities(settings.kind).repeat_for)


def _request(one: Keyed) -> tuple[str, str]:
    return one.transport or delivery.transport_in(one.reply), delivery.key_in(one.reply)


def _ask(mailer: Mailer, name: str, key: str, doubts: list[Keyed], at: datetime) -> int:
    items = [one.item for one in doubts if one.item is not None]
    patience = delivery.capabilities(mailer.settings.transport[name].kind).repeat_for
    if not key or len(items) < len(doubts) or at - doubts[0].at > patience:
        return 0
    transport = delivery.open_transport(name, mailer.settings.transport[name], mailer.folder)
    with closing(transport), closing(audience.gate(mailer.store, mailer.keys)) as gate:
        try:
            compose = plan_composer(mailer, ledger.plan_of(mailer.store, doubts[0].plan_id), name)
            offers = [_offer(mailer, compose, gate, place, one, at) for place, one in enumerate(items)]
        except (BadConfig, RenderFailed) as fault:
            log.warning("not_asked_again transport=%s reason=%r", name, str(fault))
            return 0
        answers = delivery.ask_again(transport, key, offers)
    settled = [
        ledger.settle(mailer.store, items[place], outcome, at) for place, outcome in answers if _is_sure(outcome)
    ]
    log.info("asked_again transport=%s messages=%s settled=%s", name, len(items), sum(settled))
    return sum(settled)


def _offer(
    mailer: Mailer, compose: Composer, gate: audience.Gate, place: int, item: Item, at: datetime
) -> delivery.Offer:
    def before_dot() -> Outcome | None:
        reason = gate.may_receive(item.contact_id, compose.message_class)
        return ledger.skip(reason) if reason else None

    return delivery.Offer(place, compose.mail(letter_of(mailer.store, item), at), before_dot)


def _is_sure(outcome: Outcome) -> bool:
    return outcome.state in (MessageState.SENT, MessageState.REFUSED)
