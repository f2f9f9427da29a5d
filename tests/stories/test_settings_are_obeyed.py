"""Every key does something: a mail, a plan or a refusal that would be another one if the key were not read.

Where a key's effect is a story of its own, that story is its test: tls, timeout, username, the tracking modes, goal,
window, holdout, uncertain, listen ...
"""

import email.policy
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

import pytest
from mail_servers import Inbox
from sink import Sink
from story_shop import NOTE, Shop, address, agreed, in_state, quiet, standings
from test_sending_promised import sign

from engine import audience, ledger, pipeline
from engine.clock import clock_set_to
from engine.config import new_key
from engine.errors import BadConfig, Refused
from engine.links import Keys, Purpose
from engine.model import EntryState, MessageState
from engine.pipeline import Mailer
from engine.pipeline.pacing import held_up

Edit = Callable[[str, str], None]


@pytest.fixture
def edit(sqlite_shop: Shop, sink: Sink) -> Edit:
    """Put a line at the head of a section of config.toml, in place of the key's old line."""
    sqlite_shop.configure(sink.port)
    path = sqlite_shop.folder / "config.toml"

    def edit(section: str, line: str) -> None:
        key, kept, inside = line.partition(" =")[0], [], False
        for one in path.read_text().splitlines():
            inside = one == f"[{section}]" if one.startswith("[") else inside
            if not (inside and one.startswith(f"{key} =")):
                kept.append(one)
            if one == f"[{section}]":
                kept.append(line)
        if f"[{section}]" not in kept:
            kept += [f"[{section}]", line]
        path.write_text("\n".join(kept) + "\n")

    return edit


def send(shop: Shop, more: str = "", tag: str = "few", plan: int | None = None) -> pipeline.Sent:
    """A campaign with these lines, sent."""
    mailer = shop.open()
    name = shop.campaign(tag, more=more) if plan is None else "story"
    return pipeline.send(mailer, name, plan, "once", mailer.clock(), agreed, quiet)


def read(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=email.policy.default)


def plan_of(shop: Shop, more: str = "", tag: str = "few") -> list[ledger.FrozenEntry]:
    """Who gets what by a fresh plan."""
    mailer = shop.open()
    made = pipeline.make_plan(mailer, shop.campaign(tag, more=more), mailer.clock(), "once", quiet)
    return list(ledger.entries_of(mailer.store, made.plan_id))


def skipped(entries: list[ledger.FrozenEntry]) -> Counter[str]:
    return Counter(one.entry.reason for one in entries if one.entry.state is EntryState.SKIPPED)


# ---------------------------------------------------------------- [shop] and [sender]


