"""Who gets what, when, and why not? A plan is frozen as a draft; releasing it is another verb. Nothing is sent here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine import analysis, audience, campaign, ledger, locale, message
from engine.errors import Refused, RenderFailed, UnknownPlan
from engine.model import Campaign, Candidate, Progress, TrackingMode, Variant
from engine.pipeline.composing import TO_NAME
from engine.pipeline.slots import Slots
from engine.pipeline.workspace import Mailer
from engine.rules import Rule

Templates = Mapping[str, Mapping[str, message.CompiledTemplate]]  # variant -> language -> template

# Above this many contacts the past of an audience is too long to replay for a baseline alone.
_BASELINE_CONTACTS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A frozen plan and what it says."""

    plan_id: int
    campaign: str
    occurrence: str
    summary: Mapping[str, Any]
    hash: str


def make_plan(mailer: Mailer, name: str, at: datetime, occurrence: str, progress: Progress) -> Planned:
    """Freeze a draft plan of the campaign as of `at`: one entry for everybody in its audience."""
    return freeze_plan(mailer, load_campaign(mailer, name), at, occurrence, progress)


def freeze_plan(mailer: Mailer, wanted: Campaign, at: datetime, occurrence: str, progress: Progress) -> Planned:
    """The same of a campaign in hand."""
    audience.refresh_changed(mailer.store, at, mailer.zone)
    ids = members(mailer, wanted, at)
    templates = compile_templates(mailer, wanted)
    ledger.save_templates(mailer.store, {one.hash: one.to_bytes() for by in templates.values() for one in by.values()})
    people = audience.candidates(mailer.store, ids, at, mailer.keys, view_of(mailer))
    entries = campaign.plan(wanted, people, drafter(mailer, templates, at), plan_options(mailer, at, occurrence, ids))
    header = ledger.PlanHeader(campaign=wanted.name, occurrence=occurrence, at=at, definition=definition_of(wanted))
    plan_id = ledger.freeze(
        mailer.store,
        header,
        entries,
        lambda counted: _summary(mailer, wanted, counted, at),
        lambda done, _total: progress(done, len(ids)),
    )
    return planned(mailer, plan_id)


def planned(mailer: Mailer, plan_id: int) -> Planned:
    """A plan that was frozen earlier; UnknownPlan when there is none, or its freezing was cut off."""
    found = ledger.plan_of(mailer.store, plan_id)
    if not found.frozen:
        raise UnknownPlan(f"plan {plan_id} was cut off while it was written; make a new one")
    return Planned(
        plan_id=plan_id,
        campaign=found.campaign,
        occurrence=found.occurrence,
        summary=found.summary,
        hash=found.hash,
    )


def load_campaign(mailer: Mailer, name: str) -> Campaign:
    """The campaign's file, checked; its drift limit is the shop's unless it says its own."""
    return campaign.load(
        mailer.campaign_file(name), mailer.rules(), zone=mailer.zone, drift_limit=mailer.settings.sender.drift_limit
    )


def members(mailer: Mailer, wanted: Campaign, at: datetime) -> list[int]:
    """The contacts of the campaign's segment, less those its `exclude` names."""
    known = mailer.rules()
    rule, exclude = audience_rules(mailer, wanted, known)
    return audience.select(mailer.store, rule, at, known, mailer.zone, exclude, currency=mailer.currency)


def audience_rules(mailer: Mailer, wanted: Campaign, known: Mapping[str, Rule]) -> tuple[Rule, Rule | None]:
    """The rule that selects, and the one that excludes."""
    where = str(mailer.campaign_file(wanted.name))
    rule = known[wanted.segment] if wanted.segment else campaign.checked(wanted.where or "", where, known, mailer.zone)
    return rule, campaign.checked(wanted.exclude, where, known, mailer.zone) if wanted.exclude else None


def compile_templates(mailer: Mailer, wanted: Campaign) -> Templates:
    """Every variant's template in every language it is written in."""
    shop = shop_view(mailer)
    return {
        one.name: message.compile_template(template_folder(mailer, one.template), one.subject, shop, layouts_of(mailer))
        for one in wanted.variants
    }


def drafter(mailer: Mailer, templates: Templates, at: datetime) -> Callable[[Variant, Candidate], campaign.Draft]:
    """Chooses the language, freezes the values that the template reads, and tries the rendering for real."""
    shop, fallback, known = shop_view(mailer), mailer.settings.shop.languages[0], mailer.rules()

    def draft(variant: Variant, person: Candidate) -> campaign.Draft:
        written = templates[variant.name]
        language, _ = locale.negotiate(person.profile.language or "", tuple(written), fallback)
        template = written.get(language) or next(iter(written.values()))
        context = message.context_for(template, person.profile, person.picks, shop, at, known)
        missing = ""
        try:
            message.render_mail(template, context, message.PLAIN_ADDRESSES)
        except RenderFailed as fault:
            missing = str(fault)
        named = {**context, TO_NAME: person.profile.full_name or person.profile.given_name or ""}
        return campaign.Draft(language=language, template_hash=template.hash, context=named, missing=missing)

    return draft


