"""How does a letter to this person begin? A whole phrase in the form her language uses, with or without her name.

No name is inflected, and none is guessed at: where the columns don't tell which part a language would use, the phrase
does without a name. Sources: the house's localisation sheet; each rule says its language's custom.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.locale.languages import spoken
from engine.locale.names import is_arabic_script, is_east_asian, tidy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Person:
    """Name parts that may be shown; empty where there is none."""

    given: str
    family: str
    full: str
    honorific: str
    gender: str  # f | m | ""


def greeting(
    language: str | None,
    given_name: str | None = None,
    family_name: str | None = None,
    full_name: str | None = None,
    honorific: str | None = None,
    gender: str | None = None,
) -> str:
    """The whole opening phrase with its comma: `Hi Anna,`; a phrase without a name where none is fit: `Hello,`."""
    title = tidy(honorific)
    if title.isupper() and title.isascii():
        title = title.capitalize()  # MR, DR
    person = _Person(
        given=tidy(given_name),
        family=tidy(family_name),
        full=tidy(full_name),
        honorific=title,
        gender=_GENDERS.get((gender or "").strip().casefold(), "") or _TITLED.get(_bare(title), ""),
    )
    return _RULES[spoken(language, _RULES)](person)


_GENDERS = {
    **dict.fromkeys(["f", "female", "woman", "w", "nainen", "زن", "女", "nữ", "perempuan", "wanita"], "f"),
    **dict.fromkeys(["m", "male", "man", "mies", "مرد", "男", "nam", "lelaki"], "m"),
}
_TITLED = {
    **dict.fromkeys(["mrs", "ms", "miss", "rouva", "neiti", "خانم", "女士", "小姐", "puan", "cik", "chị", "bà"], "f"),
    **dict.fromkeys(["mr", "herra", "آقا", "آقای", "先生", "encik", "anh", "ông"], "m"),
}


def _bare(title: str) -> str:
    return title.casefold().rstrip(".")


def _english(person: _Person) -> str:
    if person.given:
        return f"Hi {person.given},"
    if person.honorific and person.family:
        return f"Hello {person.honorific} {person.family},"
    return f"Hello {person.full}," if person.full else "Hello,"


def _finnish(person: _Person) -> str:
    """First name only, or no name at all; a full name alone doesn't tell which of its words that is."""
    return f"Hei {person.given}," if person.given else "Hei,"


# ---------------------------------------------------------------- Persian

_PERSIAN_TITLES = {
    **dict.fromkeys(["mr", "آقا", "آقای"], "آقای"),
    **dict.fromkeys(["mrs", "ms", "miss", "خانم"], "خانم"),
    **dict.fromkeys(["dr", "دکتر"], "دکتر"),
    **dict.fromkeys(["eng", "مهندس"], "مهندس"),
}


def _persian(person: _Person) -> str:
    """Title and family name, else the given name, with «عزیز».

    After the vowels ا and و that word would need a letter added to the name; there, and beside a name in another
    script, the phrase begins with «سلام» instead, which leaves names alone.
    """
    title = _PERSIAN_TITLES.get(_bare(person.honorific)) or {"f": "خانم", "m": "آقای"}.get(person.gender, "")
    if title and is_arabic_script(person.family):
        name = f"{title} {person.family}"
    else:
        name = person.given or (f"{title} {person.family}" if title and person.family else "")
    if not name:
        return "سلام،"
    return f"سلام {name}،" if name[-1] in "اآو" or not is_arabic_script(name[-1]) else f"{name} عزیز،"


# ---------------------------------------------------------------- Vietnamese

# A full name that ends in one of these was written the western way round: its last word is no given name.
_VIETNAMESE_FAMILIES = frozenset("nguyễn nguyen trần tran phạm pham huỳnh huynh đặng bùi đỗ ngô".split())


def _vietnamese(person: _Person) -> str:
    """By the given name, the last word: Nguyễn Văn An is An. Neutral «bạn» rather than a guess at age and sex."""
    words = (person.given or person.full).split()
    if not words or (not person.given and words[-1].casefold() in _VIETNAMESE_FAMILIES):
        return "Chào bạn,"
    return f"Chào {words[-1]},"


# ---------------------------------------------------------------- Malay

# From here on a Malaysian name tells whose child one is: never a family name.
_CHILD_OF = re.compile(r"\s+(?:bin|binti|bte?|b\.|a/l|a/p|s/o|d/o|anak)(?:\s.*|$)", re.IGNORECASE)
_MALAY_TITLES = {"mr": "Encik", "mrs": "Puan", "ms": "Cik", "miss": "Cik", "dr": "Dr"}


def _malay(person: _Person) -> str:
    """The own name, without the patronymic; titles are kept, for they are part of how one is addressed."""
    own = _CHILD_OF.sub("", person.full) if _CHILD_OF.search(person.full) else person.given or person.full
    own = _CHILD_OF.sub("", own)
    if not own:
        return "Salam sejahtera,"
    title = _MALAY_TITLES.get(_bare(person.honorific), person.honorific)
    if not title:
        return f"Hai {own},"
    return f"Salam sejahtera {own}," if own.startswith(f"{title} ") else f"Salam sejahtera {title} {own},"


# ---------------------------------------------------------------- Chinese

_CHINESE_TITLES = frozenset({"先生", "女士", "小姐", "老师", "老師", "教授", "医生", "醫生", "博士"})


def _chinese(person: _Person) -> str:
    """Family name and title, or the full name; no space between, and never the given name alone."""
    title = (
        person.honorific if person.honorific in _CHINESE_TITLES else {"f": "女士", "m": "先生"}.get(person.gender, "")
    )
    if title and is_east_asian(person.family):
        return f"{person.family}{title}，您好！"
    full = person.full
    if is_east_asian(full.replace(" ", "")):
        full = full.replace(" ", "")
    if not full and is_east_asian(person.family) and is_east_asian(person.given):
        full = f"{person.family}{person.given}"
    if not full or full in (person.given, person.family) or len(full) == 1:
        return "您好！"
    return f"{full}，您好！"


_RULES: Mapping[str, Callable[[_Person], str]] = {
    "en": _english,
    "fi": _finnish,
    "fa": _persian,
    "vi": _vietnamese,
    "ms": _malay,
    "zh": _chinese,
}
