"""What comes back, and what is done about it? Hits, opt-outs and choices, all found by a message's delivery id."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine import audience, feedback, ledger, message
from engine.errors import Refused, RenderFailed, UnknownPlan
from engine.feedback import ClickCounts, Spool
from engine.model import Hit, HitKind, PlanState, Standing, Verdict
from engine.pipeline.composing import Letter, link_addresses, stored_template
from engine.pipeline.workspace import Mailer

# Whoever follows one mail's links more often is no reader; a link that a machine hammers must not fill the disk.
MOST_HITS = 1000
_HASTY_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a recipient allows."""

    mailing: bool
    tracking: bool


# ---------------------------------------------------------------- where links lead


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
    try:
        return message.destinations(template, sent.context).get((site, occurrence))
    except RenderFailed:
        return None


def campaign_destination(mailer: Mailer, version: str, site: int) -> str | None:
    """Where a link that names no person leads."""
    template = stored_template(mailer.store, version)
    return message.literal_destination(template, site) if template else None


def html_of(mailer: Mailer, delivery_id: str) -> str | None:
    """The message as a page, followed only if its reader agrees now; None once its context is gone."""
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
        tracked=sent.tracked and bool(_followed(mailer, [sent.contact_id])),
    )
    addresses = link_addresses(mailer.settings, mailer.keys, sent.plan_id, letter)
    try:
        return message.render(template, sent.context, addresses).html
    except RenderFailed:
        return None


# ---------------------------------------------------------------- what recipients want


def language_of(mailer: Mailer, delivery_id: str) -> str:
    """The language of the message, for the pages behind its links; empty when it is unknown."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    return sent.language if sent else ""


def opt_out(mailer: Mailer, delivery_id: str, at: datetime, source: str) -> bool:
    """The recipient wants no more mail: at once, and for good. False when no message of ours has this id."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    if sent is None:
        return False
    audience.opt_out(mailer.store, mailer.keys, sent.contact_id, at, source, mailer.settings.state_dir)
    ledger.prove(mailer.store, [delivery_id], "an opt-out", at)
    return True


def choice_of(mailer: Mailer, delivery_id: str) -> Choice | None:
    """What the recipient allows now; None when the message is not ours, or she was erased."""
    found = _reader(mailer, delivery_id)
    return _choice(found[1]) if found else None


def set_choice(
    mailer: Mailer, delivery_id: str, choice: Choice, at: datetime, tracking_words: str = ""
) -> Choice | None:
    """What the recipient ticked on her preference page, given as easily as taken back; gives what stands now.

    `tracking_words` is the sentence she agreed to, kept as proof. Mailing stays off where a complaint or the shop's own
    hand forbids it.
    """
    found = _reader(mailer, delivery_id)
    if found is None:
        return None
    contact_id, standing = found
    before, where = _choice(standing), "preference page"
    if before.mailing and not choice.mailing:
        audience.opt_out(mailer.store, mailer.keys, contact_id, at, where, mailer.settings.state_dir)
    if choice.mailing and not before.mailing:
        with suppress(Refused):  # what stands is shown to her
            audience.opt_in(mailer.store, mailer.keys, contact_id, at, where, mailer.settings.state_dir)
    if choice.tracking != before.tracking:
        words = tracking_words if choice.tracking else ""
        audience.set_consent(mailer.store, contact_id, "tracking", choice.tracking, at, where, words)
    ledger.prove(mailer.store, [delivery_id], "a choice on the preference page", at)
    return choice_of(mailer, delivery_id)


# ---------------------------------------------------------------- hits


def spool_of(mailer: Mailer) -> Spool:
    """Where this workspace's hits wait."""
    return Spool(mailer.settings.state_dir / "spool")


