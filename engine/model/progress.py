"""How does long work tell how far it is?"""

from collections.abc import Callable

Progress = Callable[[int, int | None], None]  # done, and of how many; None: nobody knows yet


def unwatched(_done: int, _total: int | None) -> None:
    """Progress that nobody looks at."""
