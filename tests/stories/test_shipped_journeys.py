"""Each shipped journey on a small shop, in virtual time: who gets which mail on which day, and when it ends.

The workspace is what `mailer init` writes; people, orders and events come in by files, and mails go to an outbox.
"""

import email
import email.policy
import shutil
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from engine import journeys, ledger, pipeline
from engine.clock import clock_set_to
from engine.ledger.freezing import unpacked
from engine.model import Hit, HitKind, Verdict
from engine.pipeline import Mailer
from engine.store.tables import contact, enrolment, message, plan_entry

START = datetime(2026, 3, 2, 8, tzinfo=UTC)  # a Monday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

CONFIG = """
[shop]
name = "Corner Shop"
postal_address = "1 Market Street, 00100 Helsinki, Finland"
url = "https://shop.example"
languages = ["en", "fa"]
[sender]
from = "Corner Shop <hello@shop.example>"
allow_test_domains = true
[transport.main]
kind = "outbox"
[tracking]
base_url = "https://mail.shop.example"
"""
PRODUCTS = "product_id,title,category,price,stock,url\n" + "".join(
    f"t{n},Tea {n},c{n % 3},{n + 2}.50,10,https://shop.example/t{n}\n" for n in range(8)
)
CONTACTS = "email,given_name,birth_date,language,mailing_consent,mailing_consent_at,consent_source,tracking_consent\n"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mailer init` writes, with a catalogue; made once."""
    folder = tmp_path_factory.mktemp("fresh") / "shop"
    pipeline.init(folder, CONFIG)
    town = Town(folder)
    town.brings("products", PRODUCTS)
    town.mailer.store.close()
    return folder


@dataclass
class Town:
    """A shop whose clock the story turns, and what its people found in their mailboxes."""

    folder: Path
    now: datetime = START
    _events: int = 0
    mailer: Mailer = field(init=False)

    def __post_init__(self) -> None:
        self.mailer = pipeline.open_mailer(self.folder)

    def brings(self, kind: str, text: str) -> None:
        file = self.folder / "in.csv"
        file.write_text(text)
        found = pipeline.import_file(self._at_now(), kind, file, {}, "", "point", lambda _d, _t: None)
        assert () == tuple(found.refused)
        file.unlink()

    def signs_up(self, name: str, birth_date: str = "", language: str = "en") -> None:
        day = f"{self.now:%Y-%m-%d}"
        self.brings("contacts", f"{CONTACTS}{name}@town.test,{name},{birth_date},{language},yes,{day},form,yes\n")

    def orders(self, name: str, *ago: timedelta) -> None:
        """One order, now; or several so long ago."""
        rows = "order_id,email,ordered_at,product_id,quantity,unit_price\n"
        for span in ago or (timedelta(),):
            at = self.now - span
            rows += f"{name}{at:%Y%m%d%H%M},{name}@town.test,{at:%Y-%m-%dT%H:%M:%SZ},t{at.day % 8},1,4.50\n"
        self.brings("orders", rows)

    def does(self, name: str, kind: str, products: str = "", page: str = "") -> None:
        self._events += 1
        row = f"e{self._events},{name}@town.test,{kind},{self.now:%Y-%m-%dT%H:%M:%SZ},{products},{page}\n"
        self.brings("events", f"event_id,email,kind,at,product_ids,basket_url\n{row}")

    def clicks(self, name: str, step: str) -> None:
        """She, no machine, clicks in the mail of this step."""
        wanted = (
            sa.select(message.c.delivery_id)
            .join(contact, contact.c.id == message.c.contact_id)
            .where(contact.c.email == f"{name}@town.test", message.c.campaign == step)
        )
        with self.mailer.store.read() as db:
            [delivery_id] = db.scalars(wanted)
        hit = Hit(kind=HitKind.CLICK, delivery_id=delivery_id, site=0, occurrence=0, at=self.now)
        ledger.add_hits(self.mailer.store, [(f"h{delivery_id}", hit, Verdict.HUMAN, "")])

    def lets(self, span: timedelta, step: timedelta = 3 * HOUR) -> None:
        """Time goes by in steps; `mailer run` would look every five seconds."""
        until = self.now + span
        while self.now < until:
            self.now += min(step, until - self.now)
            self.ticks()

    def ticks(self) -> None:
        mailer = self._at_now()
        for step in journeys.STEPS:
            step(mailer, self.now)
        pipeline.send_due(mailer, pipeline.Stop())

    def starts(self, *names: str) -> None:
        for name in names:
            journeys.start(self._at_now(), name, self.now)
        self.ticks()

    def mails(self) -> Mapping[str, list[str]]:
        """What everybody got, in order: the step, and on which day of the story."""
        wanted = (
            sa.select(contact.c.email, message.c.campaign, message.c.sent_at)
            .join(contact, contact.c.id == message.c.contact_id)
            .where(message.c.state == "sent")
            .order_by(message.c.sent_at, message.c.id)
        )
        found: dict[str, list[str]] = defaultdict(list)
        with self.mailer.store.read() as db:
            for email, campaign, sent_at in db.execute(wanted):
                found[email.partition("@")[0]].append(f"{campaign} {(sent_at - START) // DAY}")
        return dict(found)

    def ends(self) -> set[tuple[str, str, str]]:
        """Where everybody stands: name, journey and state."""
        wanted = sa.select(contact.c.email, enrolment.c.journey, enrolment.c.state).join(
            contact, contact.c.id == enrolment.c.contact_id
        )
        with self.mailer.store.read() as db:
            return {(row.email.partition("@")[0], row.journey, row.state) for row in db.execute(wanted)}

    def holds_nobody_out(self, name: str) -> None:
        file = self.folder / "journeys" / f"{name}.toml"
        kept = [line for line in file.read_text().splitlines() if not line.startswith("holdout")]
        file.write_text("\n".join(kept))

    def takes_in_who_is_there(self, name: str) -> None:
        file = self.folder / "journeys" / f"{name}.toml"
        file.write_text("existing = true\n" + file.read_text())

    def _at_now(self) -> Mailer:
        self.mailer = replace(self.mailer, clock=clock_set_to(self.now))
        return self.mailer


@pytest.fixture
def town(fresh: Path, tmp_path: Path) -> Town:
    shutil.copytree(fresh, tmp_path / "shop")
    opened = Town(tmp_path / "shop")
    for file in (tmp_path / "shop" / "journeys").glob("*.toml"):
        opened.holds_nobody_out(file.stem)
    return opened


def test_a_newcomer_is_welcomed_until_she_buys(town: Town) -> None:
    town.signs_up("before")
    town.starts("welcome")
    town.signs_up("ann")
    town.signs_up("bea")

    town.lets(2 * DAY)
    town.orders("bea")
    town.lets(8 * DAY)

    assert {
        "ann": ["welcome/hello 0", "welcome/favourites 3", "welcome/gift 7"],
        "bea": ["welcome/hello 0"],
    } == town.mails()
    assert {("ann", "welcome", "done"), ("bea", "welcome", "goal")} == town.ends()


def test_after_an_order_comes_what_goes_with_it(town: Town) -> None:
    town.signs_up("ann")
    town.starts("after_purchase")
    town.lets(HOUR)
    town.orders("ann")

    town.lets(9 * DAY)

    assert {"ann": ["after_purchase/goes_with_it 7"]} == town.mails()


def test_a_regular_is_reminded_shortly_before_her_usual_day(town: Town) -> None:
    town.signs_up("ann")
    town.orders("ann", *(30 * DAY * n + 20 * DAY for n in range(4)))
    town.starts("replenish")

    town.lets(9 * DAY)

    assert {"ann": ["replenish/remind 7"]} == town.mails()


def test_a_basket_left_behind_is_told_of_twice_and_an_ordered_one_never(town: Town) -> None:
    for name in ("ann", "bea", "eve"):
        town.signs_up(name)
    town.starts("basket")
    town.lets(HOUR)
    for name in ("ann", "bea", "eve"):
        town.does(name, "basket")

    town.lets(2 * HOUR)
    town.orders("bea")
    town.lets(4 * HOUR)
    town.orders("eve")
    town.lets(3 * DAY)

    assert {"ann": ["basket/first 0", "basket/last 1"], "eve": ["basket/first 0"]} == town.mails()
    assert {("ann", "basket", "done"), ("bea", "basket", "goal"), ("eve", "basket", "goal")} == town.ends()


def test_the_mail_about_a_basket_shows_what_is_in_it_and_leads_to_it(town: Town) -> None:
    town.signs_up("ann")
    town.starts("basket")
    town.lets(HOUR)
    town.does("ann", "basket", "t3;t5", "https://shop.example/basket/77")

    town.lets(9 * HOUR)

    [file] = town.folder.rglob("*.eml")
    mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    text = mail.get_body(["plain"]).get_content()
    assert ["Tea 3", "Tea 5"] == [title for title in (f"Tea {n}" for n in range(8)) if title in text]
    with town.mailer.store.read() as db:
        [frozen] = db.scalars(sa.select(plan_entry.c.context))
    assert "https://shop.example/basket/77" == unpacked(frozen)["basket_url"]


def test_why_names_what_brought_her_in_as_the_shop_names_it(town: Town) -> None:
    town.starts("welcome", "basket")
    town.signs_up("ann")
    town.lets(HOUR)
    town.does("ann", "basket")
    town.lets(HOUR)

    said = [
        journeys.why(town.mailer, "ann@town.test", name, None)["steps"][0]["value"] for name in ("welcome", "basket")
    ]

    assert [
        "2026-03-02 09:00 UTC (segment new_signups), version 1",
        "2026-03-02 09:00 UTC (event e1), version 1",
    ] == said


def test_the_incentive_grows_only_when_the_cheaper_step_failed(town: Town) -> None:
    for name in ("ann", "bea"):
        town.signs_up(name)
        town.orders(name, *(30 * DAY * n + 59 * DAY for n in range(4)))
    town.starts("winback_ladder")
    town.lets(21 * DAY, DAY / 2)

    town.orders("bea")
    town.lets(16 * DAY, DAY / 2)

    steps = {name: [one.partition(" ")[0] for one in got] for name, got in town.mails().items()}
    ladder = ["winback_ladder/remind", "winback_ladder/some_off", "winback_ladder/more_off"]
    assert {"ann": ladder, "bea": ladder[:2]} == steps


def test_the_fifth_order_is_worth_a_word(town: Town) -> None:
    town.signs_up("ann")
    town.orders("ann", *(20 * DAY * n + 20 * DAY for n in range(3)))
    town.starts("milestones")
    town.lets(HOUR)

    town.orders("ann")
    town.lets(5 * DAY)
    assert {} == town.mails()
    town.orders("ann")
    town.lets(4 * DAY)

    assert {"ann": ["milestones/thanks 7"]} == town.mails()


def test_a_birthday_is_wished_on_the_day_once_a_year(town: Town) -> None:
    town.signs_up("ann", birth_date="1980-03-05")
    town.signs_up("bea", birth_date="1980-03-01")
    town.starts("birthday")

    town.lets(5 * DAY)

    assert {"ann": ["birthday/wish 3"]} == town.mails()


def test_somebody_happy_is_asked_for_a_word_to_a_friend(town: Town) -> None:
    for name in ("ann", "bea"):
        town.signs_up(name)
    town.orders("ann", 40 * DAY, 10 * DAY)
    town.starts("referral")
    town.lets(HOUR)
    for name in ("ann", "bea"):  # bea never bought twice
        town.does(name, "good_review")

    town.lets(4 * DAY)

    assert {"ann": ["referral/ask 2"]} == town.mails()


def test_advocates_are_asked_and_reminded_unless_they_clicked(town: Town) -> None:
    for name in ("ann", "bea", *(f"p{n}" for n in range(8))):
        town.signs_up(name)
        town.orders(name, *(15 * DAY * n + DAY for n in range(10 if name in ("ann", "bea") else 1)))
    pipeline.refresh(town.mailer, town.now, lambda _d, _t: None)
    town.takes_in_who_is_there("advocates")
    town.starts("advocates")
    town.lets(3 * DAY)

    town.clicks("ann", "advocates/ask")
    town.lets(8 * DAY)

    got = {name: [one.partition(" ")[0] for one in steps] for name, steps in town.mails().items()}
    assert {"ann": ["advocates/ask"], "bea": ["advocates/ask", "advocates/remind"]} == got
    assert ["advocate"] == tags(town, "ann")


def test_the_silent_are_asked_twice_and_then_let_go(town: Town) -> None:
    for name in ("ann", "bea"):
        town.signs_up(name)
    with town.mailer.store.write() as db:  # on the list for a year
        db.execute(sa.update(contact).values(created_at=START - 400 * DAY, changed=True))
    town.takes_in_who_is_there("sunset")
    town.starts("sunset")
    town.lets(3 * DAY, DAY / 2)

    town.clicks("bea", "sunset/stay")
    town.lets(32 * DAY, DAY / 2)

    got = {name: [one.partition(" ")[0] for one in steps] for name, steps in town.mails().items()}
    assert {"ann": ["sunset/stay", "sunset/last_call"], "bea": ["sunset/stay"]} == got
    assert (["silent"], []) == (tags(town, "ann"), tags(town, "bea"))
    assert {("ann", "sunset", "left"), ("bea", "sunset", "done")} == town.ends()


def tags(town: Town, name: str) -> list[str]:
    with town.mailer.store.read() as db:
        return list(db.scalar(sa.select(contact.c.tags).where(contact.c.email == f"{name}@town.test")) or [])


def test_all_of_them_run_together_on_a_fresh_workspace(fresh: Path, tmp_path: Path) -> None:
    shutil.copytree(fresh, tmp_path / "shop")
    town = Town(tmp_path / "shop")
    names = sorted(file.stem for file in (tmp_path / "shop" / "journeys").glob("*.toml"))
    town.signs_up("ann", birth_date="1980-03-03", language="fa")

    town.starts(*names)
    town.lets(2 * DAY)

    assert 10 == len(names)
    rows = {row["name"]: row["state"] for row in journeys.journey_rows(town.mailer)}
    assert dict.fromkeys(names, "running") == rows
