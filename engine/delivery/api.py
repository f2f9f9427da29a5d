"""How does one request reach a provider's API, with certainty about whether it did?

Over `requests`, with its hidden retries off: a repeat of a request whose answer was lost is a second mail. What fails
before a connection stands is certain; from then until the whole answer is read, nobody can tell (`AnswerLost`). The
request runs in a thread of its own, so that a signal can end the wait for its answer.
"""

import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ssl import SSLCertVerificationError
from typing import Any

import requests
import urllib3.exceptions as http
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from engine.delivery.envelope import is_path
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import Mail, MessageState, Outcome
from engine.replies import shortened

HTTP = "http"  # the stage of every answer here
IDLE_SECONDS = 20.0  # then a new connection: a kept one may be gone without our having heard
_CONNECT = 30.0
_LONGEST = 600.0  # for a whole answer, however slowly it drips
_SLICE = 0.1  # a signal handler runs between two slices of a wait
_AGENT = "mailer/0.1"  # Resend answers nobody who doesn't say who they are
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[^\x00-\xff]")


class AnswerLost(Exception):
    """The request may have arrived, and its answer did not: the caller decides what that makes of the mail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]  # by name in any case
    body: Any  # the parsed JSON; None when it is none

    @property
    def is_yes(self) -> bool:
        """Whether the request was taken, and said so in JSON."""
        return 200 <= self.status < 300 and isinstance(self.body, dict)

    def wait(self) -> float:
        """How many seconds the provider wants us to wait; 1 when it names none."""
        said = self.headers.get("retry-after") or self.headers.get("ratelimit-reset") or ""
        return float(said) if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", said.strip()) else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One line of a provider's table of errors; what is left empty fits everything."""

    state: MessageState
    reason: str
    status: str = ""  # of the HTTP status, as a pattern
    words: str = ""  # anywhere in the error's name and text, as a pattern, any case

    def fits(self, status: int, said: str) -> bool:
        """Whether this line speaks about the answer."""
        return (not self.status or re.fullmatch(self.status, str(status)) is not None) and (
            not self.words or re.search(self.words, said, re.IGNORECASE) is not None
        )


def meaning(table: tuple[Meaning, ...], status: int, said: str) -> Outcome:
    """What an error means for the mail: the first line of the table that fits; the last must fit everything."""
    row = next(one for one in table if one.fits(status, said))
    return Outcome(state=row.state, reason=row.reason, reply=shortened(f"{status} {said}"), stage=HTTP)


def unsendable(mail: Mail) -> Outcome | None:
    """Why this mail must not be offered to an API at all, if so."""
    if not is_path(mail.recipient):
        return Outcome(state=MessageState.REFUSED, reason="bad_address", stage=HTTP)
    # SES takes no local part beyond ASCII (API model, Destination), and Resend hands over to SES.
    if not mail.recipient.isascii():
        return Outcome(state=MessageState.REFUSED, reason="needs_smtputf8", stage=HTTP)
    ends = mail.data.count(b"\r\n")
    if mail.data.count(b"\n") != ends or mail.data.count(b"\r") != ends:
        return Outcome(state=MessageState.REFUSED, reason="malformed", reply="bare CR or LF", stage=HTTP)
    return None


def stopped() -> Outcome:
    """Somebody wants an end: this mail was not handed over."""
    return Outcome(state=MessageState.DEFERRED, reason="stopped", stage=HTTP)


def not_handed_over(fault: TransportUnavailable) -> Outcome:
    """The answer for a mail that certainly stayed here."""
    reason = "configuration" if isinstance(fault, TransportRefused) else "unavailable"
    return Outcome(state=MessageState.DEFERRED, reason=reason, reply=str(fault), stage=HTTP)