def refuse_drift(mailer: Mailer, plan_id: int, at: datetime) -> None:
    """Refused when a template changed since the plan, or more of its audience moved than the limit allows.

    Opt-outs and goals reached since are no drift: they are skipped at the claim.
    """
    found = ledger.plan_of(mailer.store, plan_id)
    wanted = load_campaign(mailer, found.campaign)
    if definition_of(wanted) != found.definition:
        raise Refused(f"{mailer.campaign_file(found.campaign)} changed since plan {plan_id}; make a new plan")
    now = {one.hash for by in compile_templates(mailer, wanted).values() for one in by.values()}
    # One pass: every entry read is also its frozen context unpacked.
    seen = {one.entry.contact_id: one.entry.template_hash for one in ledger.entries_of(mailer.store, plan_id)}
    then = set(seen.values()) - {""}
    if not then <= now:
        raise Refused(
            f"a template of {found.campaign!r} changed since plan {plan_id}; look at a new plan before sending"
        )
    audience.refresh_changed(mailer.store, at, mailer.zone)
    moved = campaign.drift(seen.keys(), members(mailer, wanted, at))
    if moved > wanted.drift_limit:
        raise Refused(
            f"{moved:.1%} of the audience changed since plan {plan_id}, the limit is {wanted.drift_limit:.1%}; "
            "make a new plan, or raise drift_limit"
        )


def plan_options(
    mailer: Mailer, at: datetime, occurrence: str, contact_ids: Sequence[int] = ()
) -> campaign.PlanOptions:
    """What the plan needs to know of the shop, and of these contacts' habits."""
    slots = Slots(mailer, contact_ids, at)
    return campaign.PlanOptions(
        at=at,
        occurrence=occurrence,
        keys=mailer.keys,
        zone=mailer.zone,
        tracking_mode=TrackingMode(mailer.settings.tracking.mode),
        time=slots.time,
        room_from=slots.room_from,
    )


def template_folder(mailer: Mailer, name: str) -> Path:
    """The folder of a template of this workspace."""
    return message.template_folder(mailer.templates_dir, name)


def layouts_of(mailer: Mailer) -> list[Path]:
    """Where layouts and partials are looked for."""
    return [mailer.templates_dir / "_layout"]


def shop_view(mailer: Mailer) -> message.ShopView:
    """The shop as templates see it."""
    shop = mailer.settings.shop
    return message.ShopView(
        name=shop.name,
        postal_address=shop.postal_address,
        url=shop.url,
        currency=shop.currency,
        timezone=shop.timezone,
        languages=shop.languages,
    )


def view_of(mailer: Mailer) -> audience.View:
    """The shop as profiles need it."""
    shop = mailer.settings.shop
    return audience.View(zone=mailer.zone, currency=shop.currency, languages=shop.languages)


def definition_of(wanted: Campaign) -> dict[str, Any]:
    """The campaign as JSON values, to freeze and to compare."""
    plain = asdict(wanted)
    plain["window"] = wanted.window.total_seconds()
    del plain["repeat"]  # when it comes round again is no matter of this plan
    plain["max_lateness"] = wanted.max_lateness.total_seconds() if wanted.max_lateness else None
    plain["expires"] = wanted.expires.isoformat() if wanted.expires else None
    plain["variants"] = [dict(one) | {"subject": dict(one["subject"])} for one in plain["variants"]]
    return plain


def _summary(mailer: Mailer, wanted: Campaign, counted: Mapping[str, Any], at: datetime) -> dict[str, Any]:
    """The counts, and what difference this audience can show at all."""
    baseline = _baseline(mailer, wanted, at)
    sizes = list(counted["variants"].values())
    between = analysis.detectable(baseline, min(sizes), max(sizes)) if baseline and len(sizes) > 1 else None
    holdout = analysis.detectable(baseline, counted["holdout"], counted["messages"]) if baseline else None
    shows = {"baseline": baseline, "between_variants": between, "against_holdout": holdout}
    return {**counted, "detectable_relative": shows}


def _baseline(mailer: Mailer, wanted: Campaign, at: datetime) -> float | None:
    """How many of such people reach the goal unasked: the same audience one window ago, and what they did since."""
    if wanted.goal != "order" or audience.contacts_count(mailer.store) > _BASELINE_CONTACTS:
        return None
    then = at - wanted.window
    people = members(mailer, replace(wanted, exclude=None), then)
    if not people:
        return None
    bought = {one.contact_id for one in audience.purchases(mailer.store, people, then, at + timedelta())}
    return len(bought) / len(people)
