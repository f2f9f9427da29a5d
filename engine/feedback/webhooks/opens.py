"""Was a provider's open or click a person's doing? The same signals as for our own pixel, as far as they are told."""

from datetime import UTC, datetime

from engine.feedback.judging import judge
from engine.model import Hit, HitKind, NoticeKind, Verdict

_KINDS = {NoticeKind.OPENED: HitKind.OPEN, NoticeKind.CLICKED: HitKind.CLICK}
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def hint_of(kind: NoticeKind, agent: str) -> str:
    """`machine` when the user agent is a scanner's or a prefetch's; else nothing, also where none was told."""
    if kind not in _KINDS or not agent:
        return ""
    # Providers tell no Accept-Language: its absence is no signal here.
    hit = Hit(kind=_KINDS[kind], delivery_id="", site=0, occurrence=0, at=_LONG_AGO, agent=agent, accept_language="?")
    (judged,) = judge([hit], None)
    return "machine" if judged.verdict is Verdict.MACHINE else ""
