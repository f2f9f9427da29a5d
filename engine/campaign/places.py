"""On which line of a TOML file does a key stand? tomllib keeps no places, and a fault without one is lost."""

import re
from collections.abc import Mapping, Sequence

Key = tuple[str | int, ...]  # ("variant", 1, "share"): the share of the second [[variant]]

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.\"'\s-]+?)\s*\]\]?\s*(?:#.*)?")
_ASSIGNED = re.compile(r"\s*([\w\"'-][\w.\"'\s-]*?)\s*=")
_TEXT_MARKS = ('"""', "'''")


def lines_by_key(text: str) -> dict[Key, int]:
    """The line of every table and key, counted from 1."""
    found: dict[Key, int] = {}
    table: Key = ()
    counts: dict[Key, int] = {}
    open_mark = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if not open_mark:
            if header := _HEADER.fullmatch(line):
                table = _entered(header[1], _parts(header[2]), counts)
                found.setdefault(table, number)
            elif assigned := _ASSIGNED.match(line):
                found.setdefault((*table, *_parts(assigned[1])), number)
        open_mark = _still_open(line, open_mark)
    return found


def line_of(key: Sequence[str | int], lines: Mapping[Key, int]) -> int:
    """The line of a key, else of what it stands in, else the first."""
    for length in range(len(key), 0, -1):
        if line := lines.get(tuple(key[:length])):
            return line
    return 1


def _entered(bracket: str, parts: Key, counts: dict[Key, int]) -> Key:
    """The table a header opens; `[variant.subject]` belongs to the last `[[variant]]` before it."""
    if bracket == "[[":
        counts[parts] = counts.get(parts, -1) + 1
        return (*parts, counts[parts])
    last = next((n for n in range(len(parts), 0, -1) if parts[:n] in counts), 0)
    return (*parts[:last], counts[parts[:last]], *parts[last:]) if last else parts


def _parts(dotted: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _still_open(line: str, mark: str) -> str:
    """Inside a text of several lines nothing is a key; gives the mark that will close it, or nothing."""
    for one in _TEXT_MARKS:
        if mark in ("", one) and line.count(one) % 2:
            return "" if mark else one
    return mark
