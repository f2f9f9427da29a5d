"""Which ways out are there, and what does each promise?"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from engine.config import TransportSettings
from engine.delivery.keys import uncertain
from engine.delivery.offers import Answer, BeforeDot, Offer
from engine.delivery.outbox import OutboxTransport
from engine.delivery.smtp import SmtpTransport
from engine.errors import TransportUnavailable
from engine.model import Mail, Outcome


class Transport(Protocol):
    """One way out, used by one process. Not safe for threads."""

    @property
    def name(self) -> str:
        """As config.toml calls it."""

    def check(self) -> None:
        """Go through everything that comes before a mail.

        Raises:
            TransportUnavailable: no server, TLS or login; or no folder. One sentence with the cure.
        """

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        """Hand mails over as they are taken from `offers`; one answer for each that was taken, soon after it is known.

        Taking an offer may mean building its mail: take the next two at most while the other side works on the last,
        and no more of them than are handed over in one go. `offers` never raises. After one of the last four reasons
        below, take no further offer, answer those that were taken, and end.

        Yields, for each offer taken:
            SENT: the other side took responsibility. REFUSED, DEFERRED: it certainly has not. UNCERTAIN: the last
            step was taken and the answer was lost. Or what `before_dot` gave. DEFERRED with one of these reasons was
            not handed over, for no fault of its own: `stopped` (`give_up_after` came first), `unavailable` (there is
            no connection), `configuration` (no mail will go through before a person has looked), and whatever
            `before_dot` says with the reason `taken_over`.

        Raises:
            Whatever `before_dot` raises, with nothing of that offer handed over.
        """

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for an answer under way. For signal handlers."""

    def close(self) -> None:
        """Say goodbye; the transport may be used again afterwards."""


def hand_over(transport: Transport, mail: Mail, before_dot: BeforeDot = lambda: None) -> Outcome:
    """One single mail, for rehearsals and tests; TransportUnavailable when there is no connection."""
    ((_, outcome),) = transport.deliver(iter([Offer(0, mail, before_dot)]))
    if outcome.reason == "unavailable":
        raise TransportUnavailable(outcome.reply)
    return outcome


def open_transport(name: str, settings: TransportSettings, workspace: Path) -> Transport:
    """The transport of [transport.NAME]. Opens nothing yet: the first `deliver` or `check` does."""
    if settings.kind == "outbox":
        return OutboxTransport(name, workspace / settings.folder)
    # Late: `requests` takes as long to load as all the rest of a command.
    if settings.kind == "resend":
        from engine.delivery.resend import ResendTransport

        return ResendTransport(name, settings)
    if settings.kind == "ses":
        from engine.delivery.ses import SesTransport

        return SesTransport(name, settings)
    return SmtpTransport(name, settings)


def handover_key(transport: Transport) -> str:
    """Asked within `before_dot`: the key under which the mail is about to go out, for the journal; empty: none."""
    return str(getattr(transport, "key", ""))  # only those have it that can be asked again


def ask_again(transport: Transport, key: str, offers: Sequence[Offer]) -> list[Answer]:
    """What became of the mails that went out under `key` and got no answer; see `ResendTransport.ask_again`.

    From a transport that knows no keys the answer stays UNCERTAIN.
    """
    ask: Callable[[str, Sequence[Offer]], list[Answer]] | None = getattr(transport, "ask_again", None)
    if ask is None:
        return [(one.ord, uncertain(key, f"transport {transport.name!r} can't be asked again")) for one in offers]
    return ask(key, offers)
