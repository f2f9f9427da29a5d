"""Which of the languages at hand does this reader get, and which way does it run?"""

from collections.abc import Collection, Container
from functools import lru_cache

from babel import Locale, UnknownLocaleError

LAST_RESORT = "en"

# Babel leaves some plain codes without a script; these are the scripts that their readers expect.
_USUAL_SCRIPT = {"zh": "Hans", "sr": "Cyrl"}


@lru_cache(maxsize=1024)
def canonical(language: str | None) -> str | None:
    """`zh-tw` -> `zh_Hant_TW`, `iw` -> `he_IL`, ` FI ` -> `fi`; None for what is no known language."""
    found = _parsed(language)
    return str(found) if found is not None else None


def negotiate(language: str | None, available: Collection[str], fallback: str) -> tuple[str, bool]:
    """The best of `available` for a reader of `language`, and whether that is a second best.

    In this order: the same code, the same language in the same script (zh_TW takes zh_Hant), the same language in
    another script (a second best), the fallback (a second best, unless nothing is known of the reader).
    """
    if not language:
        return fallback, False
    if language in available:
        return language, False
    wanted = _parsed(language)
    if wanted is None:
        return fallback, True
    kin = [(code, one) for code in sorted(available) if (one := _parsed(code)) and one.language == wanted.language]
    same_script = [(code, one) for code, one in kin if _script(one) == _script(wanted)]
    for code, one in same_script:
        if one.territory == wanted.territory:
            return code, False
    if same_script:
        return min(same_script, key=lambda pair: (len(pair[0]), pair[0]))[0], False
    return (kin[0][0], True) if kin else (fallback, True)


def direction(language: str | None) -> str:
    """`rtl` for Persian, Arabic, Hebrew, Urdu and their like, else `ltr`."""
    return str(babel_locale(language).text_direction)


def language_name(language: str, shown_in: str | None = None) -> str:
    """What a language is called: by its own speakers, or in the language `shown_in`. An unknown code stays itself."""
    found = _parsed(language)
    if found is None:
        return language
    return str(found.get_display_name(babel_locale(shown_in) if shown_in else found) or language)


@lru_cache(maxsize=1024)
def babel_locale(language: str | None) -> Locale:
    """Babel's data for this language; English's where it has none."""
    return _parsed(language) or Locale.parse(LAST_RESORT)


def spoken(language: str | None, known: Container[str]) -> str:
    """The entry of `known` that speaks to this reader: `zh_Hant`, then `zh`, then English."""
    found = babel_locale(language)
    with_script = f"{found.language}_{_script(found)}"
    return next((code for code in (with_script, found.language) if code in known), LAST_RESORT)


@lru_cache(maxsize=1024)
def _parsed(language: str | None) -> Locale | None:
    if not language:
        return None
    try:
        return Locale.parse(language.strip().replace("-", "_"), resolve_likely_subtags=True)
    except (UnknownLocaleError, ValueError, TypeError):
        return None


def _script(locale: Locale) -> str:
    """The script a locale is written in; empty for languages that have only one."""
    return locale.script or _USUAL_SCRIPT.get(locale.language, "")
