"""What does a campaign file say? campaigns/NAME.toml as a checked `Campaign`, or every fault with file and line.

Defaults: goal order, window 14 days, no holdout, send_at now, class marketing. A file without `[[variant]]` is one
variant named "main". `template` and `subject` on top stand for all variants without their own; a subject given as one
text is for every language and stands under "*".
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine import rules
from engine.campaign.assign import full_shares
from engine.campaign.keys import CampaignTable, Fault, VariantTable, may_name, shape_faults
from engine.campaign.places import Key, line_of, lines_by_key
from engine.campaign.repeats import LOCAL
from engine.clock import parse_duration, parse_moment
from engine.errors import BadCampaign, BadRule, UnknownCampaign, Usage, nearest
from engine.model import Campaign, Finding, Severity, Variant

ONLY_VARIANT = "main"

_UTC = ZoneInfo("UTC")


def names(folder: Path) -> list[str]:
    """The names of all campaign files of a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(path: Path, segments: Collection[str], *, zone: ZoneInfo = _UTC, drift_limit: float = 0.01) -> Campaign:
    """The campaign of a file. `segments` are the known names; `zone` and `drift_limit` are the shop's.

    Raises UnknownCampaign when there is no such file, BadCampaign with all of its faults, one a line.
    """
    if not path.is_file():
        known = names(path.parent)
        raise UnknownCampaign(f"{path} does not exist{nearest(path.stem, known)}; known: {', '.join(known) or 'none'}")
    campaign, findings = read(path, segments, zone=zone, drift_limit=drift_limit)
    if campaign is None:
        raise BadCampaign("\n".join(f"{one.where}: {one.message}" for one in findings))
    return campaign


def load_all(
    folder: Path, segments: Collection[str], *, zone: ZoneInfo = _UTC, drift_limit: float = 0.01
) -> tuple[list[Campaign], list[Finding]]:
    """The sound campaigns of a folder, and the faults of the others."""
    read_files = [read(folder / f"{name}.toml", segments, zone=zone, drift_limit=drift_limit) for name in names(folder)]
    return [one for one, _ in read_files if one], [finding for _, found in read_files for finding in found]


