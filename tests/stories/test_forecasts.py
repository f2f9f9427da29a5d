"""What a forecast says of a small shop, and that it says the same again."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from living_shop import BEGIN, Story
from playwright.sync_api import sync_playwright

from engine import audience, journeys, pipeline
from engine.cli.app import run
from engine.errors import UnknownJourney, Usage
from engine.journeys.admitting import publish_base
from engine.journeys.simulating import simulate, to_html
from engine.pipeline import Mailer
from engine.store.tables import contact, enrolment, order_line, orders, plan, plan_entry

WELCOME = """
start = { segment = "fans" }
existing = true
[[step]]
id = "hello"
send = "note"
[[step]]
id = "rest"
wait = "3 days"
[[step]]
id = "which"
branch = [{ if = "orders_count > 900", to = "never" }, { to = "end" }]
[[step]]
id = "never"
send = "note"
"""
AFTER = """
start = { order = true }
reentry = "1 days"
[[step]]
id = "thanks"
send = "note"
"""
WEEKLY = 'where = "orders_count >= 1"\ntemplate = "note"\nrepeat = "mon 09:00"\n'
CHROMIUM = "/usr/bin/chromium"
MAILED = 60  # people in each arm of a past campaign


def a_story(folder: Path, **more: Any) -> Story:
    told = {"welcome": WELCOME, "after": AFTER}
    people = ["Europe/Helsinki,FI,fan,yes,form,yes,1980-01-01"] * 30
    story = Story(folder=folder / "shop", people=people, segments={"fans": "'fan' in tags"}, journeys=told)
    return replace(story, **more)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose thirty people buy every week; copied for every test."""
    made = shop(tmp_path_factory.mktemp("forecasts"))
    made.store.close()
    return made.folder


@pytest.fixture
def mailer(prepared: Path, tmp_path: Path) -> Iterator[Mailer]:
    made = pipeline.open_mailer(Path(shutil.copytree(prepared, tmp_path / "shop")))
    yield made
    made.store.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[..., Mailer]]:
    """`other(journeys=...)`: the same people in a shop that differs so."""
    opened: list[Mailer] = []

    def made(**more: Any) -> Mailer:
        opened.append(shop(tmp_path / "other", **more))
        return opened[-1]

    yield made
    for one in opened:
        one.store.close()


def ask(mailer: Mailer, *, days: int = 20, seed: int = 1) -> Any:
    """The forecast of every file of a shop."""
    return simulate(mailer, BEGIN, days=days, seed=seed, all_files=True).data


def shop(folder: Path, **more: Any) -> Mailer:
    folder.mkdir(exist_ok=True)
    made = a_story(folder, **more).open()
    buy_weekly(made, 30)
    return made


def buy_weekly(mailer: Mailer, number: int) -> None:
    """Each of them bought every seventh day for half a year."""
    with mailer.store.write() as db:
        for who in range(1, number + 1):
            for week in range(26):
                an_order(db, who, BEGIN - timedelta(days=7 * week + who % 7, hours=1))
    audience.refresh(mailer.store, BEGIN, mailer.zone)


def an_order(db: sa.Connection, who: int, at: datetime, cents: int = 1000) -> None:
    head = orders.insert().values(order_id=f"{who}-{at.isoformat()}", contact_id=who, ordered_at=at)
    key = db.execute(head).inserted_primary_key[0]
    line = {"order_pk": key, "line_no": 1, "product_id": "t", "quantity": 1.0, "unit_price_cents": cents}
    db.execute(order_line.insert().values(line | {"revenue_cents": cents}))
    db.execute(contact.update().where(contact.c.id == who).values(changed=True))


# ---------------------------------------------------------------- chance


def test_the_same_question_gives_the_same_bytes(mailer: Mailer) -> None:
    assert json.dumps(ask(mailer)) == json.dumps(ask(mailer))


def test_another_seed_is_another_world(mailer: Mailer) -> None:
    assert ask(mailer, seed=1)["messages"] != ask(mailer, seed=2)["messages"]


def test_another_journey_moves_nobodys_orders(mailer: Mailer) -> None:
    before = ask(mailer)

    (mailer.journeys_dir / "more.toml").write_text(AFTER.replace("1 days", "2 days"))
    after = ask(mailer)

    assert before["orders"] == after["orders"]
    assert before["revenue"]["total"] == after["revenue"]["total"]
    assert after["messages"]["total"] > before["messages"]["total"]


# ---------------------------------------------------------------- how people behave


def test_who_bought_every_week_goes_on_so(mailer: Mailer) -> None:
    found = ask(mailer, days=70)

    assert found["orders"]["last_as_many_days"] == 30 * 10
    assert 270 <= found["orders"]["simulated"] <= 315


def test_who_fell_silent_long_ago_hardly_comes_back(tmp_path: Path) -> None:
    made = a_story(tmp_path).open()  # everybody bought once, half a year ago
    with closing(made.store):
        buy_weekly(made, 15)
        found = ask(made, days=70)

    assert found["orders"]["simulated"] < 15 * 10 + 40


