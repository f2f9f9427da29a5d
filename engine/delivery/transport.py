"""Which ways out are there, and what does each promise?"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.config import TransportSettings
from engine.delivery.outbox import OutboxTransport
from engine.delivery.smtp import SmtpTransport
from engine.model import Mail, Outcome

BeforeDot = Callable[[], Outcome | None]


class Transport(Protocol):
    """One way out, used by one process, one mail at a time. Not safe for threads."""

    @property
    def name(self) -> str:
        """As config.toml calls it."""

    def check(self) -> None:
        """Go through everything that comes before a mail.

        Raises:
            TransportUnavailable: no server, TLS or login; or no folder. One sentence with the cure.
        """

    def send(self, mail: Mail, before_dot: BeforeDot) -> Outcome:
        """Hand one mail over, or say for sure that it was not handed over, or that nobody can know.

        Args:
            mail: its bytes go out as they are.
            before_dot: called when all but the last step is done, at most once for each try to hand over. It may
                return an outcome (a skip): then nothing is handed over and that outcome comes back.

        Returns:
            SENT: the other side took responsibility. REFUSED, DEFERRED: it certainly has not. UNCERTAIN: the last
            step was taken and the answer was lost. The reason `configuration` means: stop, no mail will go through;
            `stopped` means: `give_up_after` came first, nothing was handed over.

        Raises:
            TransportUnavailable: nothing was handed over, and nothing will be before somebody has looked.
        """

    def give_up_after(self, seconds: float) -> None:
        """Hand over nothing more, and wait this long at most for an answer under way. For signal handlers."""

    def close(self) -> None:
        """Say goodbye; the transport may be used again afterwards."""


def open_transport(name: str, settings: TransportSettings, workspace: Path) -> Transport:
    """The transport of [transport.NAME]. Opens nothing yet: the first `send` or `check` does."""
    if settings.kind == "outbox":
        return OutboxTransport(name, workspace / settings.folder)
    return SmtpTransport(name, settings)
