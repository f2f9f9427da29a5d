"""How must an attribute's value be written so that the MJML compiler leaves it alone?

mrml 6.0 writes every attribute value with Rust's debug formatting: line ends become a backslash and `n`, backslashes
are doubled, and many characters of Persian, Hindi, Thai, Vietnamese or emoji become `\\u{200c}`. Numeric entities pass
through unharmed, so every character above U+007E is written as one; a rule by Unicode category misses 59 vowel signs.
"""

import re

_BLANKS = re.compile(r"[\t\r\n]+")
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")
_GARBAGE = re.compile(r"""\\u\{[0-9a-f]+\}|=\s*"[^"<>]*\\[^"]*\"""")


def safe_value(literal: str) -> str:
    """A literal stretch of an attribute's value (or of mj-title), to stand between double quotes."""
    one_line = _BLANKS.sub(" ", literal)
    marked = one_line.replace("\\", "&#92;").replace('"', "&quot;")
    return _NOT_PLAIN.sub(lambda match: f"&#x{ord(match[0]):x};", marked)


def garbage_in(html: str) -> str | None:
    """What the compiler's attribute writer mangled in spite of that; None when all is well."""
    found = _GARBAGE.search(html)
    return found[0] if found else None
