"""What does chance say of this contact, for this purpose, the nth time? Always the same, whatever else is simulated.

Each number is a hash of seed, purpose, contact and place in her own row, and never the next of one long row. So adding
a journey, a contact or another question moves nobody's fate, and two worlds that differ in one journey differ in
nothing else (common random numbers).
"""

import hashlib

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MASK = (1 << 64) - 1
_STEP, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # SplitMix64 (Steele et al. 2014)
_ROW = 0xD1342543DE82EF95
_UNIT = 2.0**-53


class Chance:
    """The lots of one purpose: `Chance(seed, "order")`."""

    def __init__(self, seed: int, purpose: str) -> None:
        said = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(said)
        self._whose: int | None = None  # who was asked for last, and where her row begins
        self._row = 0

    def one(self, contact_id: int, place: int = 0) -> float:
        """A number in [0, 1)."""
        if contact_id != self._whose:
            self._whose, self._row = contact_id, _mixed((self._key + contact_id * _STEP) & _MASK)
        return (_mixed((self._row + place * _ROW) & _MASK) >> 11) * _UNIT

    def many(self, contact_ids: Ints, place: int | Ints = 0) -> Floats:
        """The same numbers for many contacts; `place` is one for all, or each one's own."""
        with np.errstate(over="ignore"):
            start = np.uint64(self._key) + contact_ids.astype(np.uint64) * np.uint64(_STEP)
            rows = np.asarray(place, np.int64).astype(np.uint64) * np.uint64(_ROW)
            found: Floats = (_mixed_many(_mixed_many(start) + rows) >> np.uint64(11)).astype(np.float64) * _UNIT
        return found


def _mixed(z: int) -> int:
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def _mixed_many(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    return z ^ (z >> np.uint64(31))