def read(
    path: Path, segments: Collection[str], *, zone: ZoneInfo = _UTC, drift_limit: float = 0.01
) -> tuple[Campaign | None, list[Finding]]:
    """The campaign of a file, or None and all of its faults in the order of their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as fault:
        return None, [_finding(str(path), "bad_file", f"can't be read: {fault}; it must be UTF-8 text")]
    except tomllib.TOMLDecodeError as fault:
        return None, [_not_toml(path, str(fault))]
    lines = lines_by_key(text)
    faults = [*shape_faults(raw), *_sense_faults(raw, path, segments, zone)]
    told = {(line_of(key, lines), code, message): None for key, code, message in faults}
    findings = [_finding(f"{path}:{line}", code, message) for line, code, message in sorted(told)]
    findings += _rule_faults(raw, path, lines, segments, zone)
    if findings:
        return None, findings
    return _campaign(path.stem, CampaignTable.model_validate(raw), zone, drift_limit), []


def checked(source: str, where: str, segments: Collection[str], zone: ZoneInfo = _UTC) -> rules.Rule:
    """The rule of a campaign's `where` or `exclude`; `where` here is its file, for the fault's message."""
    return rules.check(source, where, segments, zone)


def _sense_faults(raw: Mapping[str, Any], path: Path, segments: Collection[str], zone: ZoneInfo) -> Iterator[Fault]:
    """What the keys say together."""
    if not may_name(path.stem):
        yield (), "bad_name", f"{path.stem!r} can't name a campaign; use letters, digits, - and _"
    yield from _repeat_faults(raw)
    segment = raw.get("segment")
    if ("segment" in raw) == ("where" in raw):
        place = ("where",) if "where" in raw else ()
        yield place, "bad_audience", "a campaign needs either segment or where, and not both"
    if isinstance(segment, str) and segment not in segments:
        cure = nearest(segment, segments) or f"; known: {', '.join(sorted(segments)) or 'none'}"
        yield ("segment",), "unknown_segment", f"unknown segment {segment!r}{cure}"
    if isinstance(raw.get("expires"), str | date):
        try:
            parse_moment(str(raw["expires"]), zone)
        except (Usage, OverflowError) as fault:
            yield ("expires",), "bad_value", f"expires: {fault}"
    yield from _variant_faults(raw)


def _repeat_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    """`repeat` by itself is looked at by its key; here beside what it makes senseless."""
    repeat = raw.get("repeat")
    is_local = isinstance(repeat, str) and repeat.strip().endswith(f" {LOCAL}")
    said: list[tuple[Key, object]] = [(("send_at",), raw.get("send_at", "now"))]
    said += [(("variant", n, "send_at"), one["send_at"]) for n, one in _variant_tables(raw) if "send_at" in one]
    for key, send_at in said:
        if is_local and send_at != "now":
            why = "a repeat by everybody's own clock brings its hour; leave send_at out, or `local`"
            yield key, "two_hours", why
        if "repeat" in raw and str(send_at)[:4].isdecimal():
            yield key, "two_dates", "one date can't suit every time it comes round; leave the date out of send_at"


def _variant_tables(raw: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    tables = raw.get("variant")
    return [(n, one) for n, one in enumerate(tables) if isinstance(one, dict)] if isinstance(tables, list) else []


def _variant_faults(raw: Mapping[str, Any]) -> Iterator[Fault]:
    tables = [one for _, one in _variant_tables(raw)]
    if not tables and "template" not in raw:
        yield (), "missing_key", "template is missing; it names a folder of templates/"
    seen: set[object] = set()
    for n, table in enumerate(tables):
        name = table.get("name")
        if "template" not in table and "template" not in raw:
            yield ("variant", n), "missing_key", f"variant {name!r} has no template, and the campaign has none"
        if isinstance(name, str) and name in seen:
            yield ("variant", n, "name"), "bad_value", f"two variants are named {name!r}"
        seen.add(name if isinstance(name, str) else None)
    shares = [table.get("share") for table in tables]
    if tables and all(share is None or (isinstance(share, int | float) and 0 < share <= 1) for share in shares):
        try:
            full_shares(shares)
        except ValueError as fault:
            yield ("variant", 0, "share"), "bad_shares", str(fault)


def _rule_faults(
    raw: Mapping[str, Any], path: Path, lines: Mapping[Key, int], segments: Collection[str], zone: ZoneInfo
) -> Iterator[Finding]:
    for key in ("where", "exclude"):
        where = f"{path}:{line_of((key,), lines)}"
        if isinstance(raw.get(key), str):
            try:
                checked(raw[key], where, segments, zone)
            except BadRule as fault:
                for line in str(fault).splitlines():
                    place, _, message = line.removeprefix(where).partition(": ")
                    yield _finding(where + place, "bad_rule", f"{key}: {message}")


def _not_toml(path: Path, message: str) -> Finding:
    place = re.search(r" \(at line (\d+), column (\d+)\)", message)
    where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
    return _finding(where, "bad_toml", f"not valid TOML: {message.replace(place[0], '') if place else message}")


def _finding(where: str, code: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, where=where, message=message)


def _campaign(name: str, file: CampaignTable, zone: ZoneInfo, drift_limit: float) -> Campaign:
    return Campaign(
        name=name,
        segment=file.segment,
        where=file.where,
        exclude=file.exclude,
        goal=file.goal,
        window=parse_duration(file.window),
        holdout=file.holdout,
        send_at=file.send_at,
        variants=_variants(file),
        message_class=file.message_class,
        priority=file.priority,
        max_lateness=parse_duration(file.max_lateness) if file.max_lateness else None,
        expires=parse_moment(file.expires, zone) if file.expires else None,
        drift_limit=drift_limit if file.drift_limit is None else file.drift_limit,
        transport=file.transport,
        uncertain=file.uncertain,
        repeat=file.repeat,
    )


def _variants(file: CampaignTable) -> tuple[Variant, ...]:
    tables = file.variant or [VariantTable(name=ONLY_VARIANT)]
    shares = full_shares([table.share for table in tables])
    return tuple(
        Variant(
            name=table.name,
            share=share,
            template=table.template or file.template or "",
            subject=file.subject if table.subject is None else table.subject,
            cost_per_conversion=table.cost_per_conversion,
            send_at=table.send_at or "",
        )
        for table, share in zip(tables, shares, strict=True)
    )
