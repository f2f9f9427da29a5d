"""How do mails leave over Resend, a hundred in one request, so that a lost answer can be asked for again?

The same request under the same Idempotency-Key gets the same answer for 24 hours and sends nothing twice
(resend.com/docs/dashboard/emails/idempotency-keys). So a request whose answer was lost is repeated; only when that
doesn't help are its mails uncertain, and their reply keeps the key (`key_in`), so that `ask_again` may still close
them. Each repeat may be the one that sends: everybody is asked before it, and one who says no ends the repeating.

Limits: 100 mails a request, 40 MB a mail, a few requests a second for a team (docs/api-reference/rate-limit).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import requests
from requests.auth import AuthBase

from engine.config import TransportSettings
from engine.delivery.api import HTTP, AnswerLost, Api, Reply, meaning, not_handed_over, stopped, unsendable
from engine.delivery.keys import key_of, uncertain
from engine.delivery.offers import ENDING, Answer, Offer
from engine.delivery.resend_words import (
    ERRORS,
    body_of,
    is_about_one,
    is_under_way,
    may_have_been_taken,
    outcomes_of,
    request_of,
    said_in,
)
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import MessageState, Outcome
from engine.replies import shortened

BASE = "https://api.resend.com"
BATCH = 100
PAUSES = (0.5, 2.0, 5.0)  # before each repeat of a request whose answer was lost
SHORT_WAIT = 2.0  # seconds that a 429 is waited out here; beyond, the mails are given back
_SHORT_WAITS = 5


@dataclass(frozen=True, slots=True)
class _Letter:
    offer: Offer
    body: bytes  # its part of the request


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Why nobody can tell what became of a request."""

    why: str


_Heard = Reply | _Doubt | TransportUnavailable


