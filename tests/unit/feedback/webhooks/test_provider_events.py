"""Providers' events as notices; bodies are shaped as in their documentation."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fake_providers import WEBHOOK_SECRET, resend_event, ses_event, svix_headers
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.feedback.webhooks import hook_for, resend, ses
from engine.model import Notice, NoticeKind
from engine.replies import ACTIONS

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
RESEND = Notice(
    kind=NoticeKind.DELIVERED,
    delivery_id="d1",
    recipient="anna@people.test",
    at=datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC),
    source="resend",
    notice_id="msg_1",
)


def of_resend(kind: str, **more: Any) -> Notice:
    (notice,) = resend.notices(resend_event(kind, "d1", **more), "msg_1")
    return notice


def of_ses(kind: str, part: dict[str, Any], **kwargs: Any) -> Notice:
    (notice,) = ses.notices(ses_event(kind, "d1", part, **kwargs), "m-1")
    return notice


# ---------------------------------------------------------------- Resend


def test_a_delivery_is_told_with_our_id() -> None:
    assert RESEND == of_resend("email.delivered")


def test_our_id_is_found_in_a_list_of_tags_too() -> None:
    tags = [{"name": "category", "value": "x"}, {"name": "delivery_id", "value": RESEND.delivery_id}]

    assert RESEND == of_resend("email.delivered", tags=tags)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("email.sent", NoticeKind.ACCEPTED),
        ("email.delivery_delayed", NoticeKind.DELAYED),
        ("email.complained", NoticeKind.COMPLAINED),
        ("email.opened", NoticeKind.OPENED),
    ],
)
def test_each_event_has_its_kind(event: str, kind: NoticeKind) -> None:
    assert (kind, "") == (of_resend(event).kind, of_resend(event).reason)


@pytest.mark.parametrize(
    ("kind", "subtype", "diagnostic", "reason"),
    [
        ("Permanent", "General", ["smtp; 550 5.1.1 user unknown"], "unknown_address"),
        ("Permanent", "General", ["smtp; 554 5.7.1 blocked using a dns blocklist"], "blocked"),
        ("Permanent", "General", [], "doubtful_address"),
        ("Permanent", "NoEmail", [], "unknown_address"),
        ("Transient", "MailboxFull", [], "mailbox_full"),
        ("Transient", "General", [], "mailbox_unavailable"),
        ("Transient", "ContentRejected", [], "content"),
        ("Undetermined", "Undetermined", [], "mailbox_unavailable"),
        ("Something", "New", [], "mailbox_unavailable"),
        ("Permanent", "New", [], "doubtful_address"),
    ],
)
def test_a_bounce_is_read_by_the_servers_words_and_else_by_its_type(
    kind: str, subtype: str, diagnostic: list[str], reason: str
) -> None:
    bounce = {"type": kind, "subType": subtype, "message": "no", "diagnosticCode": diagnostic}

    notice = of_resend("email.bounced", bounce=bounce)

    assert (NoticeKind.BOUNCED, reason) == (notice.kind, notice.reason)
    assert (diagnostic or ["no"])[0] == notice.diagnostic


def test_no_address_stays_in_the_words() -> None:
    bounce = {
        "type": "Permanent",
        "subType": "General",
        "diagnosticCode": ["smtp; 550 <anna@people.test> unknown user"],
    }

    assert "anna" not in of_resend("email.bounced", bounce=bounce).diagnostic


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("previous_bounce", (NoticeKind.BOUNCED, "doubtful_address")),
        ("previous_complaint", (NoticeKind.COMPLAINED, "")),
    ],
)
def test_an_address_on_their_list_is_told_by_why_it_is_there(reason: str, expected: tuple[NoticeKind, str]) -> None:
    notice = of_resend("email.suppressed", suppressed={"reason": reason, "message": "on the list", "type": "x"})

    assert expected == (notice.kind, notice.reason)


def test_a_mail_that_they_could_not_send_is_no_fault_of_the_address() -> None:
    notice = of_resend("email.failed", failed={"reason": "reached_daily_quota"})

    assert (NoticeKind.BOUNCED, "refused", "reached_daily_quota") == (notice.kind, notice.reason, notice.diagnostic)
    assert "keep" == ACTIONS[notice.reason].address


@pytest.mark.parametrize(
    ("agent", "hint"),
    [("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)", ""), ("Barracuda Sentinel (EE)", "machine")],
)
def test_a_click_of_a_scanner_is_hinted_at(agent: str, hint: str) -> None:
    click = {"ipAddress": "192.0.2.1", "link": "https://shop.test", "timestamp": "2026-03-01T12:00:00Z"}

    notice = of_resend("email.clicked", click=click | {"userAgent": agent})

    assert (NoticeKind.CLICKED, hint) == (notice.kind, notice.reason)


@pytest.mark.parametrize("event", ["email.scheduled", "email.received", "contact.created", "domain.updated", "new", ""])
def test_what_is_of_no_use_is_left_out(event: str) -> None:
    assert () == resend.notices(resend_event(event, "d1"), "msg_1")


# ---------------------------------------------------------------- SES


def test_a_bounce_of_ses_is_told_with_all_that_is_known() -> None:
    part = {
        "bounceType": "Permanent",
        "bounceSubType": "General",
        "bouncedRecipients": [
            {
                "emailAddress": "anna@people.test",
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 user unknown",
            }
        ],
        "timestamp": "2026-03-01T12:00:07.000Z",
    }

    assert Notice(
        kind=NoticeKind.BOUNCED,
        reason="unknown_address",
        delivery_id="d1",
        recipient="anna@people.test",
        status="5.1.1",
        diagnostic="smtp; 550 5.1.1 user unknown",
        at=datetime(2026, 3, 1, 12, 0, 7, tzinfo=UTC),
        source="ses",
        notice_id="m-1",
    ) == of_ses("Bounce", part)


@pytest.mark.parametrize("form", ["tag", "header", "common header", "notification"])
def test_our_id_is_found_in_each_form_of_event(form: str) -> None:
    event = json.loads(ses_event("Delivery", "d1", {}, tagged=form == "tag"))
    if form == "common header":
        event["mail"] |= {"headers": [], "commonHeaders": {"messageId": "<d1@shop.test>"}}
    if form == "notification":
        event["notificationType"] = event.pop("eventType")

    (notice,) = ses.notices(json.dumps(event), "m-1")

    assert (NoticeKind.DELIVERED, "d1") == (notice.kind, notice.delivery_id)


@pytest.mark.parametrize(
    ("event", "part", "expected"),
    [
        ("Send", {}, (NoticeKind.ACCEPTED, "")),
        ("Reject", {"reason": "Bad content"}, (NoticeKind.BOUNCED, "content")),
        ("Complaint", {"complaintFeedbackType": "abuse"}, (NoticeKind.COMPLAINED, "")),
        ("Complaint", {"complaintSubType": "OnAccountSuppressionList"}, (NoticeKind.COMPLAINED, "")),
        ("Open", {"userAgent": "Mozilla/5.0 (via ggpht.com GoogleImageProxy)"}, (NoticeKind.OPENED, "")),
        ("Open", {"userAgent": "curl/8.0"}, (NoticeKind.OPENED, "machine")),
        ("Click", {"userAgent": "Mozilla/5.0 (iPhone)", "link": "https://shop.test"}, (NoticeKind.CLICKED, "")),
        ("Bounce", {"bounceType": "Permanent", "bounceSubType": "NoEmail"}, (NoticeKind.BOUNCED, "unknown_address")),
    ],
)
def test_each_event_of_ses_has_its_kind(event: str, part: dict[str, Any], expected: tuple[NoticeKind, str]) -> None:
    notice = of_ses(event, part)

    assert expected == (notice.kind, notice.reason)


@pytest.mark.parametrize("subtype", ["Suppressed", "OnAccountSuppressionList"])
def test_an_address_on_amazons_list_only_counts(subtype: str) -> None:
    """Their words would read as an unknown address; but nobody at the receiving server said so to us."""
    recipient = {
        "emailAddress": "anna@people.test",
        "status": "5.1.1",
        "diagnosticCode": "Amazon SES has suppressed sending to this address: recent history of bouncing as invalid",
    }
    part = {"bounceType": "Permanent", "bounceSubType": subtype, "bouncedRecipients": [recipient]}

    assert "doubtful_address" == of_ses("Bounce", part).reason


def test_a_delay_is_no_bounce() -> None:
    recipient = {"emailAddress": "anna@people.test", "status": "4.4.1", "diagnosticCode": "smtp; 421 4.4.1 later"}
    notice = of_ses("DeliveryDelay", {"delayType": "TransientCommunicationFailure", "delayedRecipients": [recipient]})

    assert (NoticeKind.DELAYED, "", "4.4.1") == (notice.kind, notice.reason, notice.status)


def test_several_recipients_are_several_notices() -> None:
    recipients = [{"emailAddress": f"{name}@people.test", "status": "5.1.1"} for name in ("anna", "bahar")]
    part = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": recipients}

    found = ses.notices(ses_event("Bounce", "d1", part), "m-1")

    assert [("anna@people.test", "m-1"), ("bahar@people.test", "m-1/1")] == [
        (one.recipient, one.notice_id) for one in found
    ]


def test_who_took_a_mail_out_of_the_spam_folder_did_not_complain() -> None:
    assert () == ses.notices(ses_event("Complaint", "d1", {"complaintFeedbackType": "not-spam"}), "m-1")


@pytest.mark.parametrize(
    "message",
    [
        "Successfully validated SNS topic for Amazon SES event publishing.",
        '{"eventType": "Rendering Failure"}',
        '{"eventType": "Subscription"}',
        '{"notificationType": "AmazonSnsSubscriptionSucceeded"}',
        "[]",
        "",
    ],
)
def test_what_is_of_no_use_from_ses_is_left_out(message: str) -> None:
    assert () == ses.notices(message, "m-1")


# ---------------------------------------------------------------- both


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("type data tags bounce mail to click eventType headers bouncedRecipients".split()), inner
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(sorted(resend.KINDS)), st.sampled_from(sorted(ses.KINDS)), _JSON, _JSON)
def test_a_signed_event_of_any_shape_is_read_without_a_fault(first: str, second: str, one: Any, two: Any) -> None:
    resend.notices(json.dumps({"type": first, "created_at": one, "data": two}).encode(), "msg_1")
    ses.notices(json.dumps({"eventType": second, "mail": one, ses.KINDS[second][1]: two}), "m-1")


def test_every_reason_is_one_of_the_closed_list() -> None:
    for kind in ("Permanent", "Transient", "Undetermined"):
        for subtype in ("General", "NoEmail", "Suppressed", "MailboxFull", "MessageTooLarge", "ContentRejected", "X"):
            bounce = {"type": kind, "subType": subtype, "diagnosticCode": []}
            assert of_resend("email.bounced", bounce=bounce).reason in ACTIONS


def test_a_transport_has_a_hook_only_with_something_to_prove_it_by() -> None:
    def made(**values: Any) -> Any:
        return hook_for("api", TransportSettings.model_validate({"password": SecretStr("k"), **values}))

    assert made(kind="resend") is None
    assert made(kind="ses", username="AKIA") is None
    assert made(kind="outbox") is None
    assert made(kind="ses", username="AKIA", topics=["arn:aws:sns:eu-west-1:123456789012:events"]) is not None
    hook = made(kind="resend", webhook_secret=SecretStr(WEBHOOK_SECRET))
    body = resend_event("email.delivered", "d1")
    assert (RESEND,) == hook.read(svix_headers(body, AT), body, AT)
    assert hook.read(svix_headers(body, AT), body + b" ", AT) is None
