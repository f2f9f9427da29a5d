"""A rehearsal's clock runs from one moment, so many times as fast, and all processes share it."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tracked_shop import SENT_AT, make_shop, opened

from engine import pipeline
from engine.clock import clock_running, system_clock
from engine.config import load_settings
from engine.errors import BadConfig

_ASK = (
    "from pathlib import Path; from engine import pipeline; print(pipeline.open_mailer(Path({!r})).clock().isoformat())"
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    make_shop(folder, 1, send=False)
    return folder


def speed_up(shop: Path, speed: float) -> None:
    text = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(f"{text}\nspeed = {speed}\n")  # [clock] is its last section


def test_a_running_clock_is_so_many_times_as_fast() -> None:
    clock = clock_running(SENT_AT, system_clock() - timedelta(minutes=2), 60)

    assert timedelta(hours=2) <= clock() - SENT_AT < timedelta(hours=2, minutes=5)
    assert UTC is clock().tzinfo


def test_all_processes_share_it_and_a_restart_goes_on(shop: Path) -> None:
    speed_up(shop, 3600)
    with opened(shop) as mailer:
        assert mailer.clock() - SENT_AT < timedelta(hours=5)
        time.sleep(0.3)
        here = mailer.clock()
    told = subprocess.run([sys.executable, "-c", _ASK.format(str(shop))], capture_output=True, text=True, check=True)
    there = datetime.fromisoformat(told.stdout.strip())
    with opened(shop) as mailer:
        assert here < there < mailer.clock()


def test_without_speed_it_stands(shop: Path) -> None:
    with opened(shop) as mailer:
        first = mailer.clock()
        time.sleep(0.01)
        assert first == mailer.clock() == SENT_AT


def test_another_rehearsal_begins_anew(shop: Path) -> None:
    speed_up(shop, 3600)
    with opened(shop) as mailer:
        mailer.clock()
    text = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(text.replace("2026-03-01", "2026-04-01"))
    with opened(shop) as mailer:
        assert timedelta() <= mailer.clock() - datetime(2026, 4, 1, 12, tzinfo=UTC) < timedelta(hours=5)


def test_speed_without_a_moment_is_refused(tmp_path: Path) -> None:
    pipeline.init(tmp_path / "shop")
    text = (tmp_path / "shop" / "config.toml").read_text().replace("# speed = 60", "speed = 60")
    (tmp_path / "shop" / "config.toml").write_text(text)

    with pytest.raises(BadConfig, match="speed needs fixed_at"):
        load_settings(tmp_path / "shop")


def test_what_is_late_is_measured_by_the_rehearsals_clock(shop: Path) -> None:
    from engine.pipeline.worrying import late_after

    speed_up(shop, 60)
    with opened(shop) as mailer:
        assert timedelta(hours=5) == late_after(mailer)
