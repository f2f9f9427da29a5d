"""A mail in somebody's hands: its own links, visited at the real server, and what the shop may know afterwards."""

import asyncio
import itertools
import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from tracked_shop import (
    CAMPAIGN,
    SENT_AT,
    Site,
    free_port,
    import_text,
    mail_to,
    make_shop,
    moved,
    opened,
    quiet,
    running,
    served,
    serving,
)

from engine import ledger, message, pipeline, web
from engine.errors import MailerError
from engine.feedback import Spool
from engine.links import Tokens
from engine.model import CampaignState, Hit, HitKind, TrackingMode
from engine.pipeline import Mailer
from engine.pipeline.composing import stored_template
from engine.store.tables import consent, contact, hit, suppression, tally
from engine.store.tables import message as message_table

NEW, MENU = "https://shop.example/new?a=1&b=2#top", "https://xn--kahvil-gua.example/menu%20%C3%A0%20la%20carte"
GOODS = [
    "http://shop.example/p/3",
    "https://xn--kahvil-gua.example/tuote",
    "https://shop.example/p/1?size=L&colour=red#reviews",
]
ANNAS_LINKS = [NEW, NEW, MENU, "https://shop.example/hello?who=Anna%20Bennett", *GOODS]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture(scope="session")
def sent_shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose mails lie in the outbox; not to be changed."""
    folder = tmp_path_factory.mktemp("tracked") / "shop"
    make_shop(folder, free_port())
    return folder


@pytest.fixture
def shop(sent_shop: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sent_shop, tmp_path / "shop"))


@pytest.fixture
def site(shop: Path) -> Iterator[Site]:
    with served(shop) as running:
        yield running


def contact_id(mailer: Mailer, name: str) -> int:
    with mailer.store.read() as db:
        return int(db.execute(sa.select(contact.c.id).where(contact.c.email == f"{name}@people.test")).scalar_one())


def statements(mailer: Mailer, who: int, purpose: str) -> list[tuple[bool, str, str]]:
    """What stands in the consent history: given, source, wording; oldest first."""
    wanted = sa.select(consent.c.given, consent.c.source, consent.c.wording).order_by(consent.c.at)
    with mailer.store.read() as db:
        return [
            tuple(row) for row in db.execute(wanted.where(consent.c.contact_id == who, consent.c.purpose == purpose))
        ]


def suppressed(mailer: Mailer) -> list[tuple[str, str]]:
    with mailer.store.read() as db:
        return [tuple(row) for row in db.execute(sa.select(suppression.c.reason, suppression.c.source))]


def opt_out_log(mailer: Mailer) -> list[str]:
    """The reasons in the log on disk."""
    path = mailer.settings.state_dir / "optouts.log"
    return [json.loads(line)["reason"] for line in path.read_text().splitlines()] if path.exists() else []


def counted(mailer: Mailer) -> list[tuple[str, int, date, int]]:
    with mailer.store.read() as db:
        rows = db.execute(sa.select(tally.c.variant, tally.c.site, tally.c.day, tally.c.count).order_by(tally.c.site))
        return [tuple(row) for row in rows]


# ---------------------------------------------------------------- where links lead


def test_every_link_of_both_parts_leads_where_it_would_lead_untracked(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")

    led = [site.get(url).headers["Location"] for url in mail.clicks]
    led_by_text = [site.get(url).headers["Location"] for url in mail.text_links if "/c/" in url]

    assert ANNAS_LINKS == led
    assert ANNAS_LINKS == led_by_text


def test_a_mail_that_nobody_follows_shows_the_same_destinations_itself(shop: Path) -> None:
    mail = mail_to(shop, "dora")
    shown = [NEW, NEW, MENU, "https://shop.example/hello?who=Dora%20Quill", *GOODS]

    assert shown == [one for one in mail.links if "127.0.0.1" not in one and not one.startswith("mailto:")]
    assert shown == [one for one in mail.text_links if "127.0.0.1" not in one]


def test_links_of_a_shipped_recipe_lead_where_its_untracked_rendering_says(shop: Path) -> None:
    recipe = 'where = "mailing_consent"\ntemplate = "winback"\ngoal = "order"\nwindow = "14 days"\nsend_at = "now"\n'
    (shop / "campaigns" / "again.toml").write_text(recipe)
    shutil.rmtree(shop / "outbox")
    with opened(shop) as mailer:
        pipeline.refresh(mailer, SENT_AT, quiet)
        pipeline.send(mailer, "again", None, "once", SENT_AT, lambda _made: None, quiet)
    mail = mail_to(shop, "bahar")

    with served(shop) as site:
        led = {url: site.get(url).headers["Location"] for url in [*mail.clicks, *mail.text_links] if "/c/" in url}
        delivery_id = str(mail.message["Message-ID"]).strip("<").partition("@")[0]
        sent = ledger.message_by_delivery(site.mailer.store, delivery_id)
        assert sent is not None
        template = stored_template(site.mailer.store, sent.template_hash)
        assert template is not None
        addresses = replace(
            message.PLAIN_ADDRESSES, unsubscribe=mail.own("u"), preferences=mail.own("p"), view=mail.own("v")
        )
        plain = message.render(template, sent.context or {}, addresses)

    for tracked, untracked in ((mail.html, plain.html), (mail.text, plain.text)):
        for url, target in led.items():
            tracked = tracked.replace(url, target.replace("&", "&amp;") if tracked.startswith("<") else target)
        tracked = re.sub(r'<img src="[^"]*/o/[^>]*>', "", tracked)
        assert untracked.split() == tracked.split()
    assert 3 <= len([url for url in led if "/c/" in url])


def test_links_lead_on_when_the_campaign_is_over_and_its_contexts_are_dropped(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    assert 200 == site.get(mail.own("v")).status_code

    ledger.drop_contexts(site.mailer.store, 1)

    assert [NEW, NEW, MENU, *["https://shop.example/home"] * 4] == [
        site.get(url).headers["Location"] for url in mail.clicks
    ]
    assert 410 == site.get(mail.own("v")).status_code


def test_the_view_in_a_browser_is_the_mail(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "chen")

    assert mail.html.split() == site.get(mail.own("v")).text.split()


@pytest.mark.parametrize(
    ("name", "language", "direction", "word"),
    [
        ("anna", "en", "ltr", "Unsubscribe me"),
        ("bahar", "fa", "rtl", "اشتراک مرا لغو کنید"),
        ("chen", "zh", "ltr", "为我退订"),
    ],
)
def test_the_pages_speak_the_messages_language(
    site: Site, shop: Path, name: str, language: str, direction: str, word: str
) -> None:
    asked = site.get(mail_to(shop, name).own("u"), headers={"Accept-Language": "vi"}).text
    done = site.call("POST", mail_to(shop, name).own("u"), headers={"Accept-Language": "vi"}).text

    for html in (asked, done):
        assert f'<html lang="{language}" dir="{direction}">' in html
    assert word in asked


# ---------------------------------------------------------------- unsubscribe


@pytest.mark.parametrize(
    "body",
    [
        {"data": ONE_CLICK},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"data": b""},
        {"data": b"\xff\x00 no form at all"},
    ],
    ids=["form", "multipart", "empty", "nonsense"],
)
def test_the_header_of_the_mail_unsubscribes_with_one_click(site: Site, shop: Path, body: dict[str, object]) -> None:
    mail, who = mail_to(shop, "anna"), contact_id(site.mailer, "anna")
    assert "List-Unsubscribe=One-Click" == mail.message["List-Unsubscribe-Post"]

    answer = site.call("POST", mail.unsubscribe, **body)

    assert (200, True) == (answer.status_code, "You are unsubscribed" in answer.text)
    assert [("unsubscribed", "unsubscribe link")] == suppressed(site.mailer)
    assert (False, "unsubscribe link", "") == statements(site.mailer, who, "mailing")[-1]
    assert ["unsubscribed"] == opt_out_log(site.mailer)


def test_who_unsubscribed_is_not_written_to_again(site: Site, shop: Path) -> None:
    site.call("POST", mail_to(shop, "anna").unsubscribe, data=ONE_CLICK)

    made = pipeline.make_plan(site.mailer, CAMPAIGN, site.now[0], "again", quiet)

    assert 3 == made.summary["messages"]


def test_one_click_twice_is_one_opt_out(site: Site, shop: Path) -> None:
    mail, who = mail_to(shop, "anna"), contact_id(site.mailer, "anna")
    for _ in range(3):
        site.later(seconds=1)
        assert 200 == site.call("POST", mail.unsubscribe, data=ONE_CLICK).status_code

    assert 1 == len(suppressed(site.mailer))
    assert ["unsubscribed"] == opt_out_log(site.mailer)
    assert [True, False] == [given for given, _, _ in statements(site.mailer, who, "mailing")]


def test_two_clicks_within_a_millisecond_are_one_opt_out(site: Site, shop: Path) -> None:
    url, answers = mail_to(shop, "anna").unsubscribe, list[int]()
    threads = [
        threading.Thread(target=lambda: answers.append(site.call("POST", url, data=ONE_CLICK).status_code))
        for _ in range(8)
    ]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert [200] * 8 == answers
    assert 1 == len(suppressed(site.mailer))


def test_a_scanner_that_gets_everything_unsubscribes_nobody(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    for url in mail.links:
        for method in ("GET", "HEAD"):
            if url.startswith("http"):
                site.call(method, url, headers={"User-Agent": "Barracuda Sentinel"})
    assert ([], []) == (suppressed(site.mailer), opt_out_log(site.mailer))

    site.call("POST", mail.unsubscribe, data=ONE_CLICK)

    assert 1 == len(suppressed(site.mailer))


def test_one_click_works_after_erasure(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    pipeline.erase_contact(site.mailer, "anna@people.test", site.now[0])

    answers = [site.call(method, mail.unsubscribe) for method in ("GET", "POST", "POST")]

    assert [200] * 3 == [one.status_code for one in answers]
    assert ([("erased", "erased at the person's request")], ["erased"]) == (
        suppressed(site.mailer),
        opt_out_log(site.mailer),
    )


def test_the_other_links_of_an_erased_contact_name_nobody_and_store_nothing(site: Site, shop: Path) -> None:
    mail, nothing = mail_to(shop, "anna"), site.get(f"{site.base}/c/x/0-0")
    pipeline.erase_contact(site.mailer, "anna@people.test", site.now[0])

    gone = [
        site.get(mail.own("p")),
        site.call("POST", mail.own("p"), data={"tracking": "yes"}),
        site.get(mail.own("v")),
    ]

    assert [(410, nothing.text)] * 3 == [(one.status_code, one.text) for one in gone]
    assert [200, 302, 302] == [site.get(url).status_code for url in (mail.pixel, mail.clicks[0], mail.clicks[-1])]
    assert [] == site.hits()


def test_the_sample_of_a_mail_that_was_never_sent_says_that_nothing_was_changed(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop", free_port(), send=False)
    with served(tmp_path / "shop") as site:
        seen = pipeline.dry_run(site.mailer, CAMPAIGN, SENT_AT, "once", None, quiet)
        shutil.copytree(seen.samples[0].parent, tmp_path / "shop" / "outbox")
        url = mail_to(tmp_path / "shop", "anna").unsubscribe

        answers = [site.call(method, url) for method in ("GET", "POST")]

    assert [200, 410] == [one.status_code for one in answers]
    assert "Nothing has been changed" in answers[1].text


# ---------------------------------------------------------------- preferences


def test_mailing_is_taken_back_and_given_again_on_the_preference_page(site: Site, shop: Path) -> None:
    url, who = mail_to(shop, "anna").own("p"), contact_id(site.mailer, "anna")
    assert [True, True] == ticked(site.get(url).text)

    site.later(minutes=1)
    assert [False, True] == ticked(site.call("POST", url, data={"tracking": "yes"}).text)
    assert [("unsubscribed", "preference page")] == suppressed(site.mailer)

    site.later(minutes=1)
    assert [True, True] == ticked(site.call("POST", url, data={"tracking": "yes", "mailing": "yes"}).text)
    assert [] == suppressed(site.mailer)
    assert [True, False, True] == [given for given, _, _ in statements(site.mailer, who, "mailing")]
    assert ["unsubscribed", "opted_in"] == opt_out_log(site.mailer)


def test_unsubscribing_by_mistake_is_undone_where_it_was_done(site: Site, shop: Path) -> None:
    done = site.call("POST", mail_to(shop, "anna").own("u"))
    (preferences,) = re.findall(r'href="([^"]*/p/[^"]*)"', done.text)
    site.later(minutes=1)

    assert [False, True] == ticked(site.get(preferences).text)
    assert [True, True] == ticked(site.call("POST", preferences, data={"mailing": "yes", "tracking": "yes"}).text)


def test_after_tracking_is_withdrawn_old_links_answer_and_nothing_is_stored(site: Site, shop: Path) -> None:
    mail, who = mail_to(shop, "anna"), contact_id(site.mailer, "anna")
    site.get(mail.clicks[0])
    assert 1 == len(site.hits())
    site.later(minutes=1)
    site.call("POST", mail.own("p"), data={"mailing": "yes"})

    answers = [site.get(url).status_code for url in (mail.pixel, mail.clicks[0], mail.clicks[-1])]

    assert [200, 302, 302] == answers
    assert 1 == len(site.hits())
    assert [] == list((shop / "state" / "spool").glob("*.jsonl"))
    assert "/o/" not in site.get(mail.own("v")).text
    assert "/c/" not in site.get(mail.own("v")).text
    assert (False, "preference page", "") == statements(site.mailer, who, "tracking")[-1]


def test_tracking_given_back_counts_again_and_keeps_the_words_she_agreed_to(site: Site, shop: Path) -> None:
    mail, who = mail_to(shop, "anna"), contact_id(site.mailer, "anna")
    site.later(minutes=1)
    site.call("POST", mail.own("p"), data={"mailing": "yes"})
    site.later(minutes=1)
    site.call("POST", mail.own("p"), data={"mailing": "yes", "tracking": "yes"})
    site.get(mail.pixel)

    assert ["open"] == [one["kind"] for one in site.hits()]
    given, source, wording = statements(site.mailer, who, "tracking")[-1]
    assert (True, "preference page") == (given, source)
    assert wording in site.get(mail.own("p")).text


def test_whom_a_complaint_shut_out_is_told_so_and_stays_out(site: Site, shop: Path) -> None:
    pipeline.suppress(site.mailer, "anna@people.test", "complained", site.now[0])
    site.later(minutes=1)

    answer = site.call("POST", mail_to(shop, "anna").own("p"), data={"mailing": "yes", "tracking": "yes"})

    assert [False, True] == ticked(answer.text)
    assert "can&#39;t send emails to this address again" in answer.text
    assert ["complained"] == [reason for reason, _ in suppressed(site.mailer)]


def ticked(html: str) -> list[bool]:
    """Mailing and tracking, as the page shows them."""
    return ["checked" in one for one in re.findall(r"<input[^>]+>", html)]


# ---------------------------------------------------------------- what may be learned


def test_without_consent_only_the_links_the_law_asks_for_know_their_reader(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "dora")
    token = site.mailer.keys.tokens(site.mailer.keys.delivery_id(CAMPAIGN, "once", contact_id(site.mailer, "dora")))

    for part in (mail.html, mail.text):
        assert "/o/" not in part
        assert "/c/" not in part
        ours = set(re.findall(r"http://127\.0\.0\.1[^\s\"<]*", part))
        assert {
            f"{site.base}/{path}" for path in (f"u/{token.unsubscribe}", f"p/{token.unsubscribe}", f"v/{token.view}")
        } == ours
    assert 200 == site.get(mail.own("v")).status_code
    assert "/o/" not in site.get(mail.own("v")).text


def test_mode_aggregate_counts_and_stores_nobody(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop", free_port(), "aggregate")
    anna, bahar = mail_to(tmp_path / "shop", "anna"), mail_to(tmp_path / "shop", "bahar")
    for mail in (anna, bahar):
        assert not re.search("/[oc]/", mail.html + mail.text)

    with served(tmp_path / "shop") as site:
        for mail in (anna, bahar):
            assert [NEW, NEW, MENU] == [site.get(url).headers["Location"] for url in mail.clicks]
            assert [302] * 3 == [site.call("HEAD", url).status_code for url in mail.clicks]
    with opened(tmp_path / "shop") as mailer:
        assert [
            ("main", 0, date(2026, 3, 1), 2),
            ("main", 1, date(2026, 3, 1), 2),
            ("main", 2, date(2026, 3, 1), 2),
        ] == (counted(mailer))
        with mailer.store.read() as db:
            assert 0 == db.execute(sa.select(sa.func.count()).select_from(hit)).scalar_one()


def test_an_aggregate_link_names_the_campaign_and_no_person(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop", free_port(), "aggregate")
    anna, dora = mail_to(tmp_path / "shop", "anna"), mail_to(tmp_path / "shop", "dora")

    assert anna.clicks == dora.clicks
    assert "https://shop.example/hello?who=Anna%20Bennett" in anna.links  # hers alone: not counted


@pytest.mark.parametrize("place", range(5))
def test_an_aggregate_link_that_was_tampered_with_is_gone(tmp_path: Path, place: int) -> None:
    make_shop(tmp_path / "shop", free_port(), "aggregate")
    base, _, path = mail_to(tmp_path / "shop", "anna").clicks[0].partition("/a/")
    parts = path.split("/")
    parts[place] = {0: "2", 1: "other", 2: "0" * 32, 3: "1", 4: "A" * 22}[place]

    with served(tmp_path / "shop") as site:
        assert 410 == site.get(f"{base}/a/{'/'.join(parts)}").status_code
    with opened(tmp_path / "shop") as mailer:
        assert [] == counted(mailer)


def test_clicks_on_the_samples_of_a_dry_run_lead_on_and_are_not_counted(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop", free_port(), "aggregate", send=False)
    with served(tmp_path / "shop") as site:
        seen = pipeline.dry_run(site.mailer, CAMPAIGN, SENT_AT, "once", None, quiet)
        shutil.copytree(seen.samples[0].parent, tmp_path / "shop" / "outbox")
        url = mail_to(tmp_path / "shop", "anna").clicks[0]
        assert 302 == site.get(url).status_code
        ledger.purge_drafts(site.mailer.store, SENT_AT + timedelta(days=30))
        site.get(url)
    with opened(tmp_path / "shop") as mailer:
        assert [] == counted(mailer)


def test_mode_off_leaves_every_link_as_it_is(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop", free_port(), "off")
    mail = mail_to(tmp_path / "shop", "anna")

    assert ANNAS_LINKS == [one for one in mail.links if "127.0.0.1" not in one and not one.startswith("mailto:")]
    assert not re.search("/[oca]/", "".join(one for one in mail.links + mail.text_links if "127.0.0.1" in one))
    assert "/o/" not in mail.html


def test_a_shop_that_stops_tracking_stores_nothing_of_its_older_mails(shop: Path) -> None:
    config = shop / "config.toml"
    config.write_text(config.read_text().replace("individual-with-consent", TrackingMode.OFF.value))
    mail = mail_to(shop, "anna")

    with served(shop) as site:
        assert [200, 302] == [site.get(url).status_code for url in (mail.pixel, mail.clicks[0])]
        assert [] == site.hits()


# ---------------------------------------------------------------- hits


def test_a_hit_is_kept_as_it_came(site: Site, shop: Path) -> None:
    site.get(mail_to(shop, "anna").clicks[5], headers={"Referer": "https://webmail.example/", "User-Agent": "x" * 600})

    (one,) = site.hits()

    assert ("click", 5, 1, "GET", "127.0.0.1") == tuple(
        one[key] for key in ("kind", "site", "occurrence", "method", "ip")
    )
    assert ("x" * 500, "https://webmail.example/", "en") == (one["agent"], one["referer"], one["accept_language"])
    assert site.now[0] == one["at"]


def test_head_never_counts_as_a_person(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    site.call("HEAD", mail.pixel)
    site.later(minutes=5)
    site.call("HEAD", mail.clicks[0])

    assert [("open", "machine"), ("click", "machine")] == [(one["kind"], one["verdict"]) for one in site.hits()]


def test_a_person_who_opens_and_clicks_is_human(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    site.get(mail.pixel)
    site.later(seconds=20)
    site.get(mail.clicks[0])

    assert [("open", "human"), ("click", "human")] == [(one["kind"], one["verdict"]) for one in site.hits()]


def test_the_first_click_of_a_burst_is_judged_again_when_the_rest_comes_in(site: Site, shop: Path) -> None:
    mail = mail_to(shop, "anna")
    verdicts = []
    for url in mail.clicks[:3]:
        site.get(url)
        site.later(seconds=0.4)
        verdicts.append([one["verdict"] for one in site.hits()])

    assert [["human"], ["human", "human"], ["machine"] * 3] == verdicts


def test_a_click_that_came_before_the_sending_was_known_is_judged_again_by_the_tick(site: Site, shop: Path) -> None:
    with site.mailer.store.write() as db:
        db.execute(sa.update(message_table).values(sent_at=None))
    site.get(mail_to(shop, "anna").clicks[0])
    assert ["human"] == [one["verdict"] for one in site.hits()]
    with site.mailer.store.write() as db:
        db.execute(sa.update(message_table).values(sent_at=site.now[0] - timedelta(seconds=1)))

    pipeline.tick(moved(site.mailer, site.now[0]))

    assert [("machine", "less than 2 s after sending")] == [(one["verdict"], one["verdict_why"]) for one in site.hits()]


def test_a_link_that_a_machine_hammers_is_kept_a_thousand_times(shop: Path) -> None:
    with opened(shop) as mailer:
        spool = pipeline.spool_of(mailer)
        delivery_id = mailer.keys.delivery_id(CAMPAIGN, "once", contact_id(mailer, "anna"))
        for n in range(2500):
            at = SENT_AT + timedelta(hours=1, seconds=n)
            spool.append(Hit(kind=HitKind.CLICK, delivery_id=delivery_id, site=n % 5, occurrence=0, at=at, agent="x"))
            if n % 900 == 0:
                spool.flush()
        spool.flush()

        assert 1000 == pipeline.drain_hits(mailer, spool)


def test_a_second_drain_of_the_same_files_stores_nothing_twice(site: Site, shop: Path, tmp_path: Path) -> None:
    spool = shop / "state" / "spool"
    own = Spool(spool)
    delivery_id = site.mailer.keys.delivery_id(CAMPAIGN, "once", contact_id(site.mailer, "anna"))
    for place in range(3):
        own.append(
            Hit(kind=HitKind.CLICK, delivery_id=delivery_id, site=place, occurrence=0, at=site.now[0], agent="x")
        )
    own.flush()
    shutil.copytree(spool, tmp_path / "copy")
    assert 3 == len(site.hits())

    shutil.copytree(tmp_path / "copy", spool, dirs_exist_ok=True)  # killed between commit and unlink

    assert 3 == len(site.hits())
    assert [] == list(spool.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "kept"),
    [
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "<script>", ""),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ],
)
def test_only_a_proxy_on_this_machine_is_believed(shop: Path, peer: str, forwarded: str, kept: str) -> None:
    with opened(shop) as mailer:
        config = web.server_config(web.tracking_app(mailer, lambda: SENT_AT + timedelta(hours=1)))
        config.load()
        path = mail_to(shop, "anna").pixel.partition("/o/")[2]
        asyncio.run(_visit(config.loaded_app, f"/o/{path}", peer, forwarded))

        pipeline.drain_hits(mailer, pipeline.spool_of(mailer))
        with mailer.store.read() as db:
            assert [kept] == list(db.scalars(sa.select(hit.c.ip)))


async def _visit(app: object, path: str, peer: str, forwarded: str) -> None:
    """One request as the network layer hands it in, with the app started and ended around it."""
    to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: list[dict[str, object]] = []
    started, ended = asyncio.Event(), asyncio.Event()

    async def note(event: dict[str, object]) -> None:
        said.append(event)
        started.set()

    scope = {"asgi": {"version": "3.0"}, "state": {}}
    life = asyncio.create_task(app({"type": "lifespan", **scope}, to_app.get, note))  # type: ignore[operator]
    await to_app.put({"type": "lifespan.startup"})
    await started.wait()
    http = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", **scope}
    http |= {"headers": [(b"x-forwarded-for", forwarded.encode())], "client": (peer, 4711), "scheme": "http"}
    await app(http | {"server": ("x", 80), "root_path": "", "http_version": "1.1"}, to_app.get, note)  # type: ignore[operator]
    await to_app.put({"type": "lifespan.shutdown"})
    await life
    ended.set()


# ---------------------------------------------------------------- the process


def test_the_server_says_that_it_lives_until_it_ends(shop: Path) -> None:
    with served(shop) as site:
        while not (found := ledger.living(site.mailer.store, "web")):
            time.sleep(0.01)
        assert 1 == len(found)
    with opened(shop) as mailer:
        assert {} == pipeline.status(mailer, SENT_AT)["processes"]


def test_an_address_that_is_taken_is_told_in_one_sentence(site: Site, shop: Path) -> None:
    with opened(shop) as second, pytest.raises(MailerError, match=r"can't listen on 127.0.0.1:\d+: .* \[web\] listen"):
        web.serve(second)


def test_a_killed_server_loses_at_most_what_came_in_its_last_moment(shop: Path) -> None:
    came, pixel = list[float](), mail_to(shop, "anna").pixel
    with serving(shop) as server, requests.Session() as http:
        until = time.monotonic() + 1.2
        while time.monotonic() < until:
            http.get(pixel, headers={"User-Agent": f"n={len(came)}"}, timeout=10)
            came.append(time.monotonic())
        server.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        server.wait()

    with opened(shop) as mailer:
        pipeline.drain_hits(mailer, pipeline.spool_of(mailer))
        with mailer.store.read() as db:
            kept = {int(agent[2:]) for agent in db.scalars(sa.select(hit.c.agent))}

    assert set() == {n for n, at in enumerate(came) if killed - at > 0.3} - kept


def test_a_server_that_is_asked_to_end_loses_nothing_and_says_goodbye(shop: Path) -> None:
    pixel = mail_to(shop, "anna").pixel
    with serving(shop) as server:
        for _ in range(5):
            requests.get(pixel, headers={"User-Agent": "x"}, timeout=10)
        server.send_signal(signal.SIGTERM)
        server.wait(20)

    with opened(shop) as mailer:
        with mailer.store.read() as db:
            assert 5 == db.execute(sa.select(sa.func.count()).select_from(hit)).scalar_one()
        assert {} == pipeline.status(mailer, SENT_AT)["processes"]


def test_an_unsubscribe_waits_for_nobody(tmp_path: Path) -> None:
    """Two senders, an importer, the web server and a crowd of readers on one SQLite file."""
    shop, crowd, leavers = tmp_path / "shop", 300, 30
    make_shop(shop, free_port())
    with opened(shop) as mailer:
        tokens = _release_to_a_crowd(mailer, crowd)
        base = mailer.settings.tracking.base_url
    (shop / "more.csv").write_text("email,mailing_consent\n" + "".join(f"m{n}@more.test,yes\n" for n in range(8_000)))
    stop, visits, waited = threading.Event(), list[int](), list[float]()
    readers = [threading.Thread(target=_read_on, args=(base, tokens, stop, visits, n)) for n in range(2)]

    with (
        serving(shop) as server,
        running(shop, "worker") as first,
        running(shop, "worker") as second,
        running(shop, "import", "contacts", str(shop / "more.csv")) as importer,
        requests.Session() as http,
    ):
        for one in readers:
            one.start()
        for token in tokens[-leavers:]:
            begun = time.monotonic()
            answer = http.post(f"{base}/u/{token.unsubscribe}", data=ONE_CLICK, timeout=20)
            waited.append(time.monotonic() - begun)
            assert 200 == answer.status_code
        imported = importer.wait(60)
        with opened(shop) as mailer:
            while ledger.next_due(mailer.store, SENT_AT - timedelta(days=1)):
                time.sleep(0.1)
        stop.set()
        for one in readers:
            one.join()
        for process in (server, first, second):
            process.terminate()
            process.wait(20)

    with opened(shop) as mailer, mailer.store.read() as db:
        made = {name: db.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for name, t in TABLES.items()}
        counts = ledger.counts(mailer.store, 2)
    assert 1.0 > max(waited)
    assert (0, leavers, crowd + 4 + 8_000) == (imported, made["suppression"], made["contact"])
    assert len(visits) == made["hit"]
    assert crowd + 4 == counts["sent"] + counts["skipped"]
    assert len(list(shop.glob("outbox/*.eml"))) == 4 + counts["sent"]


TABLES = {"suppression": suppression, "contact": contact, "hit": hit}


def _release_to_a_crowd(mailer: Mailer, crowd: int) -> list[Tokens]:
    """A second campaign, released but not sent yet; gives the crowd's tokens, the last to be mailed last."""
    people = "".join(f"q{n}@crowd.test,Q {n},yes,yes\n" for n in range(crowd))
    import_text(mailer, "contacts", f"email,full_name,mailing_consent,tracking_consent\n{people}")
    text = (mailer.campaigns_dir / f"{CAMPAIGN}.toml").read_text()
    (mailer.campaigns_dir / "second.toml").write_text(text)
    made = pipeline.make_plan(mailer, "second", SENT_AT, "once", quiet)
    ledger.release(mailer.store, made.plan_id, SENT_AT, mailer.keys)
    ledger.set_state(mailer.store, "second", CampaignState.RUNNING, "", SENT_AT)
    with mailer.store.read() as db:
        ids = db.scalars(sa.select(message_table.c.delivery_id).where(message_table.c.campaign == "second"))
        return [mailer.keys.tokens(one) for one in ids][4:]


def _read_on(base: str, tokens: list[Tokens], stop: threading.Event, visits: list[int], start: int) -> None:
    """Open and click, one mail after the other."""
    with requests.Session() as http:
        for n, token in enumerate(itertools.cycle(tokens[start::2])):
            if stop.is_set():
                return
            for url in (f"{base}/o/{token.open}.gif", f"{base}/c/{token.click}/{n % 5}-0"):
                if http.get(url, allow_redirects=False, timeout=20).status_code in (200, 302):
                    visits.append(n)
