"""What systemd hears, by a real socket."""

import socket
from pathlib import Path

import pytest

from engine.scheduler.notifying import notify


@pytest.mark.parametrize("is_abstract", [False, True])
def test_systemd_is_told_in_a_datagram(is_abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@mailer-test-{tmp_path.name}" if is_abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0" + name[1:] if is_abstract else name)
        heard.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)

        notify("READY=1")

        assert b"READY=1" == heard.recv(100)


def test_nobody_is_told_where_nobody_asks_or_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
