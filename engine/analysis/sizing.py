"""What difference can an audience of this size show at all? Said before sending, so that nobody waits for a miracle."""

from math import sqrt
from statistics import NormalDist

_Z_ALPHA = NormalDist().inv_cdf(0.975)
_Z_POWER = NormalDist().inv_cdf(0.8)
_STEPS = 60  # halvings: far below any figure shown


def detectable(baseline: float, size_a: int, size_b: int) -> float | None:
    """The smallest relative rise over `baseline` seen with 80 % power at 5 % two-sided; None when none can be seen.

    Two proportions, unequal arms: z[a/2] sqrt(pm (1-pm) (1/na + 1/nb)) + z[b] sqrt(p0 q0/na + p1 q1/nb) = p1 - p0.
    """
    if not 0 < baseline < 1 or min(size_a, size_b) < 2:
        return None

    def missing(p1: float) -> float:
        pooled = (baseline * size_a + p1 * size_b) / (size_a + size_b)
        noise = _Z_ALPHA * sqrt(pooled * (1 - pooled) * (1 / size_a + 1 / size_b))
        return p1 - baseline - noise - _Z_POWER * sqrt(baseline * (1 - baseline) / size_a + p1 * (1 - p1) / size_b)

    low, high = baseline, 1.0
    if missing(high) < 0:
        return None
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if missing(middle) < 0 else (low, middle)
    return high / baseline - 1
