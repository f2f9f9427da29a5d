"""Where does a message's time go? A look at the running sender at every few milliseconds of CPU, without slowing it.

Each look finds the innermost line of the engine that is at work, whatever library or C function it called; the file it
stands in tells the part. A tracing profiler would make calls look dear and C functions cheap.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import engine

_ROOT = str(Path(engine.__file__).parent)
_EVERY = 0.001  # seconds of CPU; the kernel's tick may make it more
_TEMPLATE = "<template"

# The longest beginning of `file function` wins.
_PARTS = {
    "ledger/claiming": "claim",
    "ledger/": "ledger: advance and record",
    "store/": "ledger: advance and record",
    "model": "ledger: advance and record",
    "message/": "render and encode",
    "locale/": "render and encode",
    "rules/": "render and encode",
    "message/header": "headers",
    "message/addresses": "headers",
    "message/dkim": "digest and DKIM",
    "message/mime.py compose": "digest and DKIM",
    "links": "link tokens",
    "pipeline/composing": "link tokens",
    "audience/": "gate",
    "delivery/": "SMTP",
    "replies": "SMTP",
    "delivery/journal": "journal",
    "pipeline/": "the sending loop",
    "clock": "the sending loop",
}


@contextmanager
def watched() -> Iterator[dict[str, int]]:
    """Fills a dictionary while the block runs: `file:line function` of the engine to how often it was seen."""
    places: dict[str, int] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        places[_place(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    try:
        yield places
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def by_part(places: Mapping[str, int], micros: float) -> dict[str, float]:
    """Microseconds a message of each part, the dearest first, when a message costs `micros` in all."""
    return _shared(places, micros, _part)


def by_function(places: Mapping[str, int], micros: float) -> dict[str, float]:
    """Microseconds a message of each function of the engine and what it calls outside; the dearest first."""
    dearest: dict[str, str] = {}
    for place in sorted(places, key=lambda one: places[one]):
        dearest[_function(place)] = place
    return _shared(places, micros, lambda place: dearest[_function(place)])


def _shared(places: Mapping[str, int], micros: float, named: Callable[[str], str]) -> dict[str, float]:
    found: Counter[str] = Counter()
    for place, times in places.items():
        found[named(place)] += times
    whole = found.total() or 1
    return {one: micros * times / whole for one, times in found.most_common()}


def _function(place: str) -> str:
    where, _, function = place.partition(" ")
    return f"{where.rpartition(':')[0]} {function}"


def _place(frame: FrameType | None) -> str:
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_TEMPLATE):
            return f"message/rendering.py:0 {_TEMPLATE}>"
        if name.startswith(_ROOT):
            return f"{name[len(_ROOT) + 1 :]}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "outside"


def _part(place: str) -> str:
    known = [begins for begins in _PARTS if _function(place).startswith(begins)]
    return _PARTS[max(known, key=len)] if known else "the rest"
