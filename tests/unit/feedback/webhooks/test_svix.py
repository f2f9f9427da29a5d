"""Svix signatures: ours and the standard's own library agree, and nothing but the whole truth passes."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from fake_providers import WEBHOOK_SECRET, svix_headers
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from engine.errors import BadConfig
from engine.feedback.webhooks.svix import is_genuine, key_of

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b'{"type": "email.delivered"}'
KEY = key_of("api", WEBHOOK_SECRET)


def test_a_signed_and_fresh_request_is_genuine() -> None:
    assert is_genuine(KEY, svix_headers(BODY, AT), BODY, AT)


def test_the_published_example_is_genuine() -> None:
    # The worked example of Svix's documentation on verifying by hand.
    key = key_of("api", "whsec_plJ3nmyCDGBKInavdOK15jsl")
    body = b'{"event_type":"ping","data":{"success":true}}'
    headers = {
        "svix-id": "msg_loFOjxBNrRLzqYUf",
        "svix-timestamp": "1731705121",
        "svix-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
    }

    assert is_genuine(key, headers, body, datetime.fromtimestamp(1731705121, UTC))


@pytest.mark.parametrize(("seconds", "genuine"), [(300, True), (301, False), (-300, True), (-301, False)])
def test_five_minutes_are_allowed_either_way(seconds: int, genuine: bool) -> None:
    assert genuine is is_genuine(KEY, svix_headers(BODY, AT), BODY, AT + timedelta(seconds=seconds))


def test_one_right_signature_among_several_is_enough() -> None:
    headers = svix_headers(BODY, AT)
    old = svix_headers(BODY, AT, secret="whsec_" + base64.b64encode(b"the secret of last month").decode())
    both = f"{old['svix-signature']} v2,abc {headers['svix-signature']}"

    assert is_genuine(KEY, headers | {"svix-signature": both}, BODY, AT)
    assert not is_genuine(KEY, headers | {"svix-signature": old["svix-signature"]}, BODY, AT)


@pytest.mark.parametrize(
    "changed",
    [
        {"svix-id": "msg_2"},
        {"svix-id": ""},
        {"svix-timestamp": "1772366401"},
        {"svix-timestamp": "1772366400.0"},
        {"svix-timestamp": "nan"},
        {"svix-timestamp": "٣"},
        {"svix-timestamp": ""},
        {"svix-signature": ""},
        {"svix-signature": "v1,"},
        {"svix-signature": "é"},
    ],
)
def test_a_changed_header_is_refused(changed: dict[str, str]) -> None:
    assert not is_genuine(KEY, svix_headers(BODY, AT) | changed, BODY, AT)


@pytest.mark.parametrize("name", ["svix-id", "svix-timestamp", "svix-signature"])
def test_a_missing_header_is_refused(name: str) -> None:
    headers = svix_headers(BODY, AT)
    del headers[name]

    assert not is_genuine(KEY, headers, BODY, AT)


def test_a_changed_body_is_refused() -> None:
    assert not is_genuine(KEY, svix_headers(BODY, AT), BODY + b" ", AT)


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text("abc_.:", min_size=1), st.binary(min_size=16))
def test_we_agree_with_the_standards_own_library(body: str, identifier: str, key: bytes) -> None:
    now = datetime.now(UTC)  # the library asks the machine's clock
    secret = "whsec_" + base64.b64encode(key).decode()
    signature = Webhook(secret).sign(identifier, now, body)
    stamp = str(int(now.timestamp()))
    headers = {"svix-id": identifier, "svix-timestamp": stamp, "svix-signature": signature}

    assert is_genuine(key_of("api", secret), headers, body.encode(), now)
    ours = svix_headers(body.encode(), now, identifier, secret)
    theirs = {name.replace("svix", "webhook"): value for name, value in ours.items()}
    try:
        Webhook(secret).verify(body, theirs)
    except WebhookVerificationError as fault:  # json.JSONDecodeError comes after the check, and is fine
        pytest.fail(str(fault))
    except ValueError:
        pass


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ="])
def test_a_secret_that_is_none_is_told(secret: str) -> None:
    with pytest.raises(BadConfig, match=r"transport 'api': the webhook secret is none; copy it whole"):
        key_of("api", secret)