def test_newcomers_come_as_they_came(mailer: Mailer) -> None:
    with mailer.store.write() as db:
        db.execute(contact.update().values(created_at=BEGIN - timedelta(days=400)))
        for who in range(1, 31):
            came = BEGIN - timedelta(days=3 * who - 1)
            db.execute(contact.update().where(contact.c.id == who).values(created_at=came))

    found = ask(mailer, days=90)

    assert 15 <= found["newcomers"] <= 50
    assert found["behaviour"]["newcomers_a_day"] == pytest.approx(30 / 90, abs=0.01)


# ---------------------------------------------------------------- what it finds


def test_a_way_that_nobody_takes_is_named(mailer: Mailer) -> None:
    welcome = next(one for one in ask(mailer)["journeys"] if one["name"] == "welcome")

    assert welcome["entered"] == 30
    fork, behind = welcome["dead"]
    assert (fork["step"], fork["way"], fork["to"]) == ("which", "1", "never")
    assert 0 < fork["passed"] < 30  # the others bought before they came to it
    assert behind == {"step": "never", "way": None, "to": None, "passed": 0}


def test_who_is_inside_longer_than_the_longest_way_is_stuck(mailer: Mailer) -> None:
    journeys.start(mailer, "after", BEGIN)
    publish_base(mailer, "after", BEGIN)
    long_ago, far = BEGIN - timedelta(days=100), BEGIN + timedelta(days=100)
    row = {"journey": "after", "version": 1, "contact_id": 7, "n": 1, "state": "waiting", "step": "thanks"}
    times = {"entered_at": long_ago, "step_at": long_ago, "rings_at": far, "due_at": far, "waiting": True}
    with mailer.store.write() as db:
        db.execute(enrolment.insert().values(row | times))
        # She does nothing that would wake her.
        mine = sa.select(orders.c.id).where(orders.c.contact_id == 7)
        db.execute(order_line.delete().where(order_line.c.order_pk.in_(mine)))
        db.execute(orders.delete().where(orders.c.contact_id == 7))
        db.execute(contact.update().where(contact.c.id == 7).values(changed=True))

    after = next(one for one in ask(mailer, days=5)["journeys"] if one["name"] == "after")

    assert after["inside_at_the_beginning"] == 1
    assert after["stuck"]["people"] == 1
    assert after["stuck"]["by_step"] == {"thanks": 1}
    assert after["stuck"]["longest_days"] == 105.0


def test_mails_that_meet_a_cap_are_counted_by_what_became_of_them(other: Callable[..., Mailer]) -> None:
    caps = ask(other(limits="[limits]\nmessages_per_30_days = 1", campaigns={"weekly": WEEKLY}))["caps"]

    assert caps["messages"] + caps["skipped_when_planned"] > 0
    parts = ("sent_later", "expired", "not_needed", "still_waiting")
    assert caps["messages"] == sum(caps[part] for part in parts)


def test_volume_stands_beside_what_the_transport_may_carry(mailer: Mailer) -> None:
    config = mailer.folder / "config.toml"
    config.write_text(config.read_text().replace('kind = "outbox"', 'kind = "outbox"\nrate = 0.002\ndaily = 25'))
    slow = pipeline.open_mailer(mailer.folder)

    load = ask(slow)["volume"]["main"]
    slow.store.close()

    assert load["peak_hour"]["limit"] == 7
    assert load["hours_over"] >= 1
    assert load["peak_day"]["limit"] == 25
    assert load["days_over"] >= 1
    assert sum(load["by_day"].values()) == load["messages"] == sum(map(sum, load["by_hour_of_week"]))


def test_weeks_of_people_add_up_to_all_mails(mailer: Mailer) -> None:
    found = ask(mailer, days=21)

    weeks = found["messages"]["per_person_week"]["person_weeks"]
    assert sum(weeks.values()) == 30 * 3
    assert sum(int(number) * times for number, times in weeks.items()) == found["messages"]["total"]


def test_a_campaign_that_comes_round_goes_out_each_time(other: Callable[..., Mailer]) -> None:
    (weekly,) = ask(other(campaigns={"weekly": WEEKLY}, journeys={}), days=20)["campaigns"]

    assert weekly["occurrences"] == 2
    assert 55 <= weekly["messages"] <= 60  # who opted out, or bought between plan and mail, gets none


# ---------------------------------------------------------------- money


def test_without_a_holdout_nothing_is_said_to_be_earned(mailer: Mailer) -> None:
    found = ask(mailer)

    assert found["behaviour"]["effect"] is None
    assert found["revenue"]["of_journeys"] == {"expected": 0.0, "low": 0.0, "high": 0.0}
    assert any("No finished holdout" in sentence for sentence in found["assumptions"])