class Api:
    """One provider's API, used by one process; one kept connection."""

    def __init__(self, place: str, base: str, auth: AuthBase, timeout: float) -> None:
        self.place = place  # for faults: which transport, which address
        self._base = base.rstrip("/")
        self._auth = auth
        self._timeout = timeout
        self._until: float | None = None
        self._session: requests.Session | None = None
        self._used_at = float("-inf")

    @property
    def is_cut(self) -> bool:
        """Whether somebody wants an end."""
        return self._until is not None

    @property
    def is_warm(self) -> bool:
        """Whether the API answered so lately that its connection may be taken for alive."""
        return self._session is not None and time.monotonic() - self._used_at < IDLE_SECONDS

    def kept_back(self, in_doubt: bool, check: Callable[[], None]) -> Outcome | None:
        """Why nothing can be handed over now, if so; nobody has been asked yet.

        A connection that is cold, or an answer that was lost, is a reason to `check` first whether anybody is there.
        """
        if self.is_cut:
            return stopped()
        if self.is_warm and not in_doubt:
            return None
        try:
            check()
        except TransportUnavailable as fault:
            return stopped() if self.is_cut else not_handed_over(fault)
        return None

    def cut(self, seconds: float) -> None:
        """Wait this long at most from now on."""
        until = time.monotonic() + seconds
        self._until = until if self._until is None else min(self._until, until)

    def rest(self, seconds: float) -> None:
        """Do nothing for so long, unless cut."""
        deadline = time.monotonic() + seconds
        while (left := min(deadline - time.monotonic(), _SLICE)) > 0 and not self.is_cut:
            time.sleep(left)

    def close(self) -> None:
        """Hang up; the next call connects again."""
        self._until = None
        self._drop()

    def call(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """One request, never repeated.

        Raises:
            TransportUnavailable: certainly nothing arrived. AnswerLost: nobody can tell.
        """
        if not self.is_warm:
            self._drop()
        if self._session is None:
            self._session = _session()
        # A JSON type even without a body: so does the provider's own client.
        request = requests.Request(
            method,
            self._base + path,
            data=body or None,
            headers={"Content-Type": "application/json", **(headers or {})},
            auth=self._auth,
        )
        try:
            answer = self._waited_for(self._session, request)
        except (requests.RequestException, http.HTTPError, OSError, ValueError) as fault:
            self._drop()
            raise self._told(fault) from fault
        self._used_at = time.monotonic()
        return Reply(status=answer.status_code, headers=answer.headers, body=_json(answer))

    def _waited_for(self, session: requests.Session, request: requests.Request) -> requests.Response:
        prepared = self._written(session, request)
        settings = session.merge_environment_settings(prepared.url or "", {}, False, None, None)
        timeout = (min(_CONNECT, self._timeout), self._timeout)
        call = _Call(lambda: session.send(prepared, timeout=timeout, allow_redirects=False, **settings))
        deadline = time.monotonic() + _LONGEST
        while not call.done.wait(_SLICE):
            if time.monotonic() > min(deadline, self._until or deadline):
                raise TimeoutError("no answer in time")
        return call.result()

    def _written(self, session: requests.Session, request: requests.Request) -> requests.PreparedRequest:
        with suppress(requests.RequestException, http.HTTPError, ValueError):
            prepared = session.prepare_request(request)
            if not any(_CONTROL.search(str(value)) for value in prepared.headers.values()):
                return prepared
        # The fault's own words would show the key.
        raise TransportRefused(
            f"{self.place}: key or address hold signs that can't stand in a request; check password and endpoint"
        )

    def _told(self, fault: Exception) -> TransportUnavailable | AnswerLost:
        why = shortened(_innermost(fault))
        if any(isinstance(one, SSLCertVerificationError) for one in _chain(fault)):
            return TransportRefused(f"{self.place}: its certificate is not to be trusted: {why}; check endpoint")
        if _never_connected(fault):
            cure = "check endpoint, or whether this machine reaches the internet"
            return TransportUnavailable(f"{self.place} can't be used: {why}; {cure}")
        return AnswerLost(why)

    def _drop(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()


@dataclass(slots=True)
class _Call:
    """Something done in a thread of its own, which nobody waits for at the end of the process."""

    act: Callable[[], requests.Response]
    done: threading.Event = field(default_factory=threading.Event)
    answer: requests.Response | None = None
    fault: BaseException | None = None

    def __post_init__(self) -> None:
        threading.Thread(target=self._run, name="api-call", daemon=True).start()

    def _run(self) -> None:
        try:
            self.answer = self.act()
        except BaseException as fault:
            self.fault = fault
        finally:
            self.done.set()

    def result(self) -> requests.Response:
        if self.fault is not None:
            raise self.fault
        assert self.answer is not None
        return self.answer


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = _AGENT
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=0, pool_connections=1, pool_maxsize=1))
    return session


def _json(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):  # the latter: brackets without end
        return None


def _never_connected(fault: Exception) -> bool:
    """Whether not even the connection stood: the only failure after which nothing can have arrived."""
    return any(isinstance(one, http.NewConnectionError | http.ConnectTimeoutError) for one in _chain(fault))


def _chain(fault: BaseException) -> list[BaseException]:
    """A fault with all that it was made from; urllib3 keeps causes in arguments and in `reason`."""
    found: list[BaseException] = []
    waiting: list[object] = [fault]
    while waiting and len(found) < 20:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            waiting += [getattr(one, "reason", None), one.__cause__, one.__context__, *one.args]
    return found


def _innermost(fault: Exception) -> str:
    """The plainest words for what went wrong: the system's own where there are any."""
    chain = _chain(fault)
    said = [one.strerror for one in chain if isinstance(one, OSError) and one.strerror]
    return said[-1] if said else str(chain[-1]) or type(chain[-1]).__name__
