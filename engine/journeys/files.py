"""What does a journey file say? journeys/NAME.toml as a checked `Journey`, or every fault with file and line.

Defaults: nobody who is in the segment already, nobody twice, goal order within 30 days, no holdout, and whoever is
inside finishes the version she started. A step leads to the next one in the file unless it says `to`.
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from engine import rules
from engine.campaign import Key, full_shares, line_of, lines_by_key
from engine.clock import parse_duration
from engine.errors import BadJourney, BadRule, UnknownJourney, nearest
from engine.journeys.definition import (
    Arm,
    Branch,
    Journey,
    Leave,
    OnEdit,
    Send,
    Split,
    SplitArm,
    Start,
    StartKind,
    Step,
    Tag,
    Wait,
    WaitEvent,
    Webhook,
)
from engine.journeys.fitting import name_faults, rules_of, start_faults, step_faults, way_faults
from engine.journeys.keys import (
    NEVER,
    START_KINDS,
    JourneyTable,
    StartTable,
    StepTable,
    parse_offset,
    said,
    shape_faults,
)
from engine.model import Finding, Severity

_UTC = ZoneInfo("UTC")


def names(folder: Path) -> list[str]:
    """The names of all journey files of a folder."""
    return sorted(path.stem for path in folder.glob("*.toml"))


def load(path: Path, segments: Collection[str], zone: ZoneInfo = _UTC) -> Journey:
    """The journey of a file. `segments` are the known names; `zone` is the shop's.

    Raises UnknownJourney when there is no such file, BadJourney with all of its faults, one a line.
    """
    if not path.is_file():
        known = names(path.parent)
        raise UnknownJourney(f"{path} does not exist{nearest(path.stem, known)}; known: {', '.join(known) or 'none'}")
    journey, findings = read(path, segments, zone)
    if journey is None:
        raise BadJourney("\n".join(f"{one.where}: {one.message}" for one in findings))
    return journey


def read(path: Path, segments: Collection[str], zone: ZoneInfo = _UTC) -> tuple[Journey | None, list[Finding]]:
    """The journey of a file, or None and all of its faults in the order of their lines."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as fault:
        return None, [_finding(str(path), "bad_file", f"can't be read: {fault}; it must be UTF-8 text")]
    except tomllib.TOMLDecodeError as fault:
        return None, [_not_toml(path, str(fault))]
    lines = lines_by_key(text)
    faults = [*name_faults(path.stem), *shape_faults(raw), *start_faults(raw, segments), *step_faults(raw)]
    journey = None
    if not faults:
        journey = _journey(path.stem, JourneyTable.model_validate(raw))
        faults += way_faults(journey)
    told = {(line_of(key, lines), code, message): None for key, code, message in faults}
    findings = [_finding(f"{path}:{line}", code, message) for line, code, message in sorted(told)]
    findings += _rule_faults(raw, path, lines, segments, zone)
    return (None if findings else journey), findings


def checked(source: str, where: str, segments: Collection[str], zone: ZoneInfo = _UTC) -> rules.Rule:
    """A rule of a journey; `where` here is its file, for the fault's message."""
    return rules.check(source, where, segments, zone)


def _rule_faults(
    raw: Mapping[str, Any], path: Path, lines: Mapping[Key, int], segments: Collection[str], zone: ZoneInfo
) -> Iterator[Finding]:
    for key, text in rules_of(raw):
        where = f"{path}:{line_of(key, lines)}"
        try:
            checked(text, where, segments, zone)
        except BadRule as fault:
            for line in str(fault).splitlines():
                place, _, message = line.removeprefix(where).partition(": ")
                yield _finding(where + place, "bad_rule", f"{said(key)}: {message}")


def _not_toml(path: Path, message: str) -> Finding:
    place = re.search(r" \(at line (\d+), column (\d+)\)", message)
    where = f"{path}:{place[1]}:{place[2]}" if place else str(path)
    return _finding(where, "bad_toml", f"not valid TOML: {message.replace(place[0], '') if place else message}")


def _finding(where: str, code: str, message: str) -> Finding:
    return Finding(code=code, severity=Severity.ERROR, where=where, message=message)


def _journey(name: str, file: JourneyTable) -> Journey:
    return Journey(
        name=name,
        description=file.description,
        start=_start(file.start),
        steps=tuple(_step(one) for one in file.step),
        existing=file.existing,
        reentry=None if file.reentry == NEVER else parse_duration(file.reentry),
        exclude=file.exclude,
        goal=file.goal,
        window=parse_duration(file.window),
        holdout=float(file.holdout),
        on_edit=OnEdit(file.on_edit),
        message_class=file.message_class,
        priority=file.priority,
        max_lateness=_span(file.max_lateness),
        transport=file.transport,
        uncertain=file.uncertain,
    )


def _start(table: StartTable) -> Start:
    kind = next(one for one in START_KINDS if getattr(table, one) is not None)
    given = Start(kind=StartKind(kind), name=table.segment or table.event or table.date or "", where=table.where or "")
    if given.kind is not StartKind.DATE:
        return given
    return Start(
        kind=given.kind,
        name=given.name,
        where=given.where,
        offset=parse_offset(table.offset) if table.offset else given.offset,
        at=table.at or given.at,
        yearly=given.yearly if table.yearly is None else table.yearly,
    )


def _step(table: StepTable) -> Step:
    to = table.to or ""
    if table.send is not None:
        return Send(
            id=table.id,
            template=table.send,
            subject=table.subject,
            send_at=table.send_at,
            priority=table.priority,
            expires=_span(table.expires),
            cost_per_conversion=float(table.cost_per_conversion),
            to=to,
        )
    if table.wait is not None or table.until is not None:
        return Wait(id=table.id, span=_span(table.wait), until=table.until or "", to=to)
    if table.until_event is not None:
        at_most, then, otherwise = _span(table.at_most), table.then or "", table.otherwise or ""
        assert at_most is not None  # a fault told before
        return WaitEvent(id=table.id, event=table.until_event, at_most=at_most, then=then, otherwise=otherwise)
    if table.tag is not None or table.untag is not None:
        return Tag(id=table.id, tag=(table.tag or table.untag or "").strip(), remove=table.tag is None, to=to)
    if table.webhook is not None:
        return Webhook(id=table.id, url=table.webhook, to=to)
    return _parting(table)


def _parting(table: StepTable) -> Step:
    """A step after which not everybody goes the same way, or nobody goes on."""
    if table.branch is not None:
        arms = (
            Arm(to=arm.to, where=arm.where or "", clicked=arm.clicked or "", opened=arm.opened or "")
            for arm in table.branch
        )
        return Branch(id=table.id, arms=tuple(arms))
    if table.split is not None:
        shares = full_shares([arm.share for arm in table.split])
        return Split(
            id=table.id,
            arms=tuple(
                SplitArm(name=arm.name, share=share, to=arm.to) for arm, share in zip(table.split, shares, strict=True)
            ),
        )
    return Leave(id=table.id) if table.leave is True or table.leave is None else Leave(id=table.id, reason=table.leave)


def _span(text: str | None) -> timedelta | None:
    return parse_duration(text) if text else None
