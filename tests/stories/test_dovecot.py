"""The bounce mailbox on a real IMAP server: Dovecot keeps our keyword, and nothing is lost or done twice."""

import getpass
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from returned_mail import Returned, dsn, holiday

from engine import feedback
from engine.config import Bounces

DOVECOT = Path("/usr/sbin/dovecot")
CONFIG = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {login}
first_valid_uid = 1
mail_location = maildir:{maildir}
passdb {{
  driver = static
  args = password=open-sesame
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={folder}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
"""


@contextmanager
def running(folder: Path, maildir: Path) -> Iterator[int]:
    """Dovecot in the foreground, on a free port of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    is_root = os.getuid() == 0
    me = getpass.getuser()
    users = (
        {"user": "dovecot", "group": "dovecot", "login": "dovenull"}
        if is_root
        else dict.fromkeys(("user", "group", "login"), me)
    )
    owners = {"mail_user": "nobody", "mail_group": "nogroup"} if is_root else {"mail_user": me, "mail_group": me}
    config = folder / "dovecot.conf"
    config.write_text(CONFIG.format(folder=folder, maildir=maildir, port=port, **users, **owners))
    server = subprocess.Popen([DOVECOT, "-F", "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        assert server.poll() is None, "dovecot ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("dovecot does not answer")


@pytest.mark.soak
@pytest.mark.skipif(not DOVECOT.exists(), reason="dovecot is not installed")
def test_a_real_server_keeps_what_is_dealt_with(tmp_path: Path) -> None:
    folder = Path(tmp_path)
    (folder / "config.toml").touch()
    box = Returned(folder)
    box.put(*(dsn(f"p{n}@shop.test") for n in range(300)), holiday(""))
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o777 if path.is_dir() else 0o666)
    for path in folder.parents[:3]:  # the server's own user must pass; all else stays, the sticky bit of /tmp too
        if path.owner() == getpass.getuser():
            path.chmod(stat.S_IMODE(path.stat().st_mode) | 0o011)

    with running(folder, box.folder) as port:
        settings = Bounces(kind="imap", host="127.0.0.1", port=port, tls="off", username="bounces")
        settings = settings.model_copy(update={"password": SecretStr("open-sesame")})
        opened = feedback.open_mailbox(settings, folder)
        first = opened.waiting()
        kinds = [feedback.read_notice(opened.read(one) or b"")[0].kind.value for one in first]
        for one in first[:200]:
            opened.done(one)
        assert first[200:] == opened.waiting()
        opened.close()

        again = feedback.open_mailbox(settings, folder)
        assert first[200:] == again.waiting()
        again.close()

    assert ["bounced"] * 300 + ["auto_reply"] == kinds
    assert 301 == sum(1 for name in ("new", "cur") for _ in (box.folder / name).iterdir())
