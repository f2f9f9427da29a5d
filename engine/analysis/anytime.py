"""Is the difference more than chance, when somebody looks whenever she likes? For what has no end, such as a journey.

A confidence sequence holds at all looks together with probability 1 - ALPHA (Waudby-Smith et al., arXiv 2103.06476), so
looking every morning makes no false winner. Its price is width: at its best about 1.5 times an ordinary interval's.
"""

from dataclasses import replace
from math import exp, log, sqrt
from statistics import NormalDist

from engine.analysis.comparing import ALPHA, Comparison

# The number of contacts, both arms together, at which the sequence is tightest; fixed beforehand, hardly matters.
_TIGHTEST_AT = 5_000
_RHO_SQUARED = (-2 * log(ALPHA) + log(1 - 2 * log(ALPHA))) / _TIGHTEST_AT
_ORDINARY = NormalDist().inv_cdf(1 - ALPHA / 2)


def at_the_end(one: Comparison, _contacts: int) -> Comparison:
    """Looked at once, when the window is over."""
    return one


def at_any_time(one: Comparison, contacts: int) -> Comparison:
    """The same comparison of so many contacts, both arms together, as it may be told at any look."""
    wider = bound(contacts) / _ORDINARY
    p_value = _p_value(one.p_value, contacts)
    decided = one.decision if p_value < ALPHA else "no_difference"
    return replace(
        one,
        low=one.difference - (one.difference - one.low) * wider,
        high=one.difference + (one.high - one.difference) * wider,
        p_value=p_value,
        method=f"{one.method}, valid at any look",
        decision=decided,
    )


def bound(contacts: int) -> float:
    """How far from nothing a z value must be, at this many contacts, to be more than chance."""
    grown = contacts * _RHO_SQUARED
    return sqrt(2 * (grown + 1) / grown * log(sqrt(grown + 1) / ALPHA))


def _p_value(ordinary: float, contacts: int) -> float:
    """The smallest level at which the sequence, tuned as it is, would exclude no difference."""
    if ordinary <= 0:
        return 0.0
    z, grown = NormalDist().inv_cdf(1 - ordinary / 2), contacts * _RHO_SQUARED
    return min(1.0, sqrt(grown + 1) * exp(-z * z * grown / (2 * (grown + 1))))
