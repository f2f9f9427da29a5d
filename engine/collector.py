"""How is Python's garbage collector kept out of long, even work?

It looks for rings of objects that hold each other, through all there is, again and again: up to a quarter of the time
of such work, which leaves next to no rings behind. So meanwhile it is called now and then instead.
"""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_EVERY = 5_000  # pieces of work


@contextmanager
def collector_aside(every: int = _EVERY) -> Iterator[Callable[[int], None]]:
    """Gives what is to be told how many pieces of work are done: it collects once in so many. For the whole process."""
    was_on, collected = gc.isenabled(), 0

    def collect(done: int) -> None:
        nonlocal collected
        if done - collected >= every:
            gc.collect()
            collected = done

    gc.disable()
    gc.freeze()  # what is there already needs no looking through
    try:
        yield collect
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()
