"""What is done about a bounce, a complaint or a provider's event? The same for mailbox, webhook and command line.

What carries the id of a message of ours is believed: nobody can guess it, and it speaks of one recipient only. What
names nothing but an address could come from anybody who can send mail, and suppresses nobody by itself (see
docs/decisions/0006). Whatever is cut off half-way is completed when the same notice comes again.

    bounced        the message's final bounce, an event; its address is given up, counted or kept, by the reason
    complained     suppressed for good and her consent withdrawn; an event, and the brake is asked
    unsubscribed   opted out
    everything     proves that the message went out: `uncertain` becomes sent
    delivered, delayed, opened, clicked, auto-reply, unknown: nothing more, and nothing is kept of them
"""

import hashlib
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from engine import audience, ledger, replies
from engine.errors import UnknownContact
from engine.ledger import MessageFacts
from engine.model import Notice, NoticeKind
from engine.pipeline.braking import look_if_due
from engine.pipeline.workspace import Mailer

SIGNED = frozenset({"resend", "ses"})  # sources that only the provider itself can speak for
_DOUBTFUL = "doubtful_address"
_MAILED_WITHIN = timedelta(days=30)

log = logging.getLogger("mailer.return")


class Effect(StrEnum):
    """What a notice came to."""

    SUPPRESSED = "suppressed"  # her address is given up
    COUNTED = "counted"  # kept; when it comes again in a row, her address is given up
    KEPT = "kept"  # an event, and no fault of her address
    COMPLAINED = "complained"  # suppressed for good
    OPTED_OUT = "opted_out"
    SETTLED = "settled"  # it told that an uncertain message was sent
    REPEATED = "repeated"  # was known already
    IGNORED = "ignored"
    UNMATCHED = "unmatched"  # about nobody we know


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What became of one notice, and whom it was about."""

    effect: Effect
    kind: NoticeKind
    reason: str = ""
    contact_id: int | None = None
    campaign: str = ""
    delivery_id: str = ""
    matched_by: str = ""  # id | recipient


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """Whom a notice is about. `is_certain`: only somebody who has the message, or its provider, can have said it."""

    contact_id: int
    sent: MessageFacts | None
    is_certain: bool


def apply_notice(mailer: Mailer, notice: Notice, at: datetime) -> Applied:
    """Do what the notice asks for, once; `at` is when it reached us, whatever it says of itself."""
    match = _find(mailer, notice, at)
    if match is None:
        return Applied(effect=Effect.UNMATCHED, kind=notice.kind, reason=notice.reason)
    settled = 0
    if match.is_certain and match.sent is not None:
        settled = ledger.prove(mailer.store, [match.sent.delivery_id], f"notice: {notice.kind}", at)
    effect = _apply(mailer, notice, match, at)
    if effect is Effect.IGNORED and settled:
        effect = Effect.SETTLED
    sent = match.sent
    applied = Applied(
        effect=effect,
        kind=notice.kind,
        reason=notice.reason,
        contact_id=match.contact_id,
        campaign=sent.campaign if sent else "",
        delivery_id=sent.delivery_id if sent else "",
        matched_by="id" if notice.delivery_id and sent and sent.delivery_id == notice.delivery_id else "recipient",
    )
    _log(applied)
    if sent and match.is_certain and notice.kind in (NoticeKind.BOUNCED, NoticeKind.COMPLAINED):
        look_if_due(mailer, sent.campaign, at)
    return applied


def address_consequence(mailer: Mailer, contact_id: int, reason: str, at: datetime, source: str) -> Effect:
    """What a refusal means for the address of the one it was meant for, also when it came live on the wire.

    Call it after the outcome is in the ledger: what counts is counted there. Suppresses nobody for what is no fault of
    the address (blocked, content, configuration ...).
    """
    action = replies.action_of(reason).address
    if action == "keep":
        return Effect.KEPT
    if action == "count":
        record = ledger.address_record(mailer.store, contact_id, claimed_as=_DOUBTFUL)
        if not replies.has_counted_up(reason, record.of(reason)):
            return Effect.COUNTED
    given_up = audience.give_up(
        mailer.store, mailer.keys, contact_id, "bounced", at, f"{source}: {reason}", mailer.settings.state_dir
    )
    if given_up:
        log.info("address_given_up contact=%s reason=%s source=%s", contact_id, reason, source)
    return Effect.SUPPRESSED


def _find(mailer: Mailer, notice: Notice, at: datetime) -> _Match | None:
    """By our own id; else by the recipient: her latest message within 30 days, or she alone."""
    sent = ledger.message_by_delivery(mailer.store, notice.delivery_id) if notice.delivery_id else None
    if sent is not None:
        return _Match(contact_id=sent.contact_id, sent=sent, is_certain=True)
    if not notice.recipient:
        return None
    try:
        contact_id = audience.find(mailer.store, notice.recipient)
    except UnknownContact:
        return None
    latest = ledger.latest_to(mailer.store, contact_id, at - _MAILED_WITHIN, at)
    sent = ledger.message_by_delivery(mailer.store, latest) if latest else None
    return _Match(contact_id=contact_id, sent=sent, is_certain=notice.source in SIGNED)


def _apply(mailer: Mailer, notice: Notice, match: _Match, at: datetime) -> Effect:
    if notice.kind is NoticeKind.BOUNCED:
        return _bounced(mailer, notice, match, at) if match.is_certain else _claimed(mailer, notice, match, at)
    if notice.kind is NoticeKind.COMPLAINED and match.is_certain:
        return _complained(mailer, notice, match, at)
    if notice.kind in (NoticeKind.COMPLAINED, NoticeKind.UNSUBSCRIBED):
        return _opted_out(mailer, notice, match, at)
    return Effect.IGNORED


def _bounced(mailer: Mailer, notice: Notice, match: _Match, at: datetime) -> Effect:
    """The bounce of another address than hers (a forwarder's target, her old one) counts only if it happens again."""
    counts_as = notice.reason if _is_hers(mailer, notice, match) else _weakened(notice.reason)
    if match.sent is None:  # a provider's word, of a message that is long gone
        return address_consequence(mailer, match.contact_id, counts_as, at, notice.source)
    told = _told(notice) | {"counts_as": counts_as}
    is_new = ledger.add_bounce(mailer.store, match.sent.delivery_id, at, told)
    effect = address_consequence(mailer, match.contact_id, counts_as, at, notice.source)
    return effect if is_new else Effect.REPEATED


def _claimed(mailer: Mailer, notice: Notice, match: _Match, at: datetime) -> Effect:
    """Somebody says that her address bounces, without the id: counts like a doubtful answer, once a message.

    Nothing where no message went to her, or where she has followed the links of the one that is said to have bounced.
    """
    sent = match.sent
    if sent is None or replies.action_of(notice.reason).address == "keep":
        return Effect.IGNORED
    if ledger.is_answered(mailer.store, sent.delivery_id):
        return Effect.IGNORED
    if not ledger.add_return(mailer.store, ledger.CLAIM, sent.delivery_id, match.contact_id, at, _told(notice)):
        return Effect.REPEATED
    return address_consequence(mailer, match.contact_id, _DOUBTFUL, at, f"{notice.source}, by recipient only")


def _complained(mailer: Mailer, notice: Notice, match: _Match, at: datetime) -> Effect:
    key = match.sent.delivery_id if match.sent else _key(notice)
    is_new = ledger.add_return(mailer.store, ledger.COMPLAINT, key, match.contact_id, at, _told(notice))
    source = f"complaint, by {notice.source}"
    audience.give_up(mailer.store, mailer.keys, match.contact_id, "complained", at, source, mailer.settings.state_dir)
    return Effect.COMPLAINED if is_new else Effect.REPEATED


def _opted_out(mailer: Mailer, notice: Notice, match: _Match, at: datetime) -> Effect:
    """She can take it back herself; a repetition of the notice must not undo that."""
    if not match.is_certain and match.sent is None:
        return Effect.IGNORED
    key = _key(notice)
    if ledger.is_known(mailer.store, ledger.UNSUBSCRIBED, key):
        return Effect.REPEATED
    unsure = "" if match.is_certain else ", by recipient only"
    source = f"{notice.kind}, by {notice.source}{unsure}"
    audience.opt_out(mailer.store, mailer.keys, match.contact_id, at, source, mailer.settings.state_dir)
    ledger.add_return(mailer.store, ledger.UNSUBSCRIBED, key, match.contact_id, at, _told(notice))
    return Effect.OPTED_OUT


def _is_hers(mailer: Mailer, notice: Notice, match: _Match) -> bool:
    """Whether the address that bounced is the one we know her by; what names none is taken for hers.

    Not if she has another one since: the old one's bounce would shut out the new.
    """
    sent = match.sent
    if sent is not None and ledger.has_moved(mailer.store, match.contact_id, sent.sent_at or sent.send_at):
        return False
    if not notice.recipient or notice.source in SIGNED:
        return True
    try:
        key = audience.address(notice.recipient, allow_test_domains=True).key
    except ValueError:
        return False
    standing = audience.standings(mailer.store, mailer.keys, [match.contact_id]).get(match.contact_id)
    return standing is not None and standing.address_key == key


def _weakened(reason: str) -> str:
    return _DOUBTFUL if replies.action_of(reason).address == "suppress" else reason


def _told(notice: Notice) -> dict[str, str]:
    words = replies.shortened(notice.diagnostic)
    found = {"reason": notice.reason, "status": notice.status, "diagnostic": words, "source": notice.source}
    if notice.at is not None:
        found["told_at"] = notice.at.isoformat()
    return {name: value for name, value in found.items() if value}


def _key(notice: Notice) -> str:
    """What names this notice for good, also where its sender gave it no name."""
    said = repr(replace(notice, diagnostic="")).encode()
    return notice.notice_id or hashlib.sha256(said).hexdigest()[:32]


def _log(applied: Applied) -> None:
    """Never an address: the message's id leads to it."""
    if applied.effect is not Effect.IGNORED:
        told = (applied.campaign, applied.delivery_id, applied.kind.value, applied.reason, applied.effect.value)
        log.info("notice campaign=%s message=%s kind=%s reason=%s effect=%s", *told)