class ResendTransport:
    """Up to a hundred mails a request. While offers are asked, `key` is what they are about to go out under."""

    def __init__(self, name: str, settings: TransportSettings, pauses: tuple[float, ...] = PAUSES) -> None:
        self.name = name
        self.key = ""
        password = settings.password.get_secret_value() if settings.password else ""
        base = settings.endpoint or BASE
        self._api = Api(f"transport {name!r} ({base})", base, _Bearer(password), settings.timeout)
        self._pauses = pauses
        self._in_doubt = False  # an answer was lost: look whether anybody is there before handing over more

    def check(self) -> None:
        """Ask for the team's domains; TransportUnavailable when nobody answers, or not to this key."""
        self._in_doubt = True
        try:
            reply = self._api.call("GET", "/domains?limit=1")
        except AnswerLost as fault:
            raise TransportUnavailable(f"{self._api.place} does not answer: {fault}; try later") from fault
        said = shortened(said_in(reply))
        # A key that may only send is refused here, and is a good key.
        if reply.status in (401, 403) and "restricted_api_key" not in said:
            raise TransportRefused(f"{self._api.place} refuses the key: {said}; make one at resend.com/api-keys")
        if reply.status in (404, 405) or 300 <= reply.status < 400:
            raise TransportRefused(f"{self._api.place} is no Resend API ({reply.status}); check endpoint")
        if reply.status >= 500:
            raise TransportUnavailable(f"{self._api.place} can't work now: {said}; try later")
        self._in_doubt = False

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over, up to a hundred in one go; see `transport.Transport.deliver`."""
        for first in offers:
            kept_back = self._api.kept_back(self._in_doubt, self.check)
            if kept_back is not None:
                yield first.ord, kept_back
                return
            ending = False
            for ord_, outcome in self._handed_over([first, *islice(offers, BATCH - 1)]):
                ending = ending or outcome.reason in ENDING
                yield ord_, outcome
            if ending:
                return

    def ask_again(self, key: str, offers: Sequence[Offer]) -> list[Answer]:
        """What became of mails that were handed over under `key`: the same request, once more.

        `offers` are all that went under this key, in the order of then. Their `before_dot` is asked first, for if the
        first request never arrived, this one sends. SENT and REFUSED are proven; else UNCERTAIN, as before. Only for
        `capabilities.repeat_for` after the first request: later the provider has forgotten the key, and sends again.
        """
        letters = [_Letter(one, body_of(one.mail)) for one in offers]
        self.key = key
        no = [one for one in letters if one.offer.before_dot() is not None]
        if no or self._api.is_cut:
            heard: _Heard = _Doubt("not asked again: somebody must not be written to any more")
        else:
            heard = self._insist(key, letters, doubt="its answer was lost")
        outcomes = self._outcomes(key, heard, len(letters))
        return [(one.offer.ord, outcome) for one, outcome in zip(letters, outcomes, strict=True)]

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for an answer under way."""
        self._api.cut(seconds)

    def close(self) -> None:
        """Hang up; a later `deliver` connects again."""
        self._api.close()

    # ------------------------------------------------------------ before the request: every failure is certain

    def _handed_over(self, taken: list[Offer]) -> Iterator[Answer]:
        letters = []
        for offer in taken:
            refusal = unsendable(offer.mail)
            if refusal:
                yield offer.ord, refusal
            else:
                letters.append(_Letter(offer, body_of(offer.mail)))
        yield from self._together(letters)

    def _together(self, letters: list[_Letter]) -> Iterator[Answer]:
        """Hand these over in one request; anew after a short 429, in halves where one keeps the others back."""
        for waited in range(_SHORT_WAITS + 1):
            self.key = key_of([one.offer.mail for one in letters])
            try:
                said_no = {one.offer.ord: no for one in letters if (no := one.offer.before_dot()) is not None}
            except BaseException as fault:
                yield from _all(letters, _kept(f"nothing was handed over: {fault}"))
                raise
            over = next((one for one in said_no.values() if one.reason in ENDING), None)
            if over is not None:
                yield from _all(letters, over)
                return
            letters = [one for one in letters if one.offer.ord not in said_no]
            # No answer is given away between the question and the request: who takes it may dawdle.
            heard = self._heard(letters) if letters else _Doubt("")
            yield from said_no.items()
            wait = _worth_waiting(heard) if waited < _SHORT_WAITS else None
            if wait is None:
                yield from self._answers(heard, letters)
                return
            self._api.rest(wait)
            if self._api.is_cut:
                yield from _all(letters, stopped())
                return

    # ------------------------------------------------------------ the request: from its first byte on, doubt

    def _heard(self, letters: list[_Letter]) -> _Heard:
        try:
            return self._insist(self.key, letters)
        except TransportUnavailable as fault:
            return fault

    def _insist(self, key: str, letters: list[_Letter], doubt: str = "") -> Reply | _Doubt:
        """The answer to the request, repeated under the same key as long as it gets lost.

        Once there is a doubt, only a yes ends it: any other answer is about the repeat alone. Raises
        TransportUnavailable when nothing arrived and nothing was in doubt.
        """
        path, body, headers = request_of(key, [one.body for one in letters])
        for pause in (*self._pauses, None):
            try:
                reply = self._api.call("POST", path, body, headers)
                if reply.is_yes or not (doubt or may_have_been_taken(reply)):
                    return reply
                doubt = said_in(reply)
                if reply.status == 409 and not is_under_way(reply):
                    break  # the key belongs to other bytes: it will never tell
            except AnswerLost as fault:
                doubt = str(fault)
            except TransportUnavailable as fault:
                if not doubt:
                    raise
                doubt = str(fault)
            self._in_doubt = True
            self._api.rest(pause or 0)
            if pause is None or self._api.is_cut or not _all_agree(letters):
                break
        return _Doubt(doubt)

    # ------------------------------------------------------------ what it means

    def _answers(self, heard: _Heard, letters: list[_Letter]) -> Iterator[Answer]:
        if len(letters) > 1 and isinstance(heard, Reply) and is_about_one(heard):
            middle = len(letters) // 2
            over: Outcome | None = None
            for ord_, outcome in self._together(letters[:middle]):
                over = outcome if outcome.reason in ENDING else over
                yield ord_, outcome
            yield from _all(letters[middle:], over) if over else self._together(letters[middle:])
            return
        outcomes = self._outcomes(self.key, heard, len(letters))
        yield from ((one.offer.ord, outcome) for one, outcome in zip(letters, outcomes, strict=True))

    def _outcomes(self, key: str, heard: _Heard, count: int) -> list[Outcome]:
        if isinstance(heard, Reply):
            return outcomes_of(heard, key, count)
        return [uncertain(key, heard.why) if isinstance(heard, _Doubt) else not_handed_over(heard)] * count


class _Bearer(AuthBase):
    """Given as `auth`, so that no .netrc of this machine takes its place."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _worth_waiting(heard: _Heard) -> float | None:
    """How long to wait before the same mails are offered anew, if that is soon: they certainly were not taken."""
    if not isinstance(heard, Reply) or meaning(ERRORS, heard.status, said_in(heard)).reason != "throttled":
        return None
    return heard.wait() if heard.wait() <= SHORT_WAIT else None


def _all_agree(letters: list[_Letter]) -> bool:
    """Whether everybody may still be written to; a fault counts as no, for the mails may be gone already."""
    try:
        return all(one.offer.before_dot() is None for one in letters)
    except Exception:
        return False


def _all(letters: list[_Letter], outcome: Outcome) -> Iterator[Answer]:
    return ((one.offer.ord, outcome) for one in letters)


def _kept(why: str) -> Outcome:
    return Outcome(state=MessageState.DEFERRED, reason="unavailable", reply=shortened(why), stage=HTTP)
