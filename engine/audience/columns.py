"""What do a file's columns mean here? Understood by name, by other spelling, by what the owner says."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engine.audience.kinds import KINDS, Kind
from engine.errors import BadFile, nearest

_HEADERS_KEPT = 200  # JSONL may bring other names in every row
_CLUTTER = re.compile(r"[\ufeff\u200b\u2060]")
_GAP = re.compile(r"\W+")


class Header:
    """A file's columns, understood. Names are our own, `attributes.X`, or None for a column that is ignored."""

    def __init__(self, kind: Kind, path: Path, mapping: Mapping[str, str]) -> None:
        self.kind = kind
        self.is_shopify = False
        self.ignored: dict[str, None] = {}
        self._path = path
        self._mapping = {plain(theirs): _ours(kind, theirs, ours) for theirs, ours in mapping.items()}
        self._by_header: dict[tuple[str, ...], tuple[str | None, ...]] = {}

    def recognised(self, header: Sequence[str]) -> int:
        """How many of these names are known."""
        one = {plain(name) for name in header}
        known = {*self.kind.known, *self.kind.also, *self._mapping}
        return len(one & (known | self.kind.shopify.keys() if self.kind.shopify_mark <= one else known))

    def understand(self, header: Sequence[str]) -> tuple[str | None, ...]:
        """Our name for each column; BadFile when a needed one is missing, stands twice, or this is another export."""
        given = [plain(name) for name in header]
        self._recognise_export(set(given))
        if strange := [theirs for theirs in self._mapping if theirs not in given]:
            raise BadFile(
                f"{self._path}: --map names a column {strange[0]!r} that the file lacks{nearest(strange[0], given)}"
            )
        names = self.names(header)
        for choice in self.kind.needed:
            if not any(name in names for name in choice) and not (self.is_shopify and "handle" in names):
                raise BadFile(self._missing(choice, header))
        return names

    def names(self, header: Sequence[str]) -> tuple[str | None, ...]:
        """Our name for each column of this row; rows of JSONL may differ."""
        key = tuple(header)
        if key not in self._by_header:
            if len(self._by_header) >= _HEADERS_KEPT:
                self._by_header.clear()
            self._by_header[key] = self._named(header)
        return self._by_header[key]

    def _named(self, header: Sequence[str]) -> tuple[str | None, ...]:
        names: list[str | None] = [None] * len(header)
        for target, places in self._claims(header).items():
            best = min(rank for rank, _ in places)
            winners = [place for rank, place in places if rank == best]
            if len(winners) > 1 and (best < 2 or target in {name for choice in self.kind.needed for name in choice}):
                told = " and ".join(f"{header[place]!r} (column {place + 1})" for place in winners[:2])
                raise BadFile(f"{self._path}: both {told} mean {target}; say which with --map, or take one away")
            names[winners[0]] = target
        taken = set(names)
        for place, name in enumerate(header):
            if names[place] is None:
                names[place] = self._kept(plain(name), taken)
                taken.add(names[place])
                if names[place] is None and len(self.ignored) < _HEADERS_KEPT:
                    self.ignored[name or f"column {place + 1}"] = None
        return tuple(names)

    def _claims(self, header: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
        """Which columns could mean each of our names: rank 0 said by --map, 1 its very name, 2 another spelling."""
        claims: dict[str, list[tuple[int, int]]] = {}
        for place, name in enumerate(map(plain, header)):
            rank, target = self._meaning(name)
            if target:
                claims.setdefault(target, []).append((rank, place))
        return claims

    def _meaning(self, name: str) -> tuple[int, str]:
        if name in self._mapping:
            return 0, self._mapping[name]
        if self.is_shopify:
            return 2, self.kind.shopify.get(name, "")
        return (1, name) if name in self.kind.known else (2, self.kind.also.get(name, ""))

    def _kept(self, name: str, taken: set[str | None]) -> str | None:
        if not self.kind.rest or not name:
            return None
        kept = self.kind.rest + name.removeprefix(self.kind.rest[:-1] + "_")
        return next(one for one in _numbered(kept) if one not in taken)

    def _recognise_export(self, given: set[str]) -> None:
        if self._mapping:
            return
        self.is_shopify = bool(self.kind.shopify_mark) and self.kind.shopify_mark <= given
        other = next((one for one in KINDS if one.shopify_mark and one.shopify_mark <= given), None)
        if not self.is_shopify and other:
            raise BadFile(
                f"{self._path} is a shop's export of {other.name}, not of {self.kind.name}; "
                f"run `mailer import {other.name}`"
            )

    def _missing(self, choice: tuple[str, ...], header: Sequence[str]) -> str:
        wanted = " or ".join(choice)
        if any("@" in name for name in header):
            return (
                f"{self._path}: the first line looks like data, not like names of columns; "
                f"put a header above it that names the column {wanted}"
            )
        close = nearest(choice[0], [name for name in header if not self._meaning(plain(name))[1]])
        cure = f"--map {close.split(chr(39))[1]}={choice[0]}" if close else f"--map theirs={choice[0]}"
        return f"{self._path}: the column {wanted} is missing{close}; say `{cure}`, or rename the column"


def plain(name: str) -> str:
    """A header without case, spaces and signs: `E-Mail ` and `e mail` are both `e_mail`."""
    return _GAP.sub("_", unicodedata.normalize("NFKC", _CLUTTER.sub("", name)).casefold()).strip("_")


def _ours(kind: Kind, theirs: str, ours: str) -> str:
    if ours in kind.known or (kind.rest and ours.startswith(kind.rest) and plain(ours.removeprefix(kind.rest))):
        return ours
    raise BadFile(f"--map {theirs}={ours}: {kind.name} have no column {ours!r}{nearest(ours, kind.known)}")


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name}_{number}"
