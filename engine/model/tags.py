"""How do a contact's tags change? Steps of a journey say so, and moves carry it to the database."""

from collections.abc import Iterable, Sequence
from typing import Protocol


class TagChange(Protocol):
    """A tag to give, or to take away."""

    @property
    def tag(self) -> str:
        """Its name."""

    @property
    def remove(self) -> bool:
        """Whether it is taken away."""


def with_tags(known: Sequence[str], changes: Iterable[TagChange]) -> tuple[str, ...]:
    """The tags after these changes, in their order; one that is there keeps its place."""
    found = tuple(known)
    for one in changes:
        if one.remove:
            found = tuple(tag for tag in found if tag != one.tag)
        elif one.tag not in found:
            found = (*found, one.tag)
    return found
