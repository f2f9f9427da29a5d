"""A journey that runs: who is inside gets her mails in their order and time, each once, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from journey_shop import (
    MAIL_WAIT_MAIL,
    called,
    contacts,
    entries,
    let_in,
    mails,
    stands_at,
    states,
    ways,
    write_journey,
)
from sink import Sink
from story_shop import Shop

from engine import audience, journeys, ledger, pipeline
from engine.cli.app import run
from engine.errors import BadJourney, Refused
from engine.ledger import Enrolment
from engine.message import CompiledTemplate
from engine.model import CampaignState, EnrolmentState
from engine.pipeline import Mailer
from engine.store.tables import contact, enrolment, event, message, plan

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def started(shop: Shop, steps: str = MAIL_WAIT_MAIL, more: str = "") -> Mailer:
    write_journey(shop, steps, more)
    mailer = shop.open()
    journeys.start(mailer, "story", AT)
    return mailer


def bought(mailer: Mailer, contact_id: int, at: datetime) -> None:
    with mailer.store.write() as db:
        new = {"event_id": f"e{contact_id} {at}", "contact_id": contact_id, "kind": "bought", "at": at}
        db.execute(sa.insert(event).values(new))


def the_one(mailer: Mailer) -> Enrolment:
    with mailer.store.read() as db:
        who = db.scalar(sa.select(enrolment.c.contact_id))
    assert who is not None
    (one,) = ledger.enrolments_of(mailer.store, who, "story")
    return one


def test_everybody_gets_the_first_mail_at_once_and_the_second_after_her_wait(shop: Shop) -> None:
    mailer = started(shop)
    assert 25 == let_in(mailer, "story", contacts(mailer, 25), AT)

    journeys.advance(mailer, AT)

    assert {"story/hello": 25} == mails(mailer)
    assert {("waiting", "rest"): 25} == states(mailer)

    journeys.advance(mailer, AT + 3 * DAY - timedelta(seconds=1))
    assert {"story/hello": 25} == mails(mailer)

    journeys.advance(mailer, AT + 3 * DAY)
    assert {"story/hello": 25, "story/again": 25} == mails(mailer)
    assert {("done", "end"): 25} == states(mailer)
    way = [(0, "hello", "sent", "rest"), (1, "rest", "waited", "again"), (2, "again", "sent", "end")]
    assert [way] * 25 == list(ways(mailer).values())


def test_the_mails_hang_on_a_released_plan_that_a_sender_may_claim(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 25), AT)

    journeys.advance(mailer, AT)

    (standing,) = ledger.plans_of(mailer.store, "story/hello")
    assert "v1/2026-03" == standing.occurrence
    assert 25 == standing.summary["messages"] == standing.summary["audience"]
    assert 25 == ledger.counts(mailer.store, standing.id)["waiting"]
    claim = ledger.claim(mailer.store, "me", AT)
    assert claim is not None
    assert 25 == len(claim.items)
    assert "Person" in claim.items[0].context["given_name"]


def test_whoever_reached_the_goal_is_through_at_once(shop: Shop) -> None:
    mailer = started(shop)
    first, second = contacts(mailer, 2)
    let_in(mailer, "story", [first, second], AT)
    journeys.advance(mailer, AT)
    bought(mailer, first, AT + timedelta(hours=5))

    assert 1 == ledger.wake(mailer.store, [first], AT + DAY)
    journeys.advance(mailer, AT + DAY)

    assert {("goal", "rest"): 1, ("waiting", "rest"): 1} == states(mailer)
    journeys.advance(mailer, AT + 3 * DAY)
    assert {"story/hello": 2, "story/again": 1} == mails(mailer)


def test_who_opted_out_inside_is_skipped_with_the_reason_and_goes_on(shop: Shop) -> None:
    mailer = started(shop)
    (one,) = contacts(mailer, 1)
    let_in(mailer, "story", [one], AT)
    journeys.advance(mailer, AT)

    audience.opt_out(mailer.store, mailer.keys, one, AT + DAY, "test", mailer.settings.state_dir)
    journeys.advance(mailer, AT + 3 * DAY)

    assert {("message", ""): 1, ("skipped", "suppressed"): 1} == entries(mailer)
    assert {("done", "end"): 1} == states(mailer)


def test_the_held_out_go_the_same_way_and_get_nothing(shop: Shop) -> None:
    steps = MAIL_WAIT_MAIL + '\n[[step]]\nid = "tell"\nwebhook = "https://shop.example/hook"\n'
    mailer = started(shop, steps)
    first, second = contacts(mailer, 2)
    let_in(mailer, "story", [first], AT)
    let_in(mailer, "story", [second], AT, held_out=True)

    journeys.advance(mailer, AT)
    journeys.advance(mailer, AT + 3 * DAY)

    assert {"story/hello": 1, "story/again": 1} == mails(mailer)
    assert {("message", ""): 2, ("holdout", ""): 2} == entries(mailer)
    assert 1 == len({tuple(way) for way in ways(mailer).values()})
    assert 1 == called(mailer)


def test_a_pause_holds_the_mails_and_shifts_every_wait_by_its_length(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 3), AT)
    journeys.advance(mailer, AT)

    journeys.pause(mailer, "story", "think", AT + DAY)
    assert ledger.claim(mailer.store, "me", AT + DAY) is None  # nor does what was planned go out
    journeys.advance(mailer, AT + 5 * DAY)
    assert {("waiting", "rest"): 3} == states(mailer)
    journeys.resume(mailer, "story", "", AT + 5 * DAY)

    journeys.advance(mailer, AT + 7 * DAY - timedelta(seconds=1))
    assert {"story/hello": 3} == mails(mailer)
    assert AT + 7 * DAY == the_first(mailer).rings_at
    journeys.advance(mailer, AT + 7 * DAY)
    assert {"story/hello": 3, "story/again": 3} == mails(mailer)
    assert ledger.claim(mailer.store, "me", AT + 7 * DAY) is not None


def the_first(mailer: Mailer) -> Enrolment:
    (one,) = ledger.enrolments_of(mailer.store, contacts(mailer, 1)[0], "story")
    return one


def test_a_paused_journey_still_ends_for_whom_the_goal_is_reached(shop: Shop) -> None:
    mailer = started(shop)
    first, second = contacts(mailer, 2)
    let_in(mailer, "story", [first, second], AT)
    journeys.advance(mailer, AT)
    journeys.pause(mailer, "story", "think", AT + DAY)
    bought(mailer, first, AT + 4 * DAY)

    ledger.wake(mailer.store, [first, second], AT + 4 * DAY)  # also rung, long ago
    journeys.advance(mailer, AT + 4 * DAY)

    assert {("goal", "rest"): 1, ("waiting", "rest"): 1} == states(mailer)
    assert {"story/hello": 2} == mails(mailer)
    assert [] == ledger.claim_enrolments(mailer.store, AT + 4 * DAY)


def test_who_was_woken_just_before_the_pause_is_seen_in_it(shop: Shop) -> None:
    mailer = started(shop)
    (one,) = contacts(mailer, 1)
    let_in(mailer, "story", [one], AT)
    journeys.advance(mailer, AT)
    bought(mailer, one, AT + DAY)
    ledger.wake(mailer.store, [one], AT + DAY)

    journeys.pause(mailer, "story", "think", AT + DAY + timedelta(seconds=5))
    journeys.advance(mailer, AT + 2 * DAY)

    assert {("goal", "rest"): 1} == states(mailer)


def test_who_is_inside_finishes_the_version_she_started(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)

    write_journey(shop, MAIL_WAIT_MAIL.replace('"again"', '"other"'))
    assert 2 == journeys.start(mailer, "story", AT + DAY).version
    journeys.advance(mailer, AT + 3 * DAY)

    assert {"story/hello": 2, "story/again": 2} == mails(mailer)


def test_with_on_edit_move_she_goes_on_in_the_newest_at_the_step_of_the_same_id(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)

    write_journey(shop, MAIL_WAIT_MAIL.replace('"again"', '"other"'), 'on_edit = "move"')
    journeys.start(mailer, "story", AT + DAY)
    journeys.advance(mailer, AT + 3 * DAY)

    assert {"story/hello": 2, "story/other": 2} == mails(mailer)
    assert {("done", "end"): 2} == states(mailer)


def test_a_step_that_is_gone_leads_to_the_next_one_that_there_still_is(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)

    without_rest = MAIL_WAIT_MAIL.replace('[[step]]\nid   = "rest"\nwait = "3 days"\n', "")
    write_journey(shop, without_rest, 'on_edit = "move"')
    published = journeys.start(mailer, "story", AT + DAY)
    journeys.advance(mailer, AT + DAY)

    assert (("rest",), 2) == (published.difference.removed, published.woken)
    assert {"story/hello": 2, "story/again": 2} == mails(mailer)
    assert (1, "rest", "moved", "again") == next(iter(ways(mailer).values()))[1]


def test_an_edited_text_reaches_everyone_whose_mail_is_not_planned_yet(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 1), AT)
    journeys.advance(mailer, AT)
    file = shop.folder / "templates" / "note" / "en.mjml"
    file.write_text(file.read_text().replace("Something new has come in.", "It is spring."))

    journeys.advance(mailer, AT + 3 * DAY)

    first, second = hashes(mailer)
    assert first != second
    assert "It is spring." in html(mailer, second)


def test_a_broken_template_is_told_and_the_last_good_one_goes_on(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 1), AT)
    (shop.folder / "templates" / "note" / "en.mjml").write_text("<mjml><mj-body>{{ nonsense </mj-body></mjml>")

    journeys.advance(mailer, AT)

    assert {"story/hello": 1} == mails(mailer)
    assert ["story/hello"] == list(ledger.template_faults(mailer.store))
    assert "template:story/hello" in causes(mailer)


def causes(mailer: Mailer) -> set[str]:
    """What `mailer status`, `/ready` and [alerts] would tell of."""
    return {one.cause for one in pipeline.worries(mailer, AT)}


def hashes(mailer: Mailer) -> list[str]:
    plans = sorted(ledger.plans_of(mailer.store), key=lambda one: one.id)
    return [entry.entry.template_hash for one in plans for entry in ledger.entries_of(mailer.store, one.id)]


def html(mailer: Mailer, template_hash: str) -> str:
    kept = ledger.template(mailer.store, template_hash)
    assert kept is not None
    return CompiledTemplate.from_bytes(kept).html.source


def test_a_rule_that_can_not_be_read_holds_her_alone_and_is_told(shop: Shop) -> None:
    branch = '[[step]]\nid = "which"\nbranch = [{ if = "segment(\'spring\')", to = "hello" }, { to = "hello" }]\n'
    (shop.folder / "segments.toml").write_text('[spring]\nwhere = "orders_count > 0"\n')
    mailer = started(shop, branch + MAIL_WAIT_MAIL)
    write_journey(shop, MAIL_WAIT_MAIL, name="sound")
    journeys.start(mailer, "sound", AT)
    let_in(mailer, "story", contacts(mailer, 1), AT)
    let_in(mailer, "sound", contacts(mailer, 2), AT)
    (shop.folder / "segments.toml").write_text('[autumn]\nwhere = "orders_count > 0"\n')

    journeys.advance(mailer, AT)

    assert {"sound/hello": 2} == mails(mailer)
    (held,) = ledger.held_up(mailer.store)
    assert ("story", "which", 1) == (held.journey, held.step, held.enrolments)
    assert "spring" in held.reason
    assert "held:story/which" in causes(mailer)
    (shop.folder / "segments.toml").write_text('[spring]\nwhere = "orders_count > 0"\n')
    journeys.advance(mailer, AT + timedelta(hours=1))
    assert {"sound/hello": 2, "story/hello": 1} == mails(mailer)
    assert [] == ledger.held_up(mailer.store)


def test_who_passes_a_step_again_within_the_month_gets_its_mail_again(shop: Shop) -> None:
    ring = MAIL_WAIT_MAIL.replace('id   = "again"\nsend = "note"', 'id = "back"\nbranch = [{ to = "hello" }]')
    mailer = started(shop, ring)
    let_in(mailer, "story", contacts(mailer, 2), AT)

    for day in (0, 3, 6):
        journeys.advance(mailer, AT + day * DAY)

    assert {"story/hello": 6} == mails(mailer)
    plans = {one.occurrence for one in ledger.plans_of(mailer.store, "story/hello")}
    assert {"v1/2026-03", "v1/2026-03/2", "v1/2026-03/3"} == plans
    with mailer.store.read() as db:
        assert 6 == len(set(db.scalars(sa.select(message.c.occurrence))))


def test_cancelling_lets_everybody_leave_and_nothing_more_go_out(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 5), AT)
    journeys.advance(mailer, AT)

    assert 5 == journeys.cancel(mailer, "story", AT + DAY)

    assert {("left", "rest"): 5} == states(mailer)
    assert ledger.claim(mailer.store, "me", AT + DAY) is None
    with mailer.store.read() as db:
        assert {"cancelled"} == set(db.scalars(sa.select(enrolment.c.reason)))
        assert {"cancelled"} == set(db.scalars(sa.select(plan.c.state)))


def test_a_cancelled_journey_can_be_started_anew(shop: Shop) -> None:
    mailer = started(shop)
    first, second = contacts(mailer, 2)
    let_in(mailer, "story", [first], AT)
    journeys.advance(mailer, AT)
    journeys.cancel(mailer, "story", AT + DAY)

    journeys.start(mailer, "story", AT + DAY)
    let_in(mailer, "story", [second], AT + DAY)
    journeys.advance(mailer, AT + DAY)

    claim = ledger.claim(mailer.store, "me", AT + DAY)
    assert claim is not None
    assert [second] == [item.contact_id for item in claim.items]


def test_who_is_inside_an_ended_journey_goes_on_to_her_own_end(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)

    journeys.end(mailer, "story", AT + DAY)
    journeys.advance(mailer, AT + 3 * DAY)

    assert {("done", "end"): 2} == states(mailer)


def test_a_step_that_paused_itself_pauses_its_journey_and_only_a_word_lets_it_go_on(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)
    braked = f"{ledger.BRAKED}too many refusals"
    ledger.set_state(mailer.store, "story/hello", CampaignState.PAUSED, braked, AT + DAY)

    journeys.advance(mailer, AT + 3 * DAY)

    assert {("waiting", "rest"): 2} == states(mailer)
    with pytest.raises(Refused, match="paused itself"):
        journeys.resume(mailer, "story", "", AT + 4 * DAY)
    journeys.resume(mailer, "story", "the list was old", AT + 4 * DAY)
    stands = ledger.journey_of(mailer.store, "story")
    assert stands is not None
    assert CampaignState.RUNNING == stands.state


def test_the_word_that_lets_a_journey_go_on_ends_the_hold_of_its_destinations(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer = started(sqlite_shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)
    ledger.hold(mailer.store, ledger.scope_of("main", "shop.test"), 3600, "blocked: unauthenticated")

    code = run(["--workspace", str(sqlite_shop.folder), "resume", "story", "--because", "the DKIM record was missing"])

    assert (0, 2) == (code, len(sink.taken))


def test_a_brake_that_comes_while_its_journey_is_let_go_stays_on(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 2), AT)
    journeys.advance(mailer, AT)
    journeys.pause(mailer, "story", "lunch", AT + DAY)
    braked = f"{ledger.BRAKED}too many complaints"
    ledger.set_state(mailer.store, "story/hello", CampaignState.PAUSED, braked, AT + DAY)

    ledger.set_journey_state(mailer.store, "story", CampaignState.RUNNING, "", AT + 2 * DAY)

    assert [True] == [one.is_braked for one in ledger.step_campaigns(mailer.store, "story")]


def test_a_tick_ends_no_campaign_that_a_journey_mails_for(shop: Shop) -> None:
    mailer = started(shop)
    let_in(mailer, "story", contacts(mailer, 1), AT)
    journeys.advance(mailer, AT)
    (one,) = ledger.step_campaigns(mailer.store, "story")
    for plan_of_it in ledger.plans_of(mailer.store, one.name):
        ledger.cancel(mailer.store, plan_of_it.id)

    pipeline.tick(mailer)

    assert [CampaignState.RUNNING] == [each.state for each in ledger.step_campaigns(mailer.store, "story")]


def test_a_file_with_a_broken_template_is_not_started(shop: Shop) -> None:
    write_journey(shop, MAIL_WAIT_MAIL)
    (shop.folder / "templates" / "note" / "en.mjml").write_text("<mjml><mj-body>{{ nonsense </mj-body></mjml>")
    mailer = shop.open()

    with pytest.raises(BadJourney, match=r"en\.mjml"):
        journeys.start(mailer, "story", AT)
    assert ledger.journey_of(mailer.store, "story") is None


def test_a_tag_is_given_and_the_webhook_is_ordered_with_the_step(shop: Shop) -> None:
    steps = '[[step]]\nid = "mark"\ntag = "seen"\n[[step]]\nid = "tell"\nwebhook = "https://shop.example/hook"\n'
    mailer = started(shop, steps)
    (one,) = contacts(mailer, 1)
    let_in(mailer, "story", [one], AT)

    journeys.advance(mailer, AT)

    with mailer.store.read() as db:
        tags, changed = db.execute(sa.select(contact.c.tags, contact.c.changed).where(contact.c.id == one)).one()
    assert ("seen", True) == (tags[-1], changed)
    assert 1 == called(mailer)
    assert EnrolmentState.DONE == the_one(mailer).state


def test_what_she_bought_before_she_came_in_does_not_keep_her_mail_from_her(shop: Shop, sink: Sink) -> None:
    shop.configure(port=sink.port)
    mailer = started(shop)
    first, second = contacts(mailer, 2)
    let_in(mailer, "story", [first], AT)
    journeys.advance(mailer, AT)  # the month's plan stands from here on
    bought(mailer, second, AT + timedelta(hours=1))
    let_in(mailer, "story", [second], AT + timedelta(hours=2))
    journeys.advance(mailer, AT + timedelta(hours=2))
    bought(mailer, first, AT + timedelta(hours=3))

    pipeline.send_due(stands_at(mailer, AT + timedelta(hours=4)), pipeline.Stop())

    with mailer.store.read() as db:
        found = dict(map(tuple, db.execute(sa.select(message.c.contact_id, message.c.state))))
    assert {first: "skipped", second: "sent"} == found
