"""Who is there, and in which small groups? Import, refresh, segments, one person; each verb a few lines."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from engine import audience, rules
from engine.errors import BadFile, UnknownSegment, Usage, nearest
from engine.model import Profile, Progress
from engine.pipeline.slots import remember_everybodys_hours
from engine.pipeline.workspace import Mailer

IMPORTERS: Mapping[str, Callable[..., audience.ImportResult]] = {
    "contacts": audience.import_contacts,
    "products": audience.import_products,
    "orders": audience.import_orders,
    "events": audience.import_events,
}


def import_file(
    mailer: Mailer, kind: str, path: Path, mapping: Mapping[str, str], dates: str, decimal: str, progress: Progress
) -> audience.ImportResult:
    """Bring a file in; rows that can't go in are named, the good ones around them go in all the same."""
    if not path.exists():
        raise BadFile(f"{path} does not exist; name a CSV, JSONL or Parquet file")
    options = replace(import_options(mailer), mapping=mapping, dates=dates, decimal=decimal)
    return IMPORTERS[kind](mailer.store, path, options, mailer.clock(), progress)


def take_in(mailer: Mailer, kind: str, body: bytes, at: datetime, *, is_csv: bool) -> audience.ImportResult:
    """Bring in rows that the shop posts: contacts, products, orders or events. BadFile when the body can't be read."""
    return audience.import_body(mailer.store, kind, body, import_options(mailer), at, is_csv=is_csv)


def import_options(mailer: Mailer) -> audience.ImportOptions:
    """How the shop reads files."""
    shop = mailer.settings.shop
    return audience.ImportOptions(
        zone=mailer.zone,
        currency=shop.currency,
        languages=shop.languages,
        allow_test_domains=mailer.settings.sender.allow_test_domains,
        keys=mailer.keys,
    )


def refresh(mailer: Mailer, at: datetime, progress: Progress) -> int:
    """Bring profiles, scores, recommendations and everybody's hours up to date.

    Gives how many contacts' profiles were computed anew.
    """
    touched = audience.refresh(mailer.store, at, mailer.zone, progress, mailer.settings.shop.languages[0])
    audience.rebuild_recommendations(mailer.store, at, progress, mailer.zone)
    remember_everybodys_hours(mailer, at)
    return touched


def the_rule(mailer: Mailer, segment: str | None, where: str | None) -> rules.Rule:
    """The rule of a segment by name, or of `--where`; UnknownSegment or BadRule with the nearest name."""
    if where is not None:
        return rules.check(where, where="--where", segments=tuple(mailer.segments()), zone=mailer.zone)
    known = mailer.segments()
    if segment not in known:
        raise UnknownSegment(
            f"segment {segment!r} is not defined in {mailer.folder / 'segments.toml'}"
            f"{nearest(segment or '', known)} (known: {', '.join(known) or 'none'}; a rule goes behind --where)"
        )
    return known[segment].rule


def count(mailer: Mailer, rule: rules.Rule, at: datetime) -> int:
    """How many contacts the rule holds for at this moment."""
    audience.refresh_changed(mailer.store, at, mailer.zone)
    return audience.count(mailer.store, rule, at, mailer.rules(), mailer.zone, currency=mailer.currency)


def members(mailer: Mailer, rule: rules.Rule, at: datetime) -> Iterator[Profile]:
    """The contacts themselves, as of this moment."""
    audience.refresh_changed(mailer.store, at, mailer.zone)
    return audience.members(mailer.store, rule, at, mailer.rules(), mailer.zone, currency=mailer.currency)


def why_in_segment(mailer: Mailer, segment: str, email: str, at: datetime) -> list[rules.Step]:
    """Each condition of the segment with this contact's value, and whether it holds."""
    rule = the_rule(mailer, segment, None)
    audience.refresh_changed(mailer.store, at, mailer.zone)
    return audience.why(
        mailer.store,
        audience.find(mailer.store, email),
        rule,
        at,
        mailer.rules(),
        mailer.zone,
        currency=mailer.currency,
    )


def backtest(mailer: Mailer, until: str, horizon_days: int) -> dict[str, Any]:
    """Recommendation methods judged on what people bought after the last day they may see."""
    try:
        day = date.fromisoformat(until)
    except ValueError:
        raise Usage(f"--until is a day such as 2026-11-30, not {until!r}") from None
    if horizon_days < 1:
        raise Usage(f"--horizon is a number of days, 1 or more, not {horizon_days}")
    return dict(audience.backtest(mailer.store, day, mailer.zone, horizon_days=horizon_days))


def suppress(mailer: Mailer, email: str, reason: str, at: datetime) -> None:
    """Never mail this address again, known or not."""
    audience.suppress(mailer.store, mailer.keys, email, reason, at, "by hand", mailer.settings.state_dir)


def add_contact(mailer: Mailer, values: Mapping[str, str], at: datetime) -> None:
    """Add one person by hand, or tell more of a known one, by the columns of an import file."""
    if values.get("mailing_consent") and not values.get("consent_source"):
        raise Usage("--consent needs --source: where and how she agreed is kept as proof")
    audience.add(mailer.store, values, import_options(mailer), at, "by hand")


def export_contact(mailer: Mailer, email: str) -> dict[str, Any]:
    """Everything held about a person."""
    return audience.export(mailer.store, mailer.keys, audience.find(mailer.store, email))


def erase_contact(mailer: Mailer, email: str, at: datetime) -> None:
    """Erase a person; a keyed hash of the address stays suppressed."""
    contact_id = audience.find(mailer.store, email)
    audience.erase(mailer.store, mailer.keys, contact_id, at, mailer.settings.state_dir)


def contact_card(mailer: Mailer, email: str) -> dict[str, Any]:
    """All that is known of one person."""
    return audience.card(mailer.store, mailer.keys, audience.find(mailer.store, email))
