"""Webhooks at the running server: proven, applied once, committed before the answer."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from fake_providers import TOPIC, WEBHOOK_SECRET, Sns, resend_event, ses_event, svix_headers
from tracked_shop import SENT_AT, Site, mail_to, served

from engine.store.tables import attempt, event, message, suppression

_TRANSPORTS = f"""
[transport.api]
kind = "resend"
password_file = "api.key"
webhook_secret_file = "hook.secret"

[transport.aws]
kind = "ses"
username = "AKIATEST"
password_file = "api.key"
topics = ["{TOPIC}"]

[transport.mute]
kind = "resend"
password_file = "api.key"
"""
BOUNCE = {"type": "Permanent", "subType": "General", "diagnosticCode": ["smtp; 550 5.1.1 user unknown"]}


@pytest.fixture(scope="module")
def topic() -> Sns:
    return Sns(SENT_AT)


@pytest.fixture
def hooked(shop: Path, topic: Sns) -> Iterator[Site]:
    """The shop's server, with two transports whose providers tell it what became of its mails."""
    (shop / "api.key").write_text("re_key\n")
    (shop / "hook.secret").write_text(WEBHOOK_SECRET + "\n")
    with (shop / "config.toml").open("a") as config:
        config.write(_TRANSPORTS)
    topic.fetched.clear()
    with served(shop, topic.fetch) as site:
        yield site


def id_of(site: Site, name: str) -> str:
    """The delivery id of somebody's mail."""
    found = re.fullmatch(r"<([^@]+)@.*>", mail_to(site.mailer.folder, name).message["Message-ID"])
    assert found
    return found[1]


def by_resend(site: Site, body: bytes, identifier: str = "msg_1", **headers: str) -> requests.Response:
    signed = svix_headers(body, site.now[0], identifier) | headers
    return site.call("POST", f"{site.base}/hooks/api", data=body, headers=signed)


def by_ses(site: Site, body: bytes) -> requests.Response:
    return site.call("POST", f"{site.base}/hooks/aws", data=body)


def kept(site: Site) -> list[str]:
    """The kinds of events in the database, in order."""
    with site.mailer.store.read() as db:
        kinds = ("bounce", "complaint")
        return [row.kind for row in db.execute(sa.select(event.c.kind).order_by(event.c.id)) if row.kind in kinds]


def suppressed(site: Site) -> int:
    with site.mailer.store.read() as db:
        return db.execute(sa.select(sa.func.count()).select_from(suppression)).scalar_one()


def test_a_bounce_is_kept_and_gives_the_address_up(hooked: Site) -> None:
    answer = by_resend(hooked, resend_event("email.bounced", id_of(hooked, "anna"), bounce=BOUNCE))

    assert (200, "ok") == (answer.status_code, answer.text)
    assert (["bounce"], 1) == (kept(hooked), suppressed(hooked))


def test_a_bounce_by_sns_does_the_same(hooked: Site, topic: Sns) -> None:
    recipient = {"emailAddress": "anna@people.test", "status": "5.1.1", "diagnosticCode": "smtp; 550 user unknown"}
    part = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [recipient]}

    answer = by_ses(hooked, topic.notification(ses_event("Bounce", id_of(hooked, "anna"), part)))

    assert 200 == answer.status_code
    assert (["bounce"], 1) == (kept(hooked), suppressed(hooked))


def test_a_complaint_is_for_good(hooked: Site) -> None:
    assert 200 == by_resend(hooked, resend_event("email.complained", id_of(hooked, "bahar"))).status_code
    assert (["complaint"], 1) == (kept(hooked), suppressed(hooked))


def test_what_comes_twice_is_applied_once(hooked: Site, topic: Sns) -> None:
    body = resend_event("email.bounced", id_of(hooked, "anna"), bounce=BOUNCE)
    complaint = topic.notification(ses_event("Complaint", id_of(hooked, "chen"), {}))

    answers = [by_resend(hooked, body), by_resend(hooked, body), by_ses(hooked, complaint), by_ses(hooked, complaint)]

    assert [200] * 4 == [one.status_code for one in answers]
    assert (["bounce", "complaint"], 2) == (kept(hooked), suppressed(hooked))


