"""The table of what each kind of transport makes itself; and mails taken apart for those that take no MIME."""

from datetime import timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import get_args

import pytest

from engine.config import TransportSettings
from engine.delivery import capabilities
from engine.delivery.fields import fields_of

GOLDEN = sorted((Path(__file__).parents[2] / "golden").glob("*.eml"))


def test_every_kind_of_config_has_a_row() -> None:
    for kind in get_args(TransportSettings.model_fields["kind"].annotation):
        assert capabilities(kind).batch >= 1


def test_who_writes_the_mail_anew_owns_its_headers_and_signature() -> None:
    found = capabilities("resend")

    assert ("provider",) * 4 == (found.message_id, found.date, found.return_path, found.dkim)
    assert not found.raw_mime


def test_nobody_signs_over_what_ses_replaces() -> None:
    found = capabilities("ses")

    assert (True, "provider", "provider") == (found.raw_mime, found.message_id, found.dkim)


def test_only_resend_may_be_asked_again_and_for_less_than_its_day() -> None:
    assert timedelta(hours=23) == capabilities("resend").repeat_for
    assert {timedelta(0)} == {capabilities(kind).repeat_for for kind in ("smtp", "outbox", "ses")}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda one: one.stem)
def test_the_fields_of_every_recipe_say_what_its_bytes_say(path: Path) -> None:
    data = path.read_bytes()
    mail = message_from_bytes(data, policy=policy.default)
    html, text = (mail.get_body(preferencelist=(kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert text is not None

    found = fields_of(data)

    assert mail["From"].addresses[0].display_name == found.from_name
    assert mail["From"].addresses[0].addr_spec == found.from_address
    assert mail["To"].addresses[0].display_name == found.to_name
    assert mail["Subject"] == found.subject
    assert html.get_content().splitlines() == found.html.splitlines()
    assert text.get_content().splitlines() == found.text.splitlines()
    raw = message_from_bytes(data)
    assert raw["List-Unsubscribe"].replace("\n", "") == found.headers["List-Unsubscribe"]
    assert "List-Unsubscribe=One-Click" == found.headers["List-Unsubscribe-Post"]
    assert not {"From", "To", "Subject", "Date", "Message-ID", "Content-Type"} & found.headers.keys()
