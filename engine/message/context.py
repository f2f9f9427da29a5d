"""What must be frozen so that one contact's message can be made later and come out the same? What its template reads.

The result is plain JSON: moments as ISO text, money as decimals, cards as objects. `links` are never in it: they are
made with the message's tokens.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any

from engine.errors import RenderFailed
from engine.locale import greeting
from engine.message.compiled import CompiledTemplate
from engine.message.fields import MOMENT, SEGMENTS
from engine.message.flatten import ShopView
from engine.model import CARD_LISTS, Card, Picks, Profile
from engine.rules import Rule, evaluate

NO_SEGMENTS: Mapping[str, Rule] = MappingProxyType({})

# Controls but line end and tab, lone surrogates, bidi overrides and isolates, noncharacters: no name needs them, and
# they can turn a sentence round or stop a mail from being written at all.
_UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]")


def context_for(
    template: CompiledTemplate,
    profile: Profile,
    picks: Picks,
    shop: ShopView,
    at: datetime,
    segments: Mapping[str, Rule] = NO_SEGMENTS,
) -> dict[str, Any]:
    """The values that `template` reads of this contact, as JSON; `greeting` is written in the template's language."""
    members: dict[str, set[str]] = {}
    for path in template.fields:
        first, _, member = path.partition(".")
        members.setdefault(first, set()).update([member] if member else [])
    context: dict[str, Any] = {}
    for name in sorted(members.keys() - {"links"}):
        context[name] = _value(name, members[name], template, profile, picks, shop)
    if SEGMENTS in members:
        context[SEGMENTS] = _memberships(members[SEGMENTS], profile, at, segments)
    if MOMENT in members:
        context[MOMENT] = at.isoformat()
    return context


def fit(text: str) -> str:
    """The text without characters that no message may carry."""
    return _UNFIT.sub("", text)


def _value(
    name: str, members: set[str], template: CompiledTemplate, profile: Profile, picks: Picks, shop: ShopView
) -> Any:
    if name in (SEGMENTS, MOMENT):
        return None
    if name == "greeting":
        who = (profile.given_name, profile.family_name, profile.full_name, profile.honorific, profile.gender)
        return fit(greeting(template.language, *who))
    if name in CARD_LISTS:
        return [_card(card, members) for card in getattr(picks, name)]
    if name == "favourite_product":
        return _card(picks.favourite_product, members) if picks.favourite_product else None
    if name == "basket_url":
        return _plain(picks.basket_url)
    if name == "shop":
        return {member: getattr(shop, member) for member in sorted(members)}
    if name == "attributes":
        return {one: fit(profile.attributes[one]) for one in sorted(members) if profile.attributes.get(one) is not None}
    return _plain(getattr(profile, name))


def _card(card: Card, members: Iterable[str]) -> dict[str, Any]:
    wanted = set(members) or {"product_id"}  # a template that only asks whether there is one gets something to find
    return {name: _plain(value) for name, value in asdict(card).items() if name in wanted}


def _memberships(names: Iterable[str], profile: Profile, at: datetime, segments: Mapping[str, Rule]) -> dict[str, bool]:
    for name in names:
        if name not in segments:
            raise RenderFailed(f"the template asks for the segment {name!r}, which segments.toml does not hold")
    return {name: evaluate(segments[name], profile, at, segments) for name in sorted(names)}


def _plain(value: Any) -> Any:
    """A profile's value as JSON."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        return fit(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
