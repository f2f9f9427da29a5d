"""How does one line of the table of live replies read?"""

import re
from dataclasses import dataclass, field

from engine.model import MessageState


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table; what is left empty fits everything."""

    state: MessageState
    reason: str
    code: str = ""  # of the reply code, as a pattern
    enhanced: str = ""  # of the enhanced code (RFC 3463), as a pattern
    words: str = ""  # anywhere in the text, as a pattern, any case
    stage: str = ""  # of the SMTP command, as a pattern
    _code: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _enhanced: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _words: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _stage: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("code", "enhanced", "words", "stage"):
            object.__setattr__(self, f"_{name}", re.compile(getattr(self, name), re.IGNORECASE))

    def fits(self, code: str, enhanced: str, text: str, stage: str) -> bool:
        """Whether this row speaks about the reply."""
        return (
            (not self.code or self._code.fullmatch(code) is not None)
            and (not self.enhanced or self._enhanced.fullmatch(enhanced) is not None)
            and (not self.stage or self._stage.fullmatch(stage) is not None)
            and (not self.words or self._words.search(text) is not None)
        )


def sent(**fits: str) -> Row:
    """The server took responsibility."""
    return Row(state=MessageState.SENT, reason="", **fits)


def uncertain(reason: str, **fits: str) -> Row:
    """Nobody can tell whether it did."""
    return Row(state=MessageState.UNCERTAIN, reason=reason, **fits)


def refused(reason: str, **fits: str) -> Row:
    """Final for this message."""
    return Row(state=MessageState.REFUSED, reason=reason, **fits)


def deferred(reason: str, **fits: str) -> Row:
    """Certainly not accepted; may be tried again."""
    return Row(state=MessageState.DEFERRED, reason=reason, **fits)
