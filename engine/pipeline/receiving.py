"""What comes back, and what is done about it? Hits, opt-outs and choices, all found by a message's delivery id."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from engine import audience, feedback, ledger, message
from engine.errors import RenderFailed
from engine.feedback import Spool
from engine.model import HitKind, Verdict
from engine.pipeline.composing import Letter, stored_template
from engine.pipeline.dry_running import mailer_composer
from engine.pipeline.workspace import Mailer


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a recipient allows."""

    mailing: bool
    tracking: bool


def destination(mailer: Mailer, delivery_id: str, site: int, occurrence: int) -> str | None:
    """Where a link of this message leads: looked up in its template, never taken from the URL."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    template = stored_template(mailer.store, sent.template_hash) if sent else None
    if sent is None or template is None:
        return None
    literal = message.literal_destination(template, site)
    if literal is not None:
        return literal
    if sent.context is None:  # erased, or the campaign's window is over
        return mailer.settings.shop.url or None
    return message.destinations(template, sent.context).get((site, occurrence))


def campaign_destination(
    mailer: Mailer, plan_id: int, variant: str, version: str, site: int, counted_at: datetime | None
) -> str | None:
    """Where a link that names no person leads; the hit is only counted."""
    template = stored_template(mailer.store, version)
    target = message.literal_destination(template, site) if template else None
    if target and counted_at:
        ledger.add_tally(mailer.store, plan_id, variant, HitKind.CLICK, site, counted_at.astimezone(mailer.zone).date())
    return target


def html_of(mailer: Mailer, delivery_id: str) -> str | None:
    """The message as a page; None once its context is gone."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    template = stored_template(mailer.store, sent.template_hash) if sent else None
    if sent is None or template is None or sent.context is None:
        return None
    letter = Letter(
        delivery_id=delivery_id,
        email="",  # no link is made from it
        variant=sent.variant,
        template=template,
        context=sent.context,
        tracked=sent.tracked,
    )
    addresses = mailer_composer(mailer, sent.plan_id).addresses(letter)
    try:
        return message.render(template, sent.context, addresses).html
    except RenderFailed:
        return None


def language_of(mailer: Mailer, delivery_id: str) -> str:
    """The language of the message, for the pages behind its links; empty when it is unknown."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    return sent.language if sent else ""


def opt_out(mailer: Mailer, delivery_id: str, at: datetime, source: str) -> None:
    """The recipient wants no more mail: at once, for good, and without a trace of whether the message exists."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    if sent is not None:
        audience.opt_out(mailer.store, mailer.keys, sent.contact_id, at, source, mailer.settings.state_dir)


def choice_of(mailer: Mailer, delivery_id: str) -> Choice:
    """What the recipient allows now."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    if sent is None:
        return Choice(mailing=False, tracking=False)
    stands = audience.standings(mailer.store, mailer.keys, [sent.contact_id]).get(sent.contact_id)
    if stands is None:
        return Choice(mailing=False, tracking=False)
    mailing = bool(stands.mailing_consent) and not stands.suppressed
    return Choice(mailing=mailing, tracking=bool(stands.tracking_consent))


def set_choice(mailer: Mailer, delivery_id: str, choice: Choice, at: datetime) -> None:
    """What the recipient ticked on her preference page: given as easily as taken back."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    if sent is None:
        return
    before = choice_of(mailer, delivery_id)
    where = "preference page"
    if before.mailing and not choice.mailing:
        audience.opt_out(mailer.store, mailer.keys, sent.contact_id, at, where, mailer.settings.state_dir)
    if choice.mailing and not before.mailing:
        audience.opt_in(mailer.store, mailer.keys, sent.contact_id, at, where, mailer.settings.state_dir)
    if choice.tracking != before.tracking:
        audience.set_consent(mailer.store, sent.contact_id, "tracking", choice.tracking, at, where)


def drain_hits(mailer: Mailer, spool: Spool) -> int:
    """Bring spooled hits into the database, of those who still agree to be followed, and judge their messages again."""
    stored = 0
    for drained in spool.drain():
        followed = {id_ for id_ in {hit.delivery_id for _, hit in drained.hits} if choice_of(mailer, id_).tracking}
        hits = [(spool_id, hit, None, "") for spool_id, hit in drained.hits if hit.delivery_id in followed]
        stored += ledger.add_hits(mailer.store, hits).added
        judge_again(mailer, followed)
        spool.forget(drained)
    return stored


def judge_again(mailer: Mailer, delivery_ids: Iterable[str]) -> None:
    """Give all hits of these messages a fresh verdict: a burst shows only when the last of it has come in."""
    verdicts: dict[int, tuple[Verdict, str]] = {}
    for delivery_id, known in ledger.hits_of(mailer.store, delivery_ids).items():
        sent = ledger.message_by_delivery(mailer.store, delivery_id)
        judged = feedback.judge([one.hit for one in known], sent.sent_at if sent else None)
        verdicts |= {one.id: (j.verdict, j.why) for one, j in zip(known, judged, strict=True)}
    ledger.judge_again(mailer.store, verdicts)
