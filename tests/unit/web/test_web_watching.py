"""Whether it lives, whether it is well, and its figures: what is told, to whom, and that no person is in it."""

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from tracked_shop import CAMPAIGN, SENT_AT, Site, free_port, make_shop, opened, quiet, served

from engine import ledger, pipeline
from engine.cli.app import run as mailer_command
from engine.model import CampaignState
from engine.pipeline import Mailer

TOKEN = "kept-by-the-monitoring-system"
SENDER = "on-another-machine"


@pytest.fixture
def site(shop: Path) -> Iterator[Site]:
    """The server of a shop that has sent its campaign; nothing waits, and a sender lives."""
    with (shop / "config.toml").open("a") as config:
        config.write("[alerts]\nlate_minutes = 7\n")
    with served(shop) as site:
        ledger.beat(site.mailer.store, SENDER, "worker")
        yield site


@pytest.fixture
def guarded(shop: Path) -> Iterator[Site]:
    """The same, with a token for whoever watches from another machine."""
    (shop / "watch.token").write_text(TOKEN + "\n")
    text = (shop / "config.toml").read_text()
    (shop / "config.toml").write_text(text.replace("[web]\n", '[web]\nwatch_token_file = "watch.token"\n'))
    with served(shop) as site:
        yield site


def ready(site: Site) -> tuple[int, list[str]]:
    answer = requests.get(f"{site.base}/ready", timeout=20)
    return answer.status_code, [one["cause"] for one in answer.json()["reasons"]]


def figures(site: Site) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = requests.get(f"{site.base}/metrics", timeout=20).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# ---------------------------------------------------------------- alive


def test_health_is_this_process_alone_and_open_to_everybody(site: Site) -> None:
    answer = requests.get(f"{site.base}/health", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=20)

    assert (200, {"status": "ok"}) == (answer.status_code, answer.json())


# ---------------------------------------------------------------- well


def test_it_is_ready_while_nothing_is_to_be_looked_at(site: Site) -> None:
    assert (200, []) == ready(site)


def test_the_same_worries_make_it_unready_and_status_exit_with_5(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.set_state(site.mailer.store, CAMPAIGN, CampaignState.RUNNING, "", SENT_AT)
    ledger.set_state(site.mailer.store, CAMPAIGN, CampaignState.PAUSED, "550 <anna@people.test> is unknown", SENT_AT)

    answer = requests.get(f"{site.base}/ready", timeout=20)
    code = mailer_command(["status", "--workspace", str(site.mailer.folder), "--format", "json"])

    assert (503, 5) == (answer.status_code, code)
    told = [one["text"] for one in answer.json()["reasons"]]
    assert ["tour is paused: 550 <<address>> is unknown"] == told
    assert told == json.loads(capsys.readouterr().out)["worries"]


def test_something_that_is_due_makes_it_unready_after_the_owners_minutes(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "unsent"
    folder.mkdir()
    make_shop(folder, free_port(), send=False)
    with (folder / "config.toml").open("a") as config:
        config.write("[alerts]\nlate_minutes = 7\n")
    with opened(folder) as mailer:
        made = pipeline.make_plan(mailer, CAMPAIGN, SENT_AT, "once", quiet)
        ledger.release(mailer.store, made.plan_id, SENT_AT, mailer.keys)
        ledger.beat(mailer.store, SENDER, "worker")

        assert [] == causes(mailer, 7)
        assert [f"late:{CAMPAIGN}/once"] == causes(mailer, 7.1)


def causes(mailer: Mailer, minutes: float) -> list[str]:
    return [one.cause for one in pipeline.worries(mailer, SENT_AT + timedelta(minutes=minutes))]


def test_it_is_unready_without_a_sender_and_without_a_clock_that_ticks(site: Site) -> None:
    ledger.leave(site.mailer.store, SENDER)
    pipeline.ticked(site.mailer, 0.1)
    with site.mailer.store.write() as db:
        db.execute(sa.text("UPDATE fact SET value = replace(value, '\"at\": ', '\"at\": -') WHERE name = 'last_tick'"))

    assert (503, ["no sender", "tick"]) == ready(site)


def test_it_is_unready_while_run_says_that_a_child_keeps_dying(site: Site) -> None:
    ledger.beat(
        site.mailer.store, "elsewhere", "run", "web dies again and again: see the log\nthe clock's step x fails"
    )

    assert (503, ["run:the clock's step x fails", "run:web dies again and again: see the log"]) == ready(site)


def test_it_is_unready_when_the_database_has_another_version(site: Site) -> None:
    with site.mailer.store.write() as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))

    assert (503, ["database"]) == ready(site)


