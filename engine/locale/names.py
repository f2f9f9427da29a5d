"""Is this a name that a person would like to read, and how is it written?"""

import re
import unicodedata
from functools import lru_cache

LONGEST = 40

# What forms, tests and broken exports leave in name columns.
_JUNK = frozenset(
    "test tester testi testing null none undefined nil unknown anonymous anonym guest customer user admin "
    "asdf asdfgh qwerty name firstname lastname fname lname etunimi sukunimi xxx abc".split()
)
_JUNK_AS_WRITTEN = frozenset({"nan", "NaN", "NAN", "n/a", "N/A"})  # Nan is a woman's name

_BESIDE_LETTERS = frozenset(" '’ʻʼ-\u2010\u2011.·・&\u200c\u200d")  # the last two join letters in Persian and Indic
_LOCAL_PART = re.compile(r"\.\w{2}")  # anna.smith; but J.R. and St. John are names
_NO_EDGE = ("-", "&", "\u2010", "\u2011", "·", "・")  # -name- is a provider's placeholder
_INITIAL = re.compile(r"[A-Za-z]\.?")
_PATRONYMIC = re.compile(r"\b([as])/([lpo])\b", re.IGNORECASE)  # Malaysian a/l, a/p and s/o
_WORD_START = re.compile(r"(?:^|(?<=[\s\-'’&]))[^\W\d_]")
_PARTICLES = frozenset(
    "van von der den de da do dos das del di du la le el al bin binti bt bte ibn af ter ten y e".split()
)


@lru_cache(maxsize=16384)
def tidy(name: str | None) -> str:
    """The name in its usual spelling; empty when no person would want to be greeted by it.

    Refused: forms' leftovers (TEST, null), address parts (anna.smith), digits, braces, brackets and other signs,
    bidi controls, emoji, stacks of marks, one letter, one letter again and again, more than 40 characters.
    ANNA and anna become Anna; a name in mixed case stays as its owner wrote it.
    """
    if not name or len(name) > 4 * LONGEST:
        return ""
    text = " ".join(unicodedata.normalize("NFC", name).split())
    if not text or len(text) > LONGEST or text in _JUNK_AS_WRITTEN:
        return ""
    if not _is_written_as_a_name(text) or any(word.strip("-.'’") in _JUNK for word in text.casefold().split()):
        return ""
    return _cased(text)


def is_east_asian(name: str) -> bool:
    """Whether a name stands in Chinese characters, where no space parts family from given name."""
    return bool(name) and all("㐀" <= mark <= "鿿" or "豈" <= mark <= "﫿" or mark > "\U0001ffff" for mark in name)


def is_arabic_script(name: str) -> bool:
    """Whether a name is written in the Arabic script, which Persian uses."""
    return any("\u0600" <= mark <= "\u06ff" for mark in name)


def _is_written_as_a_name(text: str) -> bool:
    if _LOCAL_PART.search(text) or _INITIAL.fullmatch(text) or text.startswith(_NO_EDGE) or text.endswith(_NO_EDGE):
        return False
    marks_in_a_row = 0
    letters = set()
    for mark in _PATRONYMIC.sub(r"\1\2", text):
        kind = unicodedata.category(mark)[0]
        marks_in_a_row = marks_in_a_row + 1 if kind == "M" else 0
        if (kind not in "LM" and mark not in _BESIDE_LETTERS) or marks_in_a_row > 3:
            return False
        if kind == "L":
            letters.add(mark.casefold())
    return bool(letters) and not (len(letters) == 1 and len(text) >= 3)


def _cased(text: str) -> str:
    letters = [mark for mark in text if mark.isalpha()]
    if text.islower() or (text.isupper() and len(letters) > 2):  # AJ stays AJ
        words = (
            word if word in _PARTICLES else _WORD_START.sub(lambda found: found[0].upper(), word)
            for word in text.lower().split(" ")
        )
        return _PATRONYMIC.sub(lambda found: found[0].lower(), " ".join(words))
    return text