def test_an_event_settles_what_was_uncertain(hooked: Site) -> None:
    delivery_id = id_of(hooked, "anna")
    with hooked.mailer.store.write() as db:
        changed = sa.update(message).where(message.c.delivery_id == delivery_id).values(state="uncertain")
        mine = db.execute(changed.returning(message.c.id)).scalar_one()
        db.execute(sa.update(attempt).where(attempt.c.message_id == mine).values(state="uncertain"))

    assert 200 == by_resend(hooked, resend_event("email.sent", delivery_id)).status_code

    with hooked.mailer.store.read() as db:
        state = db.execute(sa.select(message.c.state).where(message.c.delivery_id == delivery_id)).scalar_one()
    assert "sent" == state


@pytest.mark.parametrize("kind", ["email.delivered", "email.scheduled", "contact.created"])
def test_what_asks_for_nothing_is_answered_200_and_changes_nothing(hooked: Site, kind: str) -> None:
    assert 200 == by_resend(hooked, resend_event(kind, id_of(hooked, "anna"))).status_code
    assert ([], 0) == (kept(hooked), suppressed(hooked))


def test_a_forged_changed_or_old_request_is_refused_and_does_nothing(hooked: Site, topic: Sns) -> None:
    body = resend_event("email.complained", id_of(hooked, "anna"))
    stale = svix_headers(body, SENT_AT)  # an hour ago
    forged = svix_headers(body, hooked.now[0], secret="whsec_" + "A" * 32)

    answers = [
        by_resend(hooked, body, **stale),
        by_resend(hooked, body, **forged),
        hooked.call("POST", f"{hooked.base}/hooks/api", data=body),
        by_ses(hooked, body),
        by_ses(hooked, Sns(SENT_AT).notification(ses_event("Complaint", id_of(hooked, "anna"), {}))),
    ]

    assert [(401, "not signed by whom we know")] * 5 == [(one.status_code, one.text) for one in answers]
    assert ([], 0) == (kept(hooked), suppressed(hooked))


def test_where_no_webhook_is_nothing_tells_which_transports_are(hooked: Site) -> None:
    body = resend_event("email.complained", id_of(hooked, "anna"))

    answers = [
        hooked.call("POST", f"{hooked.base}/hooks/{name}", data=body, headers=svix_headers(body, hooked.now[0]))
        for name in ("main", "mute", "none", "api%20", "API")
    ]

    assert [(404, "not found")] * 5 == [(one.status_code, one.text) for one in answers]


def test_only_post_is_answered(hooked: Site) -> None:
    assert 405 == hooked.get(f"{hooked.base}/hooks/api").status_code


def test_a_topic_that_asks_is_confirmed(hooked: Site, topic: Sns) -> None:
    assert 200 == by_ses(hooked, topic.confirmation()).status_code
    assert [topic.certificate_url] == topic.fetched[:1]
    assert "Action=ConfirmSubscription" in topic.fetched[1]


def test_while_the_proof_cannot_be_got_the_provider_is_to_come_again(hooked: Site, topic: Sns) -> None:
    away = Sns(SENT_AT)
    away.certificate_url = away.certificate_url.replace("0123abcd", "4567")  # which the network doesn't hold

    assert 503 == by_ses(hooked, away.notification("hi")).status_code


def test_while_the_database_is_away_the_provider_is_to_come_again(hooked: Site) -> None:
    body = resend_event("email.complained", id_of(hooked, "anna"))
    with hooked.mailer.store.write() as db:
        db.execute(sa.text("ALTER TABLE suppression RENAME TO away"))
    assert 503 == by_resend(hooked, body).status_code
    with hooked.mailer.store.write() as db:
        db.execute(sa.text("ALTER TABLE away RENAME TO suppression"))

    assert 200 == by_resend(hooked, body).status_code
    assert (["complaint"], 1) == (kept(hooked), suppressed(hooked))


def test_a_body_beyond_the_limit_is_not_read(hooked: Site) -> None:
    assert 413 == by_resend(hooked, b" " * (512 * 1024 + 1)).status_code
