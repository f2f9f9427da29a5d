"""A real mail system on loopback: Postfix that accepts, refuses, greylists, throttles and bounces late, with Dovecot.

Own instances below a folder of their own, on ports of their own; nothing of the machine's own mail is touched. They
drop their rights to other accounts, so root must start them: in a container, or not at all.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path

PARTS = ("postfix", "dovecot", "postgrey")
GREY_SECONDS = 3  # how long Postgrey wants to be waited for
RATE_UNIT, RATE_LIMIT = 4, 15  # the impatient port takes so many messages in so many seconds
PASSWORD = "open-sesame"
_SBIN = "/usr/sbin:/usr/local/sbin:/sbin"

_MAIN = """
compatibility_level = 3.6
config_directory = {etc}
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = mta.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
recipient_delimiter = +
virtual_mailbox_domains = ok.test, grey.test, bounce.shop.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = regexp:{etc}/mailboxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 100
relay_domains = late.test
transport_maps = inline:{{ {{ late.test = smtp:[127.0.0.1]:{late} }} }}
smtp_tls_security_level = none
smtpd_restriction_classes = grey
grey = check_policy_service inet:127.0.0.1:{grey}
smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access regexp:{etc}/recipients
smtpd_client_event_limit_exceptions =
anvil_rate_time_unit = {unit}s
notify_classes =
"""
# No chroot; the first line is the port that takes everything, the second the impatient one.
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{impatient} inet n - n - - smtpd
  -o smtpd_client_message_rate_limit={limit}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
_MAILBOXES = "/@bounce\\.shop\\.example$/ bounces/\n/@ok\\.test$/ ok/\n/@grey\\.test$/ grey/\n"
_RECIPIENTS = "/^gone/ 550 5.1.1 no such mailbox\n{full}/@grey\\.test$/ grey\n"
_FULL = "/^full[0-9]*@ok\\.test$/ 452 4.2.2 mailbox full\n"
_DOVECOT = """
protocols = imap
listen = 127.0.0.1
base_dir = {folder}/dovecot
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail/bounces
first_valid_uid = 100
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=65534 gid=65534 home={folder}/mail
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


def missing() -> str:
    """Why these servers can't run here; empty when they can."""
    lacking = [one for one in PARTS if not _program(one)]
    if lacking:
        return f"not installed: {', '.join(lacking)}; apt-get install --no-install-recommends " + (
            "postfix postfix-pcre dovecot-imapd postgrey"
        )
    return "" if os.geteuid() == 0 else "Postfix and Dovecot are started by root"


@dataclass
class MailSystem:
    """Postfix, Postgrey and Dovecot; `late` is the port of the server behind it, which bounces what Postfix took."""

    late: int
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="mailer-mta-")))
    _postgrey: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.port, self.impatient, self.imap, self._grey = (_free_port() for _ in range(4))
        self._etc = self.folder / "etc"

    def start(self) -> None:
        """All three; back when each answers."""
        self.folder.chmod(0o755)
        for name, owner in (("etc", "root"), ("queue", "root"), ("data", "postfix"), ("mail", "nobody")):
            (self.folder / name).mkdir(mode=0o755)
            shutil.chown(self.folder / name, owner)
        (self.folder / "grey").mkdir()
        shutil.chown(self.folder / "grey", "postgrey", "postgrey")
        self._write_files()
        self._postgrey = subprocess.Popen(
            [
                _program("postgrey"),
                f"--inet=127.0.0.1:{self._grey}",
                f"--delay={GREY_SECONDS}",
                f"--dbdir={self.folder / 'grey'}",
                "--user=postgrey",
                "--group=postgrey",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._postfix("start")
        _run(_program("dovecot"), "-c", str(self.folder / "dovecot.conf"))
        for port in (self.port, self.impatient, self.imap, self._grey):
            until(lambda port=port: _answers(port), f"nothing answers on port {port}: {self.said()}")

    def stop(self) -> None:
        """All three, as far as they had started, and what they left."""
        if self._postgrey is not None:
            self._postgrey.terminate()
            self._postgrey.wait(10)
        with suppress(AssertionError):
            self._postfix("stop")
        with suppress(AssertionError):
            _run(_program("doveadm"), "-c", str(self.folder / "dovecot.conf"), "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def tidy_up(self) -> None:
        """The full mailboxes have room again."""
        (self._etc / "recipients").write_text(_RECIPIENTS.format(full=""))
        self._postfix("reload")

    def mails(self, box: str) -> list[Message]:
        """What lies in a mailbox: ok, grey, bounces."""
        new = [*self.folder.glob(f"mail/{box}/new/*"), *self.folder.glob(f"mail/{box}/cur/*")]
        return [message_from_bytes(one.read_bytes()) for one in new]

    def said(self) -> str:
        """Postfix's log."""
        log = self.folder / "mail.log"
        return log.read_text() if log.exists() else ""

    def _write_files(self) -> None:
        values = {
            "etc": self._etc,
            "folder": self.folder,
            "port": self.port,
            "impatient": self.impatient,
            "imap": self.imap,
            "grey": self._grey,
            "late": self.late,
            "unit": RATE_UNIT,
            "limit": RATE_LIMIT,
            "password": PASSWORD,
        }
        for name, text in (("main.cf", _MAIN), ("master.cf", _MASTER)):
            (self._etc / name).write_text(text.format(**values))
        (self._etc / "mailboxes").write_text(_MAILBOXES)
        (self._etc / "recipients").write_text(_RECIPIENTS.format(full=_FULL))
        (self.folder / "dovecot.conf").write_text(_DOVECOT.format(**values))

    def _postfix(self, order: str) -> None:
        _run(_program("postfix"), "-c", str(self._etc), order)


@contextmanager
def mail_system(late: int) -> Iterator[MailSystem]:
    """It runs while the block does."""
    system = MailSystem(late)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def until(condition: Callable[[], bool], fault: str, seconds: float = 30) -> None:
    """Wait for what these servers do in their own time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, fault
        time.sleep(0.05)


def _program(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_SBIN}") or ""


def _run(*command: str) -> None:
    # Not into a pipe: what stays behind in the background would hold it open for ever.
    with tempfile.TemporaryFile() as words:
        code = subprocess.run(command, stdout=words, stderr=words, timeout=60, check=False).returncode
        words.seek(0)
        assert code == 0, words.read().decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
