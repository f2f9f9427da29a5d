"""A campaign goes out, and mail comes back: who is believed, who is never mailed again, what is only kept in mind."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from returned_mail import Returned, arf, dsn, holiday
from sink import AT_ONCE, Sink
from story_shop import Shop, address, agreed, quiet, standings

from engine import analysis, audience, ledger, pipeline
from engine.clock import clock_set_to
from engine.errors import MailboxUnavailable
from engine.model import Hit, HitKind, MessageState, Notice, NoticeKind
from engine.pipeline import Effect, Mailer
from engine.store.tables import event, suppression

FEW = 8
START = datetime.fromisoformat("2026-03-01T12:00:00+00:00")
FULL = {"status": "5.2.2", "diagnostic": "smtp; 552 5.2.2 mailbox full"}
DAY = timedelta(days=1)


@dataclass
class Story:
    """A shop with its bounce mailbox, at a moment that the test moves."""

    shop: Shop
    sink: Sink
    box: Returned
    at: datetime = START
    plans: list[int] = field(default_factory=list)
    opened: Mailer | None = None

    def mailer(self) -> Mailer:
        self.opened = self.opened or self.shop.open()
        return replace(self.opened, clock=clock_set_to(self.at))

    def send(self, more: str = "", more_people: Sequence[str] = ()) -> Mailer:
        """The campaign goes out once more to all the few."""
        mailer = self.mailer()
        name, occurrence = self.shop.campaign("few", more=more), f"round {len(self.plans)}"
        file = self.shop.folder / "campaigns" / "story.toml"
        file.write_text(
            file.read_text().replace("'few' in tags", f"email in {[*map(address, range(FEW)), *more_people]}")
        )
        sent = pipeline.send(mailer, name, None, occurrence, self.at, agreed, quiet)
        self.plans.append(sent.plan_id)
        return mailer

    def fetch(self, *mails: bytes) -> dict[str, int]:
        """These mails come back; what was done, without what was not."""
        self.box.put(*mails)
        found = pipeline.fetch_bounces(self.mailer(), self.at, quiet)
        return {name: number for name, number in found.items() if number}

    def id_of(self, number: int) -> str:
        """The delivery id of the last mail to this one of the few."""
        return standings(self.mailer(), self.plans[-1])[address(number)].message_id

    def id_of_contact(self, email: str) -> str:
        """The same, by the address that the shop knows now."""
        return standings(self.mailer(), self.plans[-1])[email].message_id

    def state(self, number: int) -> MessageState:
        return standings(self.mailer(), self.plans[-1])[address(number)].state

    def suppressed(self) -> dict[str, str]:
        """The reason by address, of the few."""
        mailer = self.mailer()
        hashes = {mailer.keys.address_hash(address(n)): address(n) for n in range(FEW)}
        with mailer.store.read() as db:
            rows = db.execute(sa.select(suppression.c.address_hash, suppression.c.reason)).all()
        return {hashes[row.address_hash]: row.reason for row in rows}

    def consents(self, number: int) -> bool | None:
        mailer = self.mailer()
        who = audience.find(mailer.store, address(number))
        return audience.standings(mailer.store, mailer.keys, [who])[who].mailing_consent

    def events(self) -> list[str]:
        with self.mailer().store.read() as db:
            return sorted(db.scalars(sa.select(event.c.kind)))


@pytest.fixture
def story(shop: Shop, sink: Sink) -> Story:
    return _story(shop, sink)


@pytest.fixture
def sqlite_story(sqlite_shop: Shop, sink: Sink) -> Story:
    return _story(sqlite_shop, sink)


def _story(shop: Shop, sink: Sink) -> Story:
    shop.configure(sink.port)
    return Story(shop, sink, Returned(shop.folder))


def delivered(mailer: Mailer, at: datetime) -> list[tuple[int, int]]:
    """What the report says: sent, and delivered."""
    found = analysis.to_json(pipeline.report(mailer, "story", "round 0", at))
    return [(one["sent"], one["delivered"]) for one in found["variants"]]


# ---------------------------------------------------------------- bounces with our id


def test_a_hard_bounce_with_our_id_suppresses_the_address_and_counts_as_not_delivered(story: Story) -> None:
    mailer = story.send()

    assert {"mails": 1, "suppressed": 1} == story.fetch(dsn(address(3), story.id_of(3)))

    assert {address(3): "bounced"} == story.suppressed()
    assert story.consents(3) is True  # nobody withdrew anything
    assert [(FEW, FEW - 1)] == delivered(mailer, story.at)
    why = pipeline.why(mailer, address(3), "story", story.at)
    assert "bounce" in [step["what"] for step in why["steps"]]
    story.send()
    assert 1 == story.sink.recipients()[address(3)]


def test_a_bounce_that_names_nobody_speaks_of_the_one_whose_id_it_carries(sqlite_story: Story) -> None:
    sqlite_story.send()
    notice = Notice(kind=NoticeKind.BOUNCED, reason="unknown_address", delivery_id=sqlite_story.id_of(3), source="file")

    applied = pipeline.apply_notice(sqlite_story.mailer(), notice, sqlite_story.at)

    assert (Effect.SUPPRESSED, "story", "id") == (applied.effect, applied.campaign, applied.matched_by)
    assert {address(3): "bounced"} == sqlite_story.suppressed()


def test_the_same_bounce_twice_is_applied_once(story: Story) -> None:
    story.send()
    mail = dsn(address(3), story.id_of(3), message_id="<one@relay.test>")

    assert {"mails": 2, "suppressed": 1, "repeated": 1} == story.fetch(mail, mail)
    assert {"mails": 1, "repeated": 1} == story.fetch(mail)
    assert ["bounce"] == story.events()


def test_an_id_does_not_reach_another_persons_address(sqlite_story: Story) -> None:
    """Whoever has a mail of ours may forge its bounce, and write any address into it."""
    sqlite_story.send()

    assert {"mails": 1, "counted": 1} == sqlite_story.fetch(dsn(address(4), sqlite_story.id_of(3)))

    assert {} == sqlite_story.suppressed()


def test_two_bounces_of_a_forwarders_target_a_day_apart_give_the_address_up(sqlite_story: Story) -> None:
    sqlite_story.send()
    assert {"mails": 1, "counted": 1} == sqlite_story.fetch(dsn("old@elsewhere.test", sqlite_story.id_of(3)))

    sqlite_story.at += DAY
    sqlite_story.send()
    assert {"mails": 1, "suppressed": 1} == sqlite_story.fetch(dsn("old@elsewhere.test", sqlite_story.id_of(3)))

    assert {address(3): "bounced"} == sqlite_story.suppressed()


def test_what_is_no_fault_of_the_address_never_suppresses_it(sqlite_story: Story) -> None:
    faultless = {
        1: ("5.7.1", "smtp; 550 5.7.1 blocked for its bad reputation"),
        2: ("5.7.26", "smtp; 550 5.7.26 unauthenticated mail"),
        3: ("5.3.4", "smtp; 552 5.3.4 message too big"),
    }
    for _ in range(3):
        sqlite_story.send()
        mails = [dsn(address(n), sqlite_story.id_of(n), *said) for n, said in faultless.items()]
        assert {"mails": 3, "kept": 3} == sqlite_story.fetch(*mails)
        sqlite_story.at += 10 * DAY

    assert {} == sqlite_story.suppressed()


def test_a_full_mailbox_is_given_up_after_five_messages_in_a_row_over_two_weeks(story: Story) -> None:
    for days in (0, 4, 4, 4):
        story.at += days * DAY
        story.send()
        assert {"mails": 1, "counted": 1} == story.fetch(dsn(address(3), story.id_of(3), **FULL))
    story.at += 4 * DAY
    story.send()

    assert {"mails": 1, "suppressed": 1} == story.fetch(dsn(address(3), story.id_of(3), **FULL))


def test_a_mail_that_came_through_in_between_breaks_the_row(sqlite_story: Story) -> None:
    for number in range(7):
        sqlite_story.send()
        if number != 3:
            counted = sqlite_story.fetch(dsn(address(3), sqlite_story.id_of(3), **FULL))
            assert {"mails": 1, "counted": 1} == counted
        sqlite_story.at += 4 * DAY

    assert {} == sqlite_story.suppressed()


def test_a_fetch_once_a_month_makes_no_burst_of_what_was_weeks_apart(sqlite_story: Story) -> None:
    mails = []
    for _ in range(5):
        sqlite_story.send()
        mails.append(dsn(address(3), sqlite_story.id_of(3), **FULL))
        sqlite_story.at += 4 * DAY

    assert {"mails": 5, "counted": 4, "suppressed": 1} == sqlite_story.fetch(*mails)


# ---------------------------------------------------------------- claims: an address, and no id


def test_a_bounce_without_an_id_suppresses_nobody_by_itself(story: Story) -> None:
    story.send()

    assert {"mails": 1, "counted": 1} == story.fetch(dsn(address(3)))
    assert {"mails": 3, "repeated": 3} == story.fetch(dsn(address(3)), dsn(address(3)), dsn(address(3)))
    story.at += 5 * DAY
    assert {"mails": 1, "repeated": 1} == story.fetch(dsn(address(3)))

    assert {} == story.suppressed()
    assert [(FEW, FEW)] == delivered(story.mailer(), story.at)


def test_two_claims_after_two_messages_a_day_apart_are_believed(story: Story) -> None:
    story.send()
    story.fetch(dsn(address(3)))
    story.at += DAY
    story.send()

    assert {"mails": 1, "suppressed": 1} == story.fetch(dsn(address(3)))


def test_a_click_refutes_a_claim(sqlite_story: Story) -> None:
    for number in range(3):
        mailer = sqlite_story.send()
        click = Hit(kind=HitKind.CLICK, delivery_id=sqlite_story.id_of(3), site=0, occurrence=0, at=sqlite_story.at)
        ledger.add_hits(mailer.store, [(f"hit{number}", click, None, "")])
        assert {"mails": 1, "ignored": 1} == sqlite_story.fetch(dsn(address(3)))
        sqlite_story.at += DAY

    assert {} == sqlite_story.suppressed()


def test_a_claim_about_somebody_whom_we_did_not_mail_lately_is_dropped(sqlite_story: Story) -> None:
    sqlite_story.send()
    sqlite_story.at += 31 * DAY

    assert {"mails": 1, "ignored": 1} == sqlite_story.fetch(dsn(address(3)))
    assert {"mails": 1, "ignored": 1} == sqlite_story.fetch(arf(address(3)))
    assert {"mails": 1, "unmatched": 1} == sqlite_story.fetch(dsn("stranger@elsewhere.test"))

    assert ({}, []) == (sqlite_story.suppressed(), sqlite_story.events())


def test_a_provider_that_signs_is_believed_without_an_id(sqlite_story: Story) -> None:
    sqlite_story.send()
    notice = Notice(kind=NoticeKind.BOUNCED, reason="unknown_address", recipient=address(3), source="ses")

    applied = pipeline.apply_notice(sqlite_story.mailer(), notice, sqlite_story.at)

    assert (Effect.SUPPRESSED, "recipient") == (applied.effect, applied.matched_by)


# ---------------------------------------------------------------- complaints and opt-outs


def test_a_complaint_with_our_id_is_for_good(story: Story) -> None:
    mailer = story.send()
    mail = arf(address(3), story.id_of(3), message_id="<c@provider.test>")

    assert {"mails": 2, "complained": 1, "repeated": 1} == story.fetch(mail, mail)

    assert {address(3): "complained"} == story.suppressed()
    assert story.consents(3) is False
    assert ["complaint"] == story.events()
    choice = pipeline.set_choice(mailer, story.id_of(3), pipeline.Choice(mailing=True, tracking=False), story.at)
    assert choice is not None
    assert not choice.mailing


def test_a_complaint_without_an_id_is_an_opt_out_that_she_can_take_back(story: Story) -> None:
    mailer = story.send()
    mail = arf(address(3), message_id="<c@provider.test>")

    assert {"mails": 1, "opted_out": 1} == story.fetch(mail)

    assert ({address(3): "unsubscribed"}, False) == (story.suppressed(), story.consents(3))
    pipeline.set_choice(mailer, story.id_of(3), pipeline.Choice(mailing=True, tracking=False), story.at + DAY)
    assert {"mails": 1, "repeated": 1} == story.fetch(mail)
    assert ({}, True) == (story.suppressed(), story.consents(3))


def test_an_unsubscribe_told_by_a_provider_is_heard_once(sqlite_story: Story) -> None:
    mailer = sqlite_story.send()
    notice = Notice(
        kind=NoticeKind.UNSUBSCRIBED, delivery_id=sqlite_story.id_of(3), source="ses", notice_id="sns-1", at=START
    )

    effects = [pipeline.apply_notice(mailer, notice, sqlite_story.at).effect for _ in range(2)]

    assert [Effect.OPTED_OUT, Effect.REPEATED] == effects
    assert {address(3): "unsubscribed"} == sqlite_story.suppressed()


# ---------------------------------------------------------------- what says nothing about the address


def test_holiday_notes_and_delays_are_ignored(sqlite_story: Story) -> None:
    sqlite_story.send()
    delayed = dsn(address(4), sqlite_story.id_of(4), status="4.4.1", action="delayed")

    assert {"mails": 2, "ignored": 2} == sqlite_story.fetch(holiday(sqlite_story.id_of(3)), delayed)

    assert ({}, []) == (sqlite_story.suppressed(), sqlite_story.events())


# ---------------------------------------------------------------- evidence


def lose_the_answer_to(sink: Sink, *numbers: int) -> None:
    """The server stores these mails, and hangs up instead of answering."""
    lost = {address(number) for number in numbers}
    sink.answers = lambda stage, recipient: AT_ONCE if stage == "." and recipient in lost else None


def test_whatever_comes_back_of_an_uncertain_message_proves_that_it_was_sent(story: Story) -> None:
    lose_the_answer_to(story.sink, *range(FEW))
    mailer, at = story.send(), story.at
    ids = [story.id_of(n) for n in range(FEW)]
    assert {MessageState.UNCERTAIN} == {story.state(n) for n in range(FEW)}

    story.fetch(dsn(address(0), ids[0]), arf(address(1), ids[1]), holiday(ids[2]))
    spool = pipeline.spool_of(mailer)
    spool.append(Hit(kind=HitKind.CLICK, delivery_id=ids[3], site=0, occurrence=0, at=at))
    spool.flush()
    assert 0 == pipeline.drain_hits(mailer, spool)  # she did not agree to be followed: nothing else is kept
    assert pipeline.opt_out(mailer, ids[4], at, "link")
    for number, kind in ((5, NoticeKind.DELIVERED), (6, NoticeKind.OPENED)):
        notice = Notice(kind=kind, delivery_id=ids[number], source="resend", notice_id=f"n{number}")
        assert Effect.SETTLED is pipeline.apply_notice(mailer, notice, at).effect

    assert [MessageState.SENT] * 7 + [MessageState.UNCERTAIN] == [story.state(n) for n in range(FEW)]
    counts = ledger.counts(mailer.store, story.plans[-1])
    assert (7, 1) == (counts["sent"], counts["uncertain"])


def test_a_claim_proves_nothing(sqlite_story: Story) -> None:
    lose_the_answer_to(sqlite_story.sink, 3)
    sqlite_story.send()

    sqlite_story.fetch(dsn(address(3)))

    assert MessageState.UNCERTAIN is sqlite_story.state(3)


def test_evidence_settles_before_a_resend_is_decided(sqlite_story: Story) -> None:
    lose_the_answer_to(sqlite_story.sink, 3, 4)
    sqlite_story.send()
    sqlite_story.fetch(holiday(sqlite_story.id_of(3)))
    sqlite_story.sink.answers = lambda _stage, _recipient: None

    resumed = pipeline.resume(sqlite_story.mailer(), "story", "resend", quiet)

    assert FEW == resumed.counts["sent"]
    assert {address(4)} == {one.recipient for one in sqlite_story.sink.offered[FEW:]}


def test_a_campaign_that_asks_tells_what_it_asks(sqlite_story: Story) -> None:
    lose_the_answer_to(sqlite_story.sink, 3, 4)
    mailer = sqlite_story.send(more='uncertain = "ask"\n')
    sqlite_story.at += DAY
    pipeline.tick(sqlite_story.mailer())

    asked = "story asks about 2 messages handed over since 2026-03-01 12:00 UTC whose answer was lost"
    status = pipeline.status(sqlite_story.mailer(), sqlite_story.at)
    assert [True] == [line.startswith(asked) for line in status["worries"] if "asks" in line]
    resumed = pipeline.resume(mailer, "story", "ask", quiet)
    assert [True] == [line.startswith(asked) for line in resumed.notes if "asks" in line]
    resumed = pipeline.resume(mailer, "story", "assume-sent", quiet)
    assert [] == [line for line in resumed.notes if "asks" in line]


# ---------------------------------------------------------------- the mailbox


def test_a_mail_is_marked_when_its_effect_is_committed_and_not_before(
    sqlite_story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_story.send()
    sqlite_story.box.put(dsn(address(3), sqlite_story.id_of(3)), dsn(address(4), sqlite_story.id_of(4)))

    def tell(done: int, _total: int | None) -> None:
        assert done == sqlite_story.box.done()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.fetch_bounces(sqlite_story.mailer(), sqlite_story.at, tell)

    assert (1, 1) == (sqlite_story.box.done(), sqlite_story.box.waiting())
    assert {address(3): "bounced"} == sqlite_story.suppressed()
    assert {"mails": 1, "suppressed": 1} == sqlite_story.fetch()


def test_a_mailbox_that_is_not_there_is_told(sqlite_story: Story) -> None:
    (sqlite_story.box.folder / "new").rmdir()

    with pytest.raises(MailboxUnavailable, match="is no Maildir"):
        sqlite_story.fetch()


# ---------------------------------------------------------------- another address since


MOVED_TO = "anna.new@shop.test"


def _moves(story: Story, number: int) -> None:
    """The shop learns that one of the few has another address."""
    head = "email,external_id,given_name,mailing_consent,mailing_consent_at,consent_source\n"
    for email in (address(number), MOVED_TO):
        story.shop.import_text("contacts", head + f"{email},C{number},Anna,yes,2026-01-01,shop\n")


def _may_be_mailed(story: Story, email: str) -> bool:
    mailer = story.mailer()
    who = audience.find(mailer.store, email)
    return not audience.standings(mailer.store, mailer.keys, [who])[who].suppressed


@pytest.mark.parametrize("names_her", [True, False])
def test_the_bounce_of_an_old_address_does_not_shut_out_the_new_one(story: Story, names_her: bool) -> None:
    story.send()
    _moves(story, 3)

    story.fetch(dsn(address(3) if names_her else "", story.id_of_contact(MOVED_TO)))

    assert _may_be_mailed(story, MOVED_TO)


def test_a_provider_s_bounce_of_an_old_address_does_not_shut_out_the_new_one(sqlite_story: Story) -> None:
    sqlite_story.send()
    _moves(sqlite_story, 3)
    told = Notice(
        kind=NoticeKind.BOUNCED,
        reason="unknown_address",
        delivery_id=sqlite_story.id_of_contact(MOVED_TO),
        recipient=address(3),
        source="ses",
    )

    pipeline.apply_notice(sqlite_story.mailer(), told, sqlite_story.at)

    assert _may_be_mailed(sqlite_story, MOVED_TO)


def test_what_an_old_address_answered_does_not_shut_out_the_new_one_at_night(story: Story) -> None:
    story.sink.answers = lambda stage, recipient: (
        "550 5.1.1 no such user" if (stage, recipient) == ("RCPT", address(3)) else None
    )
    story.send()
    _moves(story, 3)

    pipeline.night(story.mailer(), story.at)

    assert _may_be_mailed(story, MOVED_TO)


def test_what_an_old_address_answered_is_not_counted_against_the_new_one(sqlite_story: Story) -> None:
    sqlite_story.sink.answers = lambda stage, recipient: (
        "550 no" if (stage, recipient) == ("RCPT", address(3)) else None
    )
    sqlite_story.send()
    _moves(sqlite_story, 3)
    store = sqlite_story.mailer().store

    record = ledger.address_record(store, audience.find(store, MOVED_TO), claimed_as="doubtful_address")

    assert {} == record.refusals


@pytest.mark.parametrize("rows_between", [0, 1200])
def test_a_file_that_holds_her_twice_makes_no_move_of_it(story: Story, rows_between: int) -> None:
    head = "email,external_id\n"
    story.shop.import_text("contacts", f"{head}{address(3)},C3\n")
    story.send()
    between = "".join(f"between{n}@shop.test,\n" for n in range(rows_between))

    story.shop.import_text("contacts", f"{head}{MOVED_TO},C3\n{between}{address(3)},C3\n")
    story.fetch(dsn(address(3), story.id_of(3)))

    assert not _may_be_mailed(story, address(3))


def test_a_bounce_of_the_new_address_counts(sqlite_story: Story) -> None:
    _moves(sqlite_story, 3)
    sqlite_story.at = datetime.now(UTC) + DAY
    sqlite_story.send(more_people=[MOVED_TO])

    sqlite_story.fetch(dsn(MOVED_TO, sqlite_story.id_of_contact(MOVED_TO)))

    assert not _may_be_mailed(sqlite_story, MOVED_TO)


# ---------------------------------------------------------------- live refusals


def test_addresses_that_a_killed_sender_had_no_time_for_are_given_up_at_night(sqlite_story: Story) -> None:
    sqlite_story.sink.answers = lambda stage, recipient: (
        "550 5.1.1 no such user" if (stage, recipient) == ("RCPT", address(3)) else None
    )
    sqlite_story.send()
    with sqlite_story.mailer().store.write() as db:
        db.execute(sa.delete(suppression))

    pipeline.night(sqlite_story.mailer(), sqlite_story.at)

    assert {address(3): "bounced"} == sqlite_story.suppressed()


def test_a_live_refusal_counts_with_the_bounces(sqlite_story: Story) -> None:
    """A doubtful answer today, a doubtful bounce tomorrow."""
    sqlite_story.sink.answers = lambda stage, recipient: (
        "550 5.1.0 rejected" if (stage, recipient) == ("RCPT", address(3)) else None
    )
    mailer = sqlite_story.send()
    who = audience.find(mailer.store, address(3))
    assert Effect.COUNTED is pipeline.address_consequence(mailer, who, "doubtful_address", sqlite_story.at, "smtp")
    sqlite_story.sink.answers = lambda _stage, _recipient: None
    sqlite_story.at += DAY
    sqlite_story.send()

    bounce = dsn(address(3), sqlite_story.id_of(3), status="5.1.0", diagnostic="smtp; 550 5.1.0 rejected")
    assert {"mails": 1, "suppressed": 1} == sqlite_story.fetch(bounce)


def test_a_live_refusal_that_is_no_fault_of_the_address_keeps_it(sqlite_story: Story) -> None:
    mailer = sqlite_story.mailer()
    who = audience.find(mailer.store, address(3))

    for reason in ("blocked", "content", "configuration", "throttled", "greylisted", "refused", "expired", "nonsense"):
        assert Effect.KEPT is pipeline.address_consequence(mailer, who, reason, sqlite_story.at, "smtp")

    assert {} == sqlite_story.suppressed()


def test_a_live_unknown_address_is_given_up_while_the_campaign_goes_on(story: Story) -> None:
    story.sink.answers = lambda stage, recipient: (
        "550 5.1.1 no such user" if (stage, recipient) == ("RCPT", address(3)) else None
    )

    story.send()

    assert {address(3): "bounced"} == story.suppressed()
    assert FEW - 1 == len(story.sink.taken)
