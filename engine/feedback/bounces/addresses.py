"""Which addresses stand in a text, and which of them is a delivery of ours?"""

import re

# Bounded on both sides, so that no text costs more than its length.
_LETTER = r"A-Za-z0-9\u0080-\u2fff\u3040-\ufeff"  # all scripts, without the full-width brackets and stops
_MARK = r"!#$%&'*+/=?^_`{|}~-"
ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9.{_MARK}])([{_LETTER}{_MARK}][{_LETTER}.{_MARK}]{{0,127}})"
    rf"@([{_LETTER}](?:[{_LETTER}.-]{{0,251}}[{_LETTER}])?)"
)
_SENTENCE = re.compile(r"^(?:['`*=]|smtp=)+", re.IGNORECASE)
# Chinese and Japanese put no blank between a word and an address; one part in two scripts is a sentence.
_GLUED_BEFORE = re.compile(r"^.*[\u3040-\u9fff\uac00-\ud7af](?=[\x21-\x7e]+$)")
_GLUED_AFTER = re.compile(r"(?<=[A-Za-z])[\u3040-\u9fff\uac00-\ud7af].*$")
# Made by `links.Keys.delivery_id`: 15 bytes in base32.
_VERP = re.compile(r"(?<![A-Za-z0-9])b\+([a-z2-7]{24})@", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<([a-z2-7]{24})@[A-Za-z0-9.-]{1,253}>", re.IGNORECASE)


def address_in(text: str) -> str:
    """The first address of a text, or the empty string."""
    found = ADDRESS.search(text[:2000])
    return trimmed(found) if found else ""


def addresses_in(text: str) -> list[str]:
    """All of them, in their order."""
    return [trimmed(found) for found in ADDRESS.finditer(text)]


def trimmed(found: re.Match[str]) -> str:
    """The address as it is meant: quotes, dots and glued words belong to the sentence, `smtp=` to X.400."""
    local = _SENTENCE.sub("", _GLUED_BEFORE.sub("", found[1]))
    return f"{local}@{_GLUED_AFTER.sub('', found[2]).partition('..')[0]}"


def delivery_of_path(text: str) -> str:
    """The delivery id in a return path of ours, or the empty string."""
    found = _VERP.search(text[:8000])
    return found[1].lower() if found else ""


def delivery_of_message_id(text: str) -> str:
    """The delivery id in a Message-ID of ours, or the empty string; other mailers' ids may look alike, rarely."""
    found = _MESSAGE_ID.search(text[:8000])
    return found[1].lower() if found else ""