def test_the_shop_and_its_sender_stand_in_every_mail(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("shop", 'name = "Harbour"')
    edit("shop", 'postal_address = "2 Quay, 00170 Helsinki"')
    edit("sender", 'from = "Harbour <news@shop.example>"')
    edit("sender", 'reply_to = "Desk <desk@shop.example>"')
    edit("sender", 'feedback_id = "harbour"')
    edit("tracking", 'base_url = "https://links.shop.example"')
    edit("clock", "fixed_at = 2031-02-03T04:05:06Z")

    send(sqlite_shop)

    mail = read(sink.taken[0].data)
    assert "Harbour <news@shop.example>" == mail["From"]
    assert "Desk <desk@shop.example>" == mail["Reply-To"]
    assert "harbour" == mail["Feedback-ID"].rpartition(":")[2]
    assert mail["List-Unsubscribe"].startswith("<https://links.shop.example/u/")
    assert "Mon, 03 Feb 2031 04:05:06 +0000" == mail["Date"]
    assert "Harbour, 2 Quay, 00170 Helsinki" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_the_first_language_is_for_those_who_gave_none(sqlite_shop: Shop, edit: Edit) -> None:
    (sqlite_shop.folder / "templates" / "note" / "fi.mjml").write_text(NOTE.replace("News for", "Uutisia:"))

    edit("shop", 'languages = ["en", "fi"]')
    assert {"en"} == {one.entry.language for one in plan_of(sqlite_shop)}
    edit("shop", 'languages = ["fi", "en"]')
    assert {"fi"} == {one.entry.language for one in plan_of(sqlite_shop)}


def test_an_hour_without_a_zone_is_the_shops(sqlite_shop: Shop, edit: Edit) -> None:
    edit("shop", 'timezone = "Asia/Tokyo"')
    path = sqlite_shop.folder / "campaigns" / "story.toml"
    sqlite_shop.campaign("few")
    path.write_text(path.read_text().replace('"now"', '"2040-01-01T09:00"'))
    mailer = sqlite_shop.open()

    made = pipeline.make_plan(mailer, "story", mailer.clock(), "once", quiet)

    (hour,) = {one.entry.send_at for one in ledger.entries_of(mailer.store, made.plan_id)}
    assert datetime(2040, 1, 1, 0, tzinfo=UTC) == hour


def test_orders_in_another_currency_are_refused(sqlite_shop: Shop, edit: Edit) -> None:
    order = (
        f"order_id,email,ordered_at,product_id,quantity,unit_price,currency\nN1,{address(1)},2026-02-01,T1,1,5,SEK\n"
    )
    file = sqlite_shop.folder / "orders.csv"
    file.write_text(order)

    def refused() -> int:
        found = pipeline.import_file(sqlite_shop.open(), "orders", file, {}, "", "point", quiet)
        return len(found.refused)

    assert 1 == refused()
    edit("shop", 'currency = "SEK"')
    file.write_text(order + "\n")  # the same file is not read twice
    assert 0 == refused()


def test_test_domains_are_let_in_only_where_it_is_said(sqlite_shop: Shop, edit: Edit) -> None:
    file = sqlite_shop.folder / "contacts.csv"
    file.write_text("email\nsomebody@shop.test\n")
    edit("sender", "allow_test_domains = false")
    assert 1 == len(pipeline.import_file(sqlite_shop.open(), "contacts", file, {}, "", "point", quiet).refused)


@pytest.mark.parametrize("where", ["config", "campaign"])
def test_a_drift_limit_of_ones_own_lets_more_change(sqlite_shop: Shop, sink: Sink, edit: Edit, where: str) -> None:
    more = ""
    if where == "config":
        edit("sender", "drift_limit = 0.1")
    else:
        more = "drift_limit = 0.1\n"
    mailer = sqlite_shop.open()
    made = pipeline.make_plan(mailer, sqlite_shop.campaign("few", more=more), mailer.clock(), "once", quiet)
    head = "email,tags,mailing_consent,mailing_consent_at,consent_source"
    sqlite_shop.import_text("contacts", f"{head}\nnew@shop.test,few,yes,2026-01-01,shop\n")  # 3.8 %

    assert 25 == send(sqlite_shop, plan=made.plan_id).counts["sent"]


# ---------------------------------------------------------------- [transport.NAME] and [dkim.DOMAIN]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['return_path = "verp"', 'bounce_domain = "b.shop.example"'], r"<id>@b.shop.example"),
        (['return_path = "fixed"', 'bounce_domain = "b.shop.example"'], "bounce@b.shop.example"),
        (['return_path = "from"'], "hello@shop.example"),
    ],
)
def test_bounces_go_where_the_transport_says(sqlite_shop: Shop, edit: Edit, lines: list[str], expected: str) -> None:
    inbox = Inbox()
    inbox.start()
    try:
        edit("transport.main", f"port = {inbox.port}")
        for line in lines:
            edit("transport.main", line)
        plan = send(sqlite_shop).plan_id
    finally:
        inbox.stop()

    ids = {one.message_id for one in standings(sqlite_shop.open(), plan).values()}
    paths = {one.sender for one in inbox.received}
    local, _, domain = expected.partition("@")
    assert {domain} == {path.rpartition("@")[2] for path in paths}
    if local == "<id>":
        assert 25 == len(paths)
        assert all(any(id_ in path for id_ in ids) for path in paths)
    else:
        assert 1 == len(paths)
    assert expected.startswith("<id>") or local in paths.pop()


def test_an_outbox_lies_where_its_folder_says(sqlite_shop: Shop, edit: Edit) -> None:
    edit("transport.main", 'kind = "outbox"')
    edit("transport.main", 'folder = "letters"')

    send(sqlite_shop)

    assert 25 == len(list((sqlite_shop.folder / "letters").glob("*.eml")))


