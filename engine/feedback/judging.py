"""Was that a person? Signals that add up, kept as data, so that old hits can be judged again when the rules improve.

Sources: user agents and delays published by the mailbox providers and by the senders who measured them; a proxy that
fetches on behalf of a reader (Gmail, Yahoo) is a person, a prefetch or a link scanner is not.
Never suppress on a verdict.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.model import Hit, HitKind, Verdict

# A reader's proxy: IP and agent tell nothing about the reader, but somebody opened the mail.
_PROXIES = ("GoogleImageProxy", "ggpht.com", "YahooMailProxy")
_SCANNERS = tuple(
    "barracuda proofpoint mimecast tmes bingpreview urldefense headlesschrome safelinks google-safety symantec "
    "forcepoint python- curl/ wget/ bot/ crawler spider".split()
)
# Gmail fetches images of mail it believes will be read, with this frozen agent.
_GMAIL_PREFETCH = "Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"

TOO_FAST = timedelta(seconds=2)
_BURST = timedelta(seconds=2)
_BURST_LINKS = 3
_MACHINE_FROM = 0.6


@dataclass(frozen=True, slots=True)
class Judged:
    """A hit's verdict and the signals behind it."""

    verdict: Verdict
    why: str


def judge(hits: Sequence[Hit], sent_at: datetime | None) -> list[Judged]:
    """One verdict for each of a message's hits, in their order; `hits` are all of them, so that bursts show."""
    bursts = _in_a_burst(hits)
    return [_judged(hit, sent_at, burst) for hit, burst in zip(hits, bursts, strict=True)]


def _judged(hit: Hit, sent_at: datetime | None, burst: bool) -> Judged:
    if any(name in hit.agent for name in _PROXIES):
        return Judged(Verdict.HUMAN, "read through the mailbox provider's proxy")
    signals = list(_signals(hit, sent_at, burst))
    verdict = Verdict.MACHINE if sum(weight for weight, _ in signals) >= _MACHINE_FROM else Verdict.HUMAN
    return Judged(verdict, "; ".join(why for _, why in signals))


def _signals(hit: Hit, sent_at: datetime | None, burst: bool) -> list[tuple[float, str]]:
    agent = hit.agent.lower()
    found = [
        (1.0, "HEAD request", hit.method == "HEAD"),
        (1.0, "scanner's user agent", any(name in agent for name in _SCANNERS)),
        (1.0, "prefetched by Gmail", hit.agent.endswith(_GMAIL_PREFETCH)),
        (0.6, "prefetched by Apple Mail", hit.kind is HitKind.OPEN and hit.agent in ("", "Mozilla/5.0")),
        (0.6, "no user agent", hit.kind is HitKind.CLICK and not hit.agent),
        (1.0, f"{_BURST_LINKS} links or more within 2 s", burst),
        (0.6, "less than 2 s after sending", sent_at is not None and hit.at - sent_at < TOO_FAST),
        (0.3, "no Accept-Language", not hit.accept_language),
    ]
    return [(weight, why) for weight, why, holds in found if holds]


def _in_a_burst(hits: Sequence[Hit]) -> list[bool]:
    """Whether a click came together with clicks on other places of the same mail, faster than a person reads."""
    order = sorted((n for n, hit in enumerate(hits) if hit.kind is HitKind.CLICK), key=lambda n: hits[n].at)
    together: Counter[tuple[int, int]] = Counter()
    found, first, after = [False] * len(hits), 0, 0
    # A window slides over the clicks: a link that a machine hammers may have many thousands.
    for n in order:
        while after < len(order) and hits[order[after]].at - hits[n].at <= _BURST:
            together[_place(hits[order[after]])] += 1
            after += 1
        while hits[n].at - hits[order[first]].at > _BURST:
            left = _place(hits[order[first]])
            together[left] -= 1
            if not together[left]:
                del together[left]
            first += 1
        found[n] = len(together) >= _BURST_LINKS
    return found


def _place(hit: Hit) -> tuple[int, int]:
    return hit.site, hit.occurrence
