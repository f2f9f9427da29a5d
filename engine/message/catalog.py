"""What does `_("...")` say in this language? Reads catalog.toml of a template and of its layouts."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import BadTemplate

FILE = "catalog.toml"

_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Strings by language. `languages` are those of the template's own catalog, its source language first."""

    source: str
    languages: tuple[str, ...]
    strings: Mapping[str, Mapping[str, str]]

    def say(self, text: str, language: str) -> str | None:
        """The string in this language; None when nobody has translated it."""
        if _same(language, self.source):
            return self.strings.get(self.source, {}).get(text, text)
        return self.strings.get(language, {}).get(text)

    def wrong_slots(self) -> list[str]:
        """Translations whose `{slots}` differ from the original's: one sentence each."""
        return [
            f"{language}: {said!r} has other {{slots}} than {text!r}"
            for language, strings in self.strings.items()
            for text, said in strings.items()
            if set(_SLOT.findall(said)) != set(_SLOT.findall(text))
        ]


def read_catalog(folder: Path, layouts: Sequence[Path]) -> Catalog:
    """The strings of a template, beneath them those of the layouts; BadTemplate for a file that is no catalog."""
    own = _tables(folder / FILE)
    strings: dict[str, dict[str, str]] = {}
    for tables in [*(_tables(layout / FILE) for layout in reversed(layouts)), own]:
        for language, table in tables.items():
            if isinstance(table, dict):
                strings.setdefault(language, {}).update(table)
    source = str(own.get("source", "en"))
    others = (language for language, table in own.items() if isinstance(table, dict) and not _same(language, source))
    return Catalog(source=source, languages=(source, *others), strings=strings)


def filled(text: str, values: Mapping[str, object], shown: Callable[[str, object], str]) -> str:
    """The text with its `{slots}` filled; `shown` writes one value. A slot without a value is a LookupError."""
    for name in _SLOT.findall(text):
        if name not in values:
            raise LookupError(f"{text!r} needs a value for {{{name}}}: _({text!r}, {name}=...)")
    return _SLOT.sub(lambda match: shown(match[1], values[match[1]]), text)


def _tables(path: Path) -> dict[str, object]:
    if not path.exists():
        return {}
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        raise BadTemplate(f"{path.parent.name}/{path.name}: not valid TOML: {fault}") from fault
    for name, table in tables.items():
        if isinstance(table, dict) and not all(isinstance(said, str) for said in table.values()):
            raise BadTemplate(f'{path.parent.name}/{path.name}: [{name}] may hold only "text" = "translation"')
    return tables


def _same(one: str, other: str) -> bool:
    return one.replace("_", "-").lower() == other.replace("_", "-").lower()
