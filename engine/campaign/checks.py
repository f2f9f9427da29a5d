"""What is wrong or doubtful about the campaign files, before anybody plans them? For `mailer campaign check`.

A file that does not load is an error with its line. The others are looked at against what the workspace has:
templates and their languages, transports, the sender; and for what would spoil the result.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.campaign.files import names, read
from engine.campaign.keys import ANY_LANGUAGE
from engine.campaign.places import Key, line_of, lines_by_key
from engine.campaign.timing import due_times, parse_send_at
from engine.errors import nearest
from engine.model import TRANSACTIONAL, Campaign, Finding, Severity

# On a grocery panel half of the orders that coupons brought came after 16 days, a quarter within 7.
_SHORT_WINDOW = {"order": timedelta(days=7)}
_SHORT_WINDOW_ELSE = timedelta(days=1)

_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    templates: Mapping[str, Collection[str]]
    languages: Collection[str]
    transports: Collection[str]
    zone: ZoneInfo
    at: datetime | None


def check_campaigns(
    folder: Path,
    segments: Collection[str],
    *,
    templates: Mapping[str, Collection[str]],
    languages: Collection[str],
    transports: Collection[str],
    sender_fault: str = "",
    zone: ZoneInfo = _UTC,
    at: datetime | None = None,
    only: str | None = None,
) -> list[Finding]:
    """All faults and doubts of the campaign files (of one, with `only`).

    `templates` gives the languages that each is written in; `languages` are the shop's, the first is the fallback.
    `sender_fault` says why nothing can be sent at all; `at` shows what is over already.
    """
    around = _Surroundings(templates=templates, languages=languages, transports=transports, zone=zone, at=at)
    findings = [_plain("sender", Severity.ERROR, "config.toml", sender_fault)] if sender_fault else []
    for name in names(folder) if only is None else [only]:
        path = folder / f"{name}.toml"
        campaign, faults = read(path, segments, zone=zone)
        findings += faults
        if campaign is not None:
            lines = lines_by_key(path.read_text(encoding="utf-8"))
            for key, code, severity, message in _doubts(campaign, around):
                findings.append(_plain(code, severity, f"{path}:{line_of(key, lines)}", message))
    return findings


_Doubt = tuple[Key, str, Severity, str]


def _doubts(campaign: Campaign, around: _Surroundings) -> Iterator[_Doubt]:
    for n, variant in enumerate(campaign.variants):
        key: Key = ("template",) if len(campaign.variants) == 1 else ("variant", n, "template")
        yield from _template_doubts(variant.template, key, around)
        yield from _subject_doubts(variant.subject, (*key[:-1], "subject"), around)
    if campaign.transport is not None and campaign.transport not in around.transports:
        cure = nearest(campaign.transport, around.transports) or f"; known: {', '.join(around.transports)}"
        yield ("transport",), "unknown_transport", Severity.ERROR, f"unknown transport {campaign.transport!r}{cure}"
    yield from _design_doubts(campaign)
    yield from _time_doubts(campaign, around)


def _template_doubts(name: str, key: Key, around: _Surroundings) -> Iterator[_Doubt]:
    if name not in around.templates:
        cure = nearest(name, around.templates) or f"; known: {', '.join(sorted(around.templates)) or 'none'}"
        yield key, "unknown_template", Severity.ERROR, f"unknown template {name!r}{cure}"
        return
    written, fallback = around.templates[name], next(iter(around.languages))
    missing = [one for one in around.languages if one not in written]
    if fallback in missing:
        why = f"template {name!r} is not written in {fallback}, the language that all others fall back on"
        yield key, "missing_fallback", Severity.ERROR, why
    elif missing:
        why = f"template {name!r} is not written in {', '.join(missing)}; those contacts get it in {fallback}"
        yield key, "missing_language", Severity.WARNING, why


def _subject_doubts(subject: Mapping[str, str], key: Key, around: _Surroundings) -> Iterator[_Doubt]:
    if not subject or ANY_LANGUAGE in subject:
        return
    missing = [one for one in around.languages if one not in subject]
    if missing:
        why = f"the subject is not written in {', '.join(missing)}; there the template's own is used"
        yield key, "missing_language", Severity.WARNING, why


def _design_doubts(campaign: Campaign) -> Iterator[_Doubt]:
    """What would make the report say little."""
    short = _SHORT_WINDOW.get(campaign.goal, _SHORT_WINDOW_ELSE)
    if campaign.window < short:
        why = f"a window of {_days(campaign.window)} misses most of what a mail brings; use {_days(short)} or more"
        yield ("window",), "short_window", Severity.WARNING, why
    if campaign.goal == "click" and campaign.holdout:
        why = "a holdout gets no mail and can't click; choose the goal order or event:NAME, or leave the holdout out"
        yield ("holdout",), "holdout_cannot_click", Severity.WARNING, why
    if campaign.goal != "click" and not campaign.holdout and campaign.message_class != TRANSACTIONAL:
        why = "without a holdout the report can't say what the campaign earned; holdout = 0.1 is a good start"
        yield ("holdout",), "no_holdout", Severity.INFO, why
    numbered = list(enumerate(campaign.variants))
    for (_, one), (n, other) in combinations(numbered, 2):
        if (one.template, one.subject, one.send_at) == (other.template, other.subject, other.send_at):
            why = f"variants {one.name!r} and {other.name!r} are the same mail"
            yield ("variant", n), "same_variants", Severity.WARNING, why


def _time_doubts(campaign: Campaign, around: _Surroundings) -> Iterator[_Doubt]:
    """What is over, or will be before it begins."""
    if around.at is None:
        return
    said: list[tuple[Key, str]] = [(("send_at",), campaign.send_at)]
    said += [(("variant", n, "send_at"), one.send_at) for n, one in enumerate(campaign.variants) if one.send_at]
    if campaign.expires is not None:
        due = min(due_times(one, around.at, [around.zone], around.zone)[around.zone] for _, one in said)
        if campaign.expires <= due:
            why = f"the campaign is over ({campaign.expires.isoformat()}) before its first message is due"
            yield ("expires",), "expired", Severity.ERROR, why
    for key, send_at in said:
        wanted = parse_send_at(send_at)
        day = wanted.day or (wanted.instant and wanted.instant.date())
        if day is not None and day < around.at.astimezone(around.zone).date():
            why = f"send_at = {send_at!r} has passed; what is planned now goes out at once"
            yield key, "past_send_at", Severity.WARNING, why


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return "1 day" if days == 1 else f"{days:g} days"


def _plain(code: str, severity: Severity, where: str, message: str) -> Finding:
    return Finding(code=code, severity=severity, where=where, message=message)
