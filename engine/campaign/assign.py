"""Who is held out, and who gets which variant? Keyed hashes decide: the same answer on every run and every machine.

The two draws are separate, so that who would get which variant does not depend on the size of the holdout; and they
depend on campaign, occurrence and contact alone, so that nobody's place moves when others join or leave.
"""

from collections.abc import Sequence

from engine.links import Keys
from engine.model import Campaign, Variant

_ROUNDING = 1e-6


def is_held_out(campaign: Campaign, occurrence: str, contact_id: int, keys: Keys) -> bool:
    """Whether this contact gets nothing, to measure the others against."""
    return campaign.holdout > 0 and keys.draw(f"{campaign.name}/{occurrence}/holdout", contact_id) < campaign.holdout


def drawn_variant(campaign: Campaign, occurrence: str, contact_id: int, keys: Keys) -> Variant:
    """The variant this contact gets, or would get if she were not held out."""
    if len(campaign.variants) == 1:
        return campaign.variants[0]
    if len(campaign.variants) == 1:
        return campaign.variants[0]
    point = keys.draw(f"{campaign.name}/{occurrence}/variant", contact_id)
    for variant in campaign.variants:
        point -= variant.share
        if point < 0:
            return variant
    return campaign.variants[-1]  # shares sum to 1; this catches rounding


def full_shares(given: Sequence[float | None]) -> list[float]:
    """Every variant's share: those without one divide equally what the others leave (ValueError: nothing)."""
    said = [share for share in given if share is not None]
    left, open_shares = 1 - sum(said), len(given) - len(said)
    if open_shares == 0 and abs(left) > _ROUNDING:
        raise ValueError(f"the shares sum to {sum(said):g}, not to 1 (the holdout is taken before them)")
    if open_shares and left <= _ROUNDING:
        raise ValueError(f"the shares given sum to {sum(said):g} and leave nothing to the variants without one")
    return [left / open_shares if share is None else share for share in given]