def test_what_past_holdouts_showed_is_what_journeys_bring(tmp_path: Path) -> None:
    people = ["Europe/Helsinki,FI,fan,yes,form,yes,1980-01-01"] * (2 * MAILED)
    made = a_story(tmp_path, people=people).open()
    planned = BEGIN - timedelta(days=60)
    with made.store.write() as db:
        definition = {"name": "past", "holdout": 0.5, "window": 14 * 86_400.0, "message_class": "marketing"}
        values = {"campaign": "past", "occurrence": "once", "state": "released", "frozen": True, "at": planned}
        new = plan.insert().values(values | {"definition": definition, "summary": {}, "hash": ""})
        plan_id = db.execute(new).inserted_primary_key[0]
        for who in range(1, 2 * MAILED + 1):
            state = "message" if who <= MAILED else "holdout"
            entry = {"plan_id": plan_id, "n": who, "contact_id": who, "state": state, "send_at": planned}
            db.execute(plan_entry.insert().values(entry))
        for who in range(1, MAILED // 2 + 1):
            an_order(db, who, planned + timedelta(days=3))
        an_order(db, 2 * MAILED, BEGIN - timedelta(days=1))  # orders are known until then
    audience.refresh(made.store, BEGIN, made.zone)

    found = ask(made, days=20)
    made.store.close()

    assert found["behaviour"]["effect"]["orders_a_person"] == pytest.approx(0.5, abs=0.02)
    assert found["behaviour"]["effect"]["held_out"] == MAILED
    brought = found["revenue"]["of_journeys"]
    assert brought["expected"] > 0
    assert brought["low"] < brought["expected"] < brought["high"]
    assert found["revenue"]["total"]["expected"] == pytest.approx(
        found["revenue"]["without_journeys"]["expected"] + brought["expected"], abs=0.02
    )
    assert found["revenue"]["replicates"] == 20


# ---------------------------------------------------------------- asking


def test_only_what_runs_is_simulated_unless_all_files_are_asked_for(mailer: Mailer) -> None:
    journeys.start(mailer, "after", BEGIN)

    found = simulate(mailer, BEGIN, days=3).data

    assert [one["name"] for one in found["journeys"]] == ["after"]
    assert found["journeys"][0]["version"] == 1


def test_a_journey_may_be_asked_for_by_name_before_it_runs(mailer: Mailer) -> None:
    found = simulate(mailer, BEGIN, days=3, names=["welcome"]).data

    assert [one["name"] for one in found["journeys"]] == ["welcome"]


def test_a_journey_that_there_is_not_is_told_with_the_nearest(mailer: Mailer) -> None:
    with pytest.raises(UnknownJourney, match="'welcom'; did you mean 'welcome'"):
        simulate(mailer, BEGIN, days=3, names=["welcom"])


def test_where_nothing_runs_it_says_what_to_do(mailer: Mailer) -> None:
    with pytest.raises(Usage, match="--all-files"):
        simulate(mailer, BEGIN, days=3)


def test_the_command_shows_a_table_json_and_a_page(
    mailer: Mailer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "forecast.html"
    line = ["--workspace", str(mailer.folder), "journey", "simulate", "--all-files", "--days", "10"]

    assert run([*line, "--html", str(page), "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert run([*line, "welcome", "--format", "table"]) == 0
    table = capsys.readouterr().out

    assert told["simulated"] is True
    assert told["days"] == 10
    assert "<title>Forecast: the next 10 days</title>" in page.read_text()
    assert "Nobody was mailed" in table
    assert "welcome" in table
    assert run([*line[:-1], "0"]) == 2
    assert "--days is a number from 1 to 366" in capsys.readouterr().err


def test_nothing_is_written(mailer: Mailer) -> None:
    def counts() -> dict[str, int]:
        names = ("message", "plan", "enrolment", "watch", "orders", "event", "journey")
        with mailer.store.read() as db:
            return {name: db.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one() for name in names}

    before = counts()
    simulate(mailer, BEGIN, days=10, all_files=True)

    assert counts() == before


def test_the_page_says_simulated_first_and_tells_what_it_cannot_know(mailer: Mailer) -> None:
    page = to_html(simulate(mailer, BEGIN, days=10, all_files=True), "Corner Shop", lambda amount: f"{amount:.2f} €")

    assert page.index("Simulated.") < page.index("<h2>Money</h2>")
    assert "No finished holdout" in page
    assert "Nobody goes there" in page


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_of_the_page_runs_over_the_edge(mailer: Mailer, tmp_path: Path, width: int, scheme: str) -> None:
    path = tmp_path / "page.html"
    found = simulate(mailer, BEGIN, days=10, all_files=True)
    path.write_text(to_html(found, "Corner Shop", lambda amount: f"{amount:.2f} €"))

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.goto(path.as_uri())
        seen = page.evaluate("[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]")
        browser.close()

    ground = {"light": "rgb(245, 243, 239)", "dark": "rgb(20, 24, 28)"}[scheme]
    assert seen == [width, ground]