def test_a_campaign_goes_out_by_the_transport_that_it_names(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("transport.files", 'kind = "outbox"')

    send(sqlite_shop, 'transport = "files"\n')

    assert 25 == len(list((sqlite_shop.folder / "outbox").glob("*.eml")))
    assert [] == sink.offered


def test_a_mail_is_signed_as_its_domain_says(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    sign(sqlite_shop)

    send(sqlite_shop)

    signature = read(sink.taken[0].data)["DKIM-Signature"].replace(" ", "")
    assert {"a=ed25519-sha256", "d=shop.example", "s=s1"} <= set(signature.split(";"))


# ---------------------------------------------------------------- [limits], [secret], [paths]


def test_nobody_gets_more_in_thirty_days_than_the_limit(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("limits", "messages_per_30_days = 1")
    assert {} == skipped(plan_of(sqlite_shop))

    send(sqlite_shop)

    assert {"capped": 25} == skipped(plan_of(sqlite_shop))


def test_who_got_enough_today_waits_until_tomorrow(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("limits", "messages_per_day = 1")
    send(sqlite_shop)
    mailer = sqlite_shop.open()
    at = mailer.clock()

    again = pipeline.send(mailer, sqlite_shop.campaign("few"), None, "again", at, agreed, quiet)

    assert (25, 0, 25) == (len(sink.taken), again.counts["sent"], again.counts["waiting"])
    (told,) = held_up(mailer)
    assert told.startswith("25 messages wait: they got as much as the caps allow, until ")


def test_nobody_is_mailed_in_her_quiet_hours_but_for_what_is_owed(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("limits.quiet", 'hours = "21:00-08:00"')
    mailer = replace(sqlite_shop.open(), clock=clock_set_to(datetime(2026, 12, 3, 23, tzinfo=UTC)))

    pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)
    assert [] == sink.taken

    owed = sqlite_shop.campaign("few", more='class = "transactional"')
    pipeline.send(mailer, owed, None, "owed", mailer.clock(), agreed, quiet)
    assert 25 == len(sink.taken)


def test_the_secret_is_the_one_of_its_file(sqlite_shop: Shop, edit: Edit) -> None:
    edit("secret", 'key_file = "elsewhere.key"')
    with pytest.raises(BadConfig, match=r"elsewhere\.key does not exist"):
        sqlite_shop.open()

    new_key(sqlite_shop.folder / "elsewhere.key")
    with pytest.raises(Refused, match="is not the one this database was made with"):
        sqlite_shop.open()


def test_links_made_with_a_former_key_still_lead_to_their_message(sqlite_shop: Shop, edit: Edit) -> None:
    new_key(sqlite_shop.folder / "former.key")
    former = Keys((sqlite_shop.folder / "former.key").read_text().strip().encode())
    token = former.tokens(former.delivery_id("story", "once", 7)).unsubscribe
    assert sqlite_shop.open().keys.read(token, Purpose.UNSUBSCRIBE) is None

    edit("secret", 'old_keys = ["former.key"]')

    assert former.delivery_id("story", "once", 7) == sqlite_shop.open().keys.read(token, Purpose.UNSUBSCRIBE)


def test_journal_and_opt_outs_lie_where_state_says(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    edit("paths", 'state = "kept"')
    held: list[Path] = []
    sink.answers = lambda stage, _to: held.extend((sqlite_shop.folder / "kept" / "journal").iterdir()) or None

    send(sqlite_shop)
    pipeline.suppress(sqlite_shop.open(), address(3), "by_hand", datetime.now(UTC))

    assert held
    assert (sqlite_shop.folder / "kept" / "optouts.log").read_text()


# ---------------------------------------------------------------- campaigns/NAME.toml


def test_whom_exclude_names_is_not_in_the_audience(sqlite_shop: Shop, edit: Edit) -> None:
    entries = plan_of(sqlite_shop, f"exclude = \"email == '{address(3)}'\"\n")

    assert {address(n) for n in range(25)} - {address(3)} == {one.entry.email for one in entries}


def test_a_transactional_mail_needs_no_consent(sqlite_shop: Shop, sink: Sink, edit: Edit) -> None:
    mailer = sqlite_shop.open()
    whom = audience.find(mailer.store, address(3))
    audience.set_consent(mailer.store, whom, "mailing", False, mailer.clock(), "test")
    assert {"no_consent": 1} == skipped(plan_of(sqlite_shop))

    send(sqlite_shop, 'class = "transactional"\n')

    assert address(3) in sink.recipients()


def test_subjects_stand_for_a_language_or_for_all_and_a_variants_own_before_them(
    sqlite_shop: Shop, sink: Sink, edit: Edit
) -> None:
    own = (
        'subject = { en = "For everybody" }\n[[variant]]\nname = "a"\n[[variant]]\nname = "b"\nsubject = "For a few"\n'
    )

    send(sqlite_shop, own)

    assert {"For everybody", "For a few"} == {read(one.data)["Subject"] for one in sink.taken}


def test_variants_get_their_share_and_their_template(sqlite_shop: Shop, edit: Edit) -> None:
    other = sqlite_shop.folder / "templates" / "other"
    other.mkdir()
    (other / "en.mjml").write_text(NOTE.replace("Something new", "Something other"))
    own = '[[variant]]\nname = "a"\nshare = 0.9\n[[variant]]\nname = "b"\nshare = 0.1\ntemplate = "other"\n'

    entries = plan_of(sqlite_shop, own, tag="all")

    drawn = Counter(one.entry.variant for one in entries)
    assert 0.85 < drawn["a"] / (drawn["a"] + drawn["b"]) < 0.95
    assert 2 == len({one.entry.template_hash for one in entries})
    assert 1 == len({one.entry.template_hash for one in entries if one.entry.variant == "b"})


# ---------------------------------------------------------------- too late: max_lateness and expires


@pytest.fixture
def mailer(sqlite_shop: Shop, sink: Sink, edit: Edit) -> Mailer:
    return sqlite_shop.open()


def send_later(shop: Shop, mailer: Mailer, more: str, **late: float) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Release a campaign for tomorrow's noon; a machine that was off sends it so much later. Counts and notes."""
    noon = mailer.clock().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
    path = shop.folder / "campaigns" / "story.toml"
    shop.campaign("few", more=more.replace("NOON", noon.isoformat()))
    path.write_text(path.read_text().replace('"now"', f'"{noon.isoformat()}"'))
    made = pipeline.make_plan(mailer, "story", mailer.clock(), "once", quiet)
    ledger.release(mailer.store, made.plan_id, mailer.clock(), mailer.keys)
    sent = pipeline.resume(replace(mailer, clock=clock_set_to(noon + timedelta(**late))), "story", None, quiet)
    return sent.counts, sent.notes


def test_what_is_later_than_the_campaign_allows_is_skipped_and_told(
    sqlite_shop: Shop, mailer: Mailer, sink: Sink
) -> None:
    counts, notes = send_later(sqlite_shop, mailer, 'max_lateness = "6 hours"\n', hours=7)

    assert (25, 0) == (counts["skipped"], counts["sent"])
    assert ("skipped: 25 expired",) == notes
    assert [] == sink.offered
    why = pipeline.why(mailer, address(3), "story", mailer.clock())
    assert ("skipped", "expired") == (why["state"], why["reason"])


def test_what_is_late_but_not_too_late_goes_out(sqlite_shop: Shop, mailer: Mailer) -> None:
    counts, _ = send_later(sqlite_shop, mailer, 'max_lateness = "6 hours"\n', hours=5)
    assert 25 == counts["sent"]


def test_lateness_has_no_limit_unless_the_campaign_sets_one(sqlite_shop: Shop, mailer: Mailer) -> None:
    counts, _ = send_later(sqlite_shop, mailer, "", days=2)
    assert 25 == counts["sent"]


@pytest.mark.parametrize(("hours", "sent"), [(23, 25), (24, 0)])
def test_a_campaign_sends_until_it_expires(sqlite_shop: Shop, mailer: Mailer, hours: int, sent: int) -> None:
    day_after = mailer.clock().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=2)

    counts, _ = send_later(sqlite_shop, mailer, f'expires = "{day_after.isoformat()}"\n', hours=hours)

    assert (sent, 25 - sent) == (counts["sent"], counts["skipped"])


def test_a_plan_that_is_released_after_its_hour_is_late_only_from_then_on(
    sqlite_shop: Shop, mailer: Mailer, sink: Sink
) -> None:
    three_days_ago = mailer.clock() - timedelta(days=3)
    name = sqlite_shop.campaign("few", more='max_lateness = "1 hour"\n')
    made = pipeline.make_plan(mailer, name, three_days_ago, "once", quiet)
    ledger.release(mailer.store, made.plan_id, mailer.clock(), mailer.keys)

    pipeline.resume(mailer, name, None, quiet)

    assert 25 == len(in_state(standings(mailer, made.plan_id), MessageState.SENT))