def test_it_is_unready_when_nothing_can_be_written(site: Site) -> None:
    with site.mailer.store.write() as db:
        db.execute(
            sa.text("CREATE TRIGGER full BEFORE UPDATE ON process BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
        )

    assert 503 == requests.get(f"{site.base}/ready", timeout=20).status_code


@pytest.mark.parametrize(
    ("total", "free", "is_full"),
    [
        (100 << 30, 1 << 30, False),
        (100 << 30, (1 << 30) - 1, True),
        (1 << 30, 52 << 20, False),
        (1 << 30, 51 << 20, True),
    ],
)
def test_a_disk_is_nearly_full_below_a_gibibyte_or_a_twentieth(total: int, free: int, is_full: bool) -> None:
    from engine.pipeline.worrying import is_nearly_full

    assert is_full is is_nearly_full(total, free)


def test_a_disk_that_is_nearly_full_is_a_worry(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(100 << 30, (100 << 30) - 5, 5))

    assert ["disk:state", "disk:the workspace"] == causes(site.mailer, 0)


def test_ready_is_worked_out_at_most_every_few_seconds(site: Site) -> None:
    assert (200, []) == ready(site)
    ledger.leave(site.mailer.store, SENDER)

    assert (200, []) == ready(site)


# ---------------------------------------------------------------- figures


def test_metrics_are_what_prometheus_reads(site: Site) -> None:
    pipeline.ticked(site.mailer, 0.25)
    found = figures(site)

    labels = (("class", "marketing"), ("state", "sent"), ("transport", "main"))
    assert 4 == found["mailer_messages", labels]
    assert 0 == found["mailer_batches", (("state", "ready"),)]
    assert 1 == found["mailer_processes", (("kind", "worker"),)]
    assert 0.25 == found["mailer_tick_seconds", ()]
    assert 0 == found["mailer_transport_left_alone", (("transport", "main"),)]
    assert 0 == found["mailer_suppressions", (("reason", "complained"),)]
    assert {"mailer_due_messages", "mailer_oldest_due_seconds", "mailer_spool_bytes", "mailer_worries"} <= {
        name for name, _ in found
    }


def test_a_label_is_escaped_as_the_format_wants_it() -> None:
    from engine.web.watching import exposed

    odd = 'a "quoted" \\ name\nof two lines'
    text = exposed([pipeline.Metric(name="odd", help="An odd one.", values={(("name", odd),): 1.5})])

    ((sample,),) = [family.samples for family in text_string_to_metric_families(text)]
    assert ({"name": odd}, 1.5) == (sample.labels, sample.value)


# ---------------------------------------------------------------- to whom


@pytest.mark.parametrize("path", ["ready", "metrics"])
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_proxy_on_this_machine_opens_nothing(calm_site: Site, path: str, header: str) -> None:
    answer = requests.get(f"{calm_site.base}/{path}", headers={header: "127.0.0.1"}, timeout=20)

    assert (404, {"error": "not found"}) == (answer.status_code, answer.json())


@pytest.mark.parametrize("path", ["ready", "metrics"])
def test_the_watch_token_opens_them_to_other_machines(guarded: Site, path: str) -> None:
    far = {"X-Forwarded-For": "203.0.113.9"}

    def code(authorization: str | None) -> int:
        headers = far | ({"Authorization": authorization} if authorization else {})
        return requests.get(f"{guarded.base}/{path}", headers=headers, timeout=20).status_code

    assert 401 == code(None)
    assert 401 == code("Bearer another")
    assert 401 == code(f"Basic {TOKEN}")
    assert code(f"Bearer {TOKEN}") in (200, 503)