def drain_hits(mailer: Mailer, spool: Spool) -> int:
    """Bring spooled hits into the database, of those who still agree to be followed, and judge their messages again.

    Whoever agrees or not: a hit proves that the message was delivered, and that is all that is kept of it.
    """
    stored = 0
    for drained in spool.drain():
        ledger.prove(mailer.store, {hit.delivery_id for _, hit in drained.hits}, "a hit", mailer.clock())
        known = ledger.hit_messages(mailer.store, {hit.delivery_id for _, hit in drained.hits})
        followed = _followed(mailer, {one.contact_id for one in known.values()})
        kept = {id_: one for id_, one in known.items() if one.contact_id in followed}
        hits = [(spool_id, hit, None, "") for spool_id, hit in _within_reason(drained.hits, kept)]
        stored += ledger.add_hits(mailer.store, hits).added
        judge_again(mailer, kept)
        spool.forget(drained)
    return stored


def judge_again(mailer: Mailer, delivery_ids: Iterable[str]) -> None:
    """Give all hits of these messages a fresh verdict: a burst shows only when the last of it has come in."""
    verdicts: dict[int, tuple[Verdict, str]] = {}
    hits = ledger.hits_of(mailer.store, delivery_ids)
    sent = ledger.hit_messages(mailer.store, hits)
    for delivery_id, known in hits.items():
        judged = feedback.judge([one.hit for one in known], sent[delivery_id].sent_at)
        changed = (
            (one, j) for one, j in zip(known, judged, strict=True) if (one.verdict, one.why) != (j.verdict, j.why)
        )
        verdicts |= {one.id: (j.verdict, j.why) for one, j in changed}
    ledger.judge_again(mailer.store, verdicts)


def judge_the_hasty(mailer: Mailer, at: datetime) -> None:
    """A scanner may follow a link before the ledger knows that the message is sent: judge it again once it does."""
    judge_again(mailer, ledger.judged_too_soon(mailer.store, at - _HASTY_FOR, feedback.TOO_FAST))


def count_clicks(mailer: Mailer, counts: ClickCounts) -> None:
    """Write down the clicks that name nobody; what can't be written now is kept for the next time."""
    waiting = dict(counts.take())
    try:
        for link in list(waiting):
            if _is_released(mailer, link.plan_id):  # the samples of a dry run have such links too
                ledger.add_tally(
                    mailer.store, link.plan_id, link.variant, HitKind.CLICK, link.site, link.day, waiting[link]
                )
            del waiting[link]
    finally:
        counts.put_back(waiting)


def _within_reason(hits: Iterable[tuple[str, Hit]], kept: Mapping[str, ledger.HitMessage]) -> Iterator[tuple[str, Hit]]:
    stored = Counter({delivery_id: one.hits for delivery_id, one in kept.items()})
    for spool_id, hit in hits:
        if hit.delivery_id in kept and stored[hit.delivery_id] < MOST_HITS:
            stored[hit.delivery_id] += 1
            yield spool_id, hit


def _followed(mailer: Mailer, contact_ids: Iterable[int]) -> set[int]:
    """Those of these contacts who agree to be followed now."""
    standings = audience.standings(mailer.store, mailer.keys, sorted(contact_ids))
    return {contact_id for contact_id, one in standings.items() if one.tracking_consent}


def _is_released(mailer: Mailer, plan_id: int) -> bool:
    try:
        return ledger.plan_of(mailer.store, plan_id).state is PlanState.RELEASED
    except UnknownPlan:
        return False  # a draft that was cleared away


def _reader(mailer: Mailer, delivery_id: str) -> tuple[int, Standing] | None:
    """Whose message this is, and how she stands; None for nobody's, and for those who were erased."""
    sent = ledger.message_by_delivery(mailer.store, delivery_id)
    if sent is None:
        return None
    standing = audience.standings(mailer.store, mailer.keys, [sent.contact_id]).get(sent.contact_id)
    return (sent.contact_id, standing) if standing and standing.address_key is not None else None


def _choice(standing: Standing) -> Choice:
    mailing = bool(standing.mailing_consent) and not standing.suppressed
    return Choice(mailing=mailing, tracking=bool(standing.tracking_consent))
