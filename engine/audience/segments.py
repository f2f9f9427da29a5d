"""What are the owner's segments? segments.toml, checked as a whole, every fault told with file and line."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from engine import rules
from engine.errors import BadRule, nearest
from engine.rules import Rule

_KEYS = ("description", "where")
_UTC = ZoneInfo("UTC")
_HEADER = re.compile(r"""\s*\[\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*\]""")
_KEY = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w-]+))\s*[=.]""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A named rule. `line` is where it begins in its file."""

    name: str
    description: str
    rule: Rule
    line: int


def load_segments(path: Path, zone: ZoneInfo = _UTC) -> dict[str, Segment]:
    """The segments of a file by name, in its order; none where there is no file. `date('...')` is midnight in `zone`.

    Raises one BadRule with every fault, a line each.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as fault:
        raise BadRule(_toml_fault(path, str(fault))) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise BadRule(f"{path} can't be read: {fault}; it must be UTF-8 text") from None
    lines = _lines(text)
    faults = list(_faults(path, tables, lines))
    sound = {name: table for name, table in tables.items() if isinstance(table, dict) and _is_text(table.get("where"))}
    checked: dict[str, Rule] = {}
    try:
        checked = rules.check_all(
            {name: (table["where"], f"{path}:{_line(lines, name, 'where')}") for name, table in sound.items()}, zone
        )
    except BadRule as fault:
        faults.append(str(fault))
    if faults:
        raise BadRule("\n".join(faults))
    return {
        name: Segment(name=name, description=table.get("description", ""), rule=checked[name], line=_line(lines, name))
        for name, table in sound.items()
    }


def _toml_fault(path: Path, message: str) -> str:
    where = re.search(r" \(at line (\d+), column (\d+)\)", message)
    if where is None:
        return f"{path}: not valid TOML: {message}"
    return f"{path}:{where[1]}:{where[2]}: not valid TOML: {message.replace(where[0], '')}"


def _faults(path: Path, tables: Mapping[str, object], lines: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """All that is wrong with the file beside its rules."""
    for name, table in tables.items():
        where = f"{path}:{_line(lines, name)}"
        if not isinstance(table, dict):
            yield f'{where}: {name!r} stands outside a segment; a segment is written as [{name}] and where = "..."'
            continue
        for key in table.keys() - set(_KEYS):
            cure = nearest(key, _KEYS) or f"; a segment has {' and '.join(_KEYS)}"
            yield f"{path}:{_line(lines, name, key)}: unknown key {key!r} in segment {name!r}{cure}"
        if not _is_text(table.get("where")):
            yield f'{where}: segment {name!r} needs its rule as text: where = "..."'
        if not isinstance(table.get("description", ""), str):
            yield f"{path}:{_line(lines, name, 'description')}: the description of segment {name!r} must be text"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _lines(text: str) -> dict[tuple[str, str], int]:
    """The first line of each segment and of each key in it; tomllib keeps no places."""
    found: dict[tuple[str, str], int] = {}
    name = ""
    for number, one in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(one):
            name = _named(header)
            found.setdefault((name, ""), number)
        elif key := _KEY.match(one):
            found.setdefault((name, _named(key)), number)
    return found


def _named(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)


def _line(lines: Mapping[tuple[str, str], int], name: str, key: str = "") -> int:
    """The line of a key, else of its segment, else of a key outside any segment, else the first."""
    return lines.get((name, key)) or lines.get((name, "")) or lines.get(("", name), 1)
