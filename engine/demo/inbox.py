"""Who receives the mails? A real SMTP server on this machine that keeps every mail as a file, and nothing leaves it."""

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


class Inbox:
    """A folder of .eml files behind an SMTP server on loopback."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._controller = Controller(self, hostname="127.0.0.1", port=port)
        self._count = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        """Keep the mail."""
        self._count += 1
        content = envelope.content
        assert isinstance(content, bytes)
        (self._folder / f"{self._count:05d}.eml").write_bytes(content)
        return "250 kept"

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Listen no more."""
        self._controller.stop()

    def mails(self) -> list[EmailMessage]:
        """All mails kept, in the order they came."""
        files = sorted(self._folder.glob("*.eml"))
        return [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
