"""What is wrong or doubtful about the journey files, before anybody is let in? For `mailer journey check`.

A file that does not load is an error with its line. The others are looked at against what the workspace has:
templates and their languages, transports, campaigns; and for what would spoil the journey or its report.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from engine.campaign import Key, line_of, lines_by_key
from engine.errors import nearest
from engine.journeys.definition import Branch, Journey, Send, StartKind, WaitEvent
from engine.journeys.files import names, read
from engine.journeys.ways import longest, reached, targets
from engine.model import TRANSACTIONAL, Finding, Severity

_ANY_LANGUAGE = "*"
_UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the workspace has. `templates` gives the languages that each is written in; the shop's first falls back."""

    templates: Mapping[str, Collection[str]]
    languages: Collection[str]
    transports: Collection[str]
    campaigns: Collection[str] = ()
    zone: ZoneInfo = _UTC
    sender_fault: str = ""  # why nothing can be sent at all


_Doubt = tuple[Key, str, Severity, str]


def check_journeys(
    folder: Path, segments: Collection[str], around: Surroundings, only: str | None = None
) -> list[Finding]:
    """All faults and doubts of the journey files (of one, with `only`)."""
    wanted = names(folder) if only is None else [only]
    findings: list[Finding] = []
    if around.sender_fault and wanted:
        findings.append(_finding("sender", Severity.ERROR, "config.toml", around.sender_fault))
    for name in wanted:
        path = folder / f"{name}.toml"
        journey, faults = read(path, segments, around.zone)
        findings += faults
        if journey is not None:
            lines = lines_by_key(path.read_text(encoding="utf-8"))
            for key, code, severity, message in _doubts(journey, around):
                findings.append(_finding(code, severity, f"{path}:{line_of(key, lines)}", message))
    return findings


def _doubts(journey: Journey, around: Surroundings) -> Iterator[_Doubt]:
    for n, step in enumerate(journey.steps):
        if isinstance(step, Send):
            yield from _template_doubts(step, n, around)
    if journey.transport is not None and journey.transport not in around.transports:
        cure = nearest(journey.transport, around.transports) or f"; known: {', '.join(around.transports)}"
        yield ("transport",), "unknown_transport", Severity.ERROR, f"unknown transport {journey.transport!r}{cure}"
    if journey.name in around.campaigns:
        why = f"a campaign is called {journey.name!r}, too, and commands could mean either; rename one of the files"
        yield (), "same_name", Severity.ERROR, why
    yield from _way_doubts(journey)
    yield from _design_doubts(journey)


def _template_doubts(step: Send, n: int, around: Surroundings) -> Iterator[_Doubt]:
    key: Key = ("step", n, "send")
    if step.template not in around.templates:
        cure = nearest(step.template, around.templates) or f"; known: {', '.join(sorted(around.templates)) or 'none'}"
        yield key, "unknown_template", Severity.ERROR, f"unknown template {step.template!r}{cure}"
        return
    written, fallback = around.templates[step.template], next(iter(around.languages))
    missing = [one for one in around.languages if one not in written]
    if fallback in missing:
        why = f"template {step.template!r} is not written in {fallback}, the language that all others fall back on"
        yield key, "missing_fallback", Severity.ERROR, why
    elif missing:
        why = f"template {step.template!r} is not written in {', '.join(missing)}; those contacts get it in {fallback}"
        yield key, "missing_language", Severity.WARNING, why
    unsaid = [one for one in around.languages if one not in step.subject]
    if step.subject and unsaid and _ANY_LANGUAGE not in step.subject:
        why = f"the subject is not written in {', '.join(unsaid)}; there the template's own is used"
        yield ("step", n, "subject"), "missing_language", Severity.WARNING, why


def _way_doubts(journey: Journey) -> Iterator[_Doubt]:
    """What is never so, though nothing is wrong with the words."""
    leads = targets(journey)
    for n, step in enumerate(journey.steps):
        if isinstance(step, WaitEvent) and step.event == journey.goal:
            why = f"{step.event} is the goal and ends the journey: nobody ever goes on from here by it"
            yield ("step", n, "until_event"), "awaits_goal", Severity.INFO, why
        if not isinstance(step, Branch):
            continue
        for k, arm in enumerate(step.arms):
            for send in sorted({arm.clicked, arm.opened} - {""}):
                if not any(step.id in reached(journey, after) for after in leads[send] if after in leads):
                    why = f"arm {k + 1} asks for the mail of {send!r}, which comes only after {step.id!r}, if at all"
                    yield ("step", n, "branch", k), "never_sent_before", Severity.WARNING, why


def _design_doubts(journey: Journey) -> Iterator[_Doubt]:
    """What would make the journey bothersome, or its report say little."""
    sends = [(n, step) for n, step in enumerate(journey.steps) if isinstance(step, Send)]
    if not sends:
        yield (), "no_mail", Severity.INFO, "no step sends a mail"
    times = Counter((step.template, tuple(sorted(step.subject.items()))) for _, step in sends)
    for n, step in sends:
        first = next(one for _, one in sends if one.template == step.template and one.subject == step.subject)
        if times[step.template, tuple(sorted(step.subject.items()))] > 1 and first is not step:
            why = f"steps {first.id!r} and {step.id!r} send the same mail ({step.template!r})"
            yield ("step", n, "send"), "same_mail", Severity.WARNING, why
    lasts = longest(journey)
    if journey.window < lasts:
        why = f"the window of {_days(journey.window)} is over before the longest way through, up to {_days(lasts)}"
        yield ("window",), "short_window", Severity.WARNING, f"{why}: what its last mails bring is not counted"
    if journey.goal == "click" and journey.holdout:
        why = "a holdout gets no mail and can't click; choose the goal order or event:NAME, or leave the holdout out"
        yield ("holdout",), "holdout_cannot_click", Severity.WARNING, why
    if sends and journey.goal != "click" and not journey.holdout and journey.message_class != TRANSACTIONAL:
        why = "without a holdout the report can't say what the journey earned; holdout = 0.05 is a good start"
        yield ("holdout",), "no_holdout", Severity.INFO, why
    if journey.start.kind is StartKind.DATE and journey.max_lateness is None and sends:
        why = (
            f'a mail about {journey.start.name} may come days late after a standstill; max_lateness = "1 day" stops it'
        )
        yield ("start",), "no_max_lateness", Severity.INFO, why


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return "1 day" if days == 1 else f"{days:.3g} days"


def _finding(code: str, severity: Severity, where: str, message: str) -> Finding:
    return Finding(code=code, severity=severity, where=where, message=message)
