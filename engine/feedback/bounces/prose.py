"""Which recipients does a bounce in plain words name, and what does it say of each?"""

import re
from dataclasses import dataclass, field

from engine.feedback.bounces.addresses import ADDRESS, addresses_in, trimmed
from engine.feedback.bounces.letters import Letter, blocks_of
from engine.feedback.bounces.phrases import CUT, ROBOT

_MOST = 20
_LONGEST = 2000
# Lines in which an address is no recipient.
_OTHERS = re.compile(
    r"^\W{0,8}(from|sender|reply-to|return-path|message-?id|cc|received"
    r"|x-[a-z-]+|by|with|reporting-mta|mail from|envelope from|absender|de|von)\b[ \t]*:"
    r"|mail from|contact|\bsupport\b|help ?desk|questions|assistance"
    r"|further|please (write|send|e-?mail|forward|report)|mailto:|from <"
    r"|sender|web ?site|originator|the original (message|mail) (was )?(received"
    r"|from)|message from\b|\bid\b.{0,5}<",
    re.IGNORECASE,
)
_RECIPIENT = re.compile(
    r"^[\s>*-]{0,12}<?[^\s<>]{1,128}@[^\s<>]{1,253}?>?[\s:;,.]*$|rcpt to"
    r"|recipient|<[^<>\s]{1,128}@[^<>\s]{1,253}>:|address|failed|unknown|user|mailbox"
    r"|couldn.t be delivered|reason|undeliver|not deliver|55\d|45\d",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A recipient, and the words that follow it up to the next one."""

    recipient: str
    words: str


def own_words(letter: Letter) -> str:
    """What the bouncing system wrote itself: the text up to the mail that it returns."""
    found = CUT.search(letter.words)
    if found and len(letter.words[: found.start()].strip()) < 20:
        found = CUT.search(letter.words, found.end())  # a heading, not the end
    return letter.words[: found.start()] if found else letter.words


def returned_fields(letter: Letter) -> list[dict[str, str]]:
    """The headers of what came back: of its own part, or of the text below the cut."""
    if letter.returned:
        return letter.returned
    rest = letter.words[len(own_words(letter)) :]
    return [block for block in blocks_of(rest[:16000])[:8] if {"message-id", "to", "from", "subject"} & block.keys()]


def said_of_recipients(letter: Letter) -> list[Said]:
    """Every recipient that the words name, with what they say of it."""
    words = own_words(letter)
    named = _named(letter, words)
    places = sorted((place, one) for one, place in _chosen(letter, named).items())[:_MOST]
    ends = [*(place for place, _ in places[1:]), len(words)][: len(places)]
    return [
        Said(recipient=named.spelled.get(one, one), words=words[place:end][:_LONGEST])
        for (place, one), end in zip(places, ends, strict=True)
    ]


@dataclass(slots=True)
class _Named:
    """Addresses in the words, in small letters, each with the place of the line that it first stands in."""

    strong: dict[str, int] = field(default_factory=dict)  # as recipients do
    weak: dict[str, int] = field(default_factory=dict)
    leading: set[str] = field(default_factory=set)  # strong, and the first in their lines
    spelled: dict[str, str] = field(default_factory=dict)  # as they are written


def _named(letter: Letter, words: str) -> _Named:
    strangers = _not_meant(letter)
    named = _Named()
    start = 0
    for line in words.split("\n"):
        for found in ADDRESS.finditer(line[:2000]):
            address = trimmed(found)
            key = address.lower()
            if key in strangers or ROBOT.search(found[1]):
                continue
            named.spelled.setdefault(key, address)
            fits = _RECIPIENT.search(line) and not _OTHERS.search(line)
            (named.strong if fits else named.weak).setdefault(key, start)
            if fits and not line[: found.start()].strip(' \t<>*-:"'):
                named.leading.add(key)
        start += len(line) + 1
    for one in addresses_in(letter.header("x-failed-recipients")):
        named.spelled[one.lower()] = one
    return named


def _chosen(letter: Letter, named: _Named) -> dict[str, int]:
    """Who is meant: told by a header; else who was mailed, and who stands at the head of a line; else the likely."""
    everybody = {**named.weak, **named.strong}
    failed = {one.lower() for one in addresses_in(letter.header("x-failed-recipients"))} - _not_meant(letter)
    if failed:
        return {one: everybody.get(one, 0) for one in failed}
    mailed = {one.lower() for fields in returned_fields(letter) for one in addresses_in(fields.get("to", ""))}
    if both := mailed & everybody.keys():
        return {one: everybody[one] for one in both | named.leading}
    chosen = named.strong or named.weak
    return dict.fromkeys(mailed, 0) if not chosen and len(mailed) == 1 else chosen


def _not_meant(letter: Letter) -> set[str]:
    """Addresses that are ours or the reporting system's."""
    names = ("to", "from", "reply-to", "delivered-to", "return-path", "sender", "cc")
    ours = {a.lower() for name in names for a in addresses_in(letter.header(name))}
    senders = ("from", "sender", "reply-to", "return-path", "errors-to")
    theirs = {a.lower() for fields in returned_fields(letter) for n in senders for a in addresses_in(fields.get(n, ""))}
    return ours | theirs
