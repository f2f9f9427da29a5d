"""What is kept of a template once it is compiled? All that rendering needs; no file is read after it."""

import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from engine.message.guards import address
from engine.message.writing import Site

_FORMAT = 1  # raise it when the sources below mean something else to `rendering`


@dataclass(frozen=True, kw_only=True)
class Part:
    """One Jinja source. `lines` lead from a line of it to the author's file: (first line, place and text) in order."""

    source: str
    lines: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class CompiledTemplate:
    """A template in one language, guarded and ready to be filled. Equal when the hash is."""

    name: str
    language: str
    currency: str
    timezone: str
    html: Part
    text: Part
    subject: Part
    preheader: Part
    fields: tuple[str, ...]  # every field read: given_name, attributes.size, new_for_you, new_for_you.title
    sites: tuple[Site, ...]

    @cached_property
    def hash(self) -> str:
        """A digest over everything, the same on every machine."""
        return hashlib.sha256(self._canonical()).hexdigest()[:32]

    def to_bytes(self) -> bytes:
        """Compressed JSON, for the store."""
        return zlib.compress(self._canonical(), 9)

    @classmethod
    def from_bytes(cls, data: bytes) -> "CompiledTemplate":
        """The template that `to_bytes` wrote."""
        raw = json.loads(zlib.decompress(data))
        if raw.pop("format") != _FORMAT:
            raise ValueError("this compiled template was written by another version of the engine; plan again")
        parts = {name: _part(raw.pop(name)) for name in ("html", "text", "subject", "preheader")}
        sites = tuple(Site(**site) for site in raw.pop("sites"))
        fields = tuple(raw.pop("fields"))
        return cls(
            name=raw["name"],
            language=raw["language"],
            currency=raw["currency"],
            timezone=raw["timezone"],
            fields=fields,
            sites=sites,
            **parts,
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CompiledTemplate) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def _canonical(self) -> bytes:
        shown = {"format": _FORMAT, **asdict(self)}
        return json.dumps(shown, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def literal_destination(template: CompiledTemplate, site: int) -> str | None:
    """Where a link place leads when it is the same for everyone.

    None for one made from the reader's values, for one that isn't tracked, and for no place.
    """
    if not 0 <= site < len(template.sites):
        return None
    found = template.sites[site]
    return address(found.href) if found.literal and found.tracked else None  # as it stands in the mail


def _part(raw: Mapping[str, object]) -> Part:
    lines = raw["lines"]
    assert isinstance(lines, list)
    return Part(source=str(raw["source"]), lines=tuple((int(line), str(told)) for line, told in lines))
