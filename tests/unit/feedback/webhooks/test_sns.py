"""SNS: only what a topic of ours signed, with a certificate from Amazon's own host."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests
from cryptography import x509
from fake_providers import REGION, TOPIC, FakeWeb, Sns, running
from moto import mock_aws

from engine.errors import MailerError
from engine.feedback.webhooks import fetch
from engine.feedback.webhooks.sns import Said
from engine.feedback.webhooks.sns import Sns as Reader

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def topic() -> Sns:
    return Sns(AT)


def reader(topic: Sns, topics: tuple[str, ...] = (TOPIC,)) -> Reader:
    topic.fetched.clear()
    return Reader(topics, topic.fetch)


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_signed_message_of_our_topic_is_read(topic: Sns, version: str) -> None:
    body = topic.notification('{"eventType": "Send"}\nö', version)

    assert Said(message_id="m-1", message='{"eventType": "Send"}\nö') == reader(topic).read(body, AT)


def test_a_subject_is_signed_too(topic: Sns) -> None:
    body = topic.notification("hi", Subject="Amazon SES Email Event Notification")

    assert reader(topic).read(body, AT) is not None
    assert reader(topic).read(body.replace(b"Amazon SES", b"Amazon SQS"), AT) is None


@pytest.mark.parametrize("name", ["Message", "MessageId", "Timestamp", "Signature", "SignatureVersion"])
def test_what_was_changed_afterwards_is_refused(topic: Sns, name: str) -> None:
    said = json.loads(topic.notification("hi"))
    for changed in ("1" if name == "SignatureVersion" else "another", "AAAA", "", None, 7):
        assert reader(topic).read(json.dumps({**said, name: changed}).encode(), AT) is None
    del said[name]
    assert reader(topic).read(json.dumps(said).encode(), AT) is None


def test_another_topic_is_refused_and_nothing_is_fetched_for_it(topic: Sns) -> None:
    stranger = f"arn:aws:sns:{REGION}:210987654321:mail-events"

    assert reader(topic).read(topic.notification("hi", TopicArn=stranger), AT) is None
    assert [] == topic.fetched


@pytest.mark.parametrize(
    "url",
    [
        f"http://sns.{REGION}.amazonaws.com/a.pem",
        f"https://sns.{REGION}.amazonaws.com.evil.test/a.pem",
        "https://evil.test/sns.eu-west-1.amazonaws.com/a.pem",
        f"https://evil.test@sns.{REGION}.amazonaws.com/a.pem",
        f"https://sns.{REGION}.amazonaws.com:8443/a.pem",
        f"https://sns.{REGION}.amazonaws.com:x/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem",
        f"https://bucket.s3.{REGION}.amazonaws.com/a.pem",
        f"https://sns.{REGION}.amazonaws.com\\@evil.test/a.pem",
        "https://[::1/a.pem",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(topic: Sns, url: str) -> None:
    assert reader(topic).read(topic.notification("hi", SigningCertURL=url), AT) is None
    assert [] == topic.fetched


def test_a_certificate_is_fetched_once(topic: Sns) -> None:
    ours = reader(topic)

    assert all(ours.read(topic.notification("hi", identifier=f"m-{n}"), AT) for n in range(3))
    assert [topic.certificate_url] == topic.fetched


@pytest.mark.parametrize("days", [-31, 31])
def test_a_certificate_holds_only_in_its_time(topic: Sns, days: int) -> None:
    assert reader(topic).read(topic.notification("hi"), AT + timedelta(days=days)) is None


def test_another_key_of_the_same_name_is_refused(topic: Sns) -> None:
    assert reader(topic).read(Sns(AT).notification("hi"), AT) is None


@pytest.mark.parametrize("found", [b"<html>", b"", None])
def test_where_no_certificate_can_be_had_sns_is_to_come_again(topic: Sns, found: bytes | None) -> None:
    def get(url: str) -> bytes:
        if found is None:
            raise OSError("it answered 503")
        return found

    with pytest.raises(MailerError, match=r"sns\.eu-west-1\.amazonaws\.com"):
        Reader((TOPIC,), get).read(topic.notification("hi"), AT)


def test_a_topic_that_asks_is_confirmed_only_at_its_own_host(topic: Sns) -> None:
    ours = reader(topic)

    said = ours.read(topic.confirmation(), AT)
    assert said is not None
    ours.confirm(said)

    assert said.subscribe_url.startswith(f"https://sns.{REGION}.amazonaws.com/?Action=ConfirmSubscription")
    assert [topic.certificate_url, said.subscribe_url] == topic.fetched
    assert ours.read(topic.confirmation(SubscribeURL="https://evil.test/?Action=ConfirmSubscription"), AT) is None


def test_a_farewell_asks_for_nothing(topic: Sns) -> None:
    said = reader(topic).read(topic.confirmation(Type="UnsubscribeConfirmation"), AT)

    assert Said(message_id="m-0", message="") == said


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{}", b"\xff", b'{"Type": "Notification"}', b"[" * 100_000, b'{"Type": []}']
)
def test_what_is_no_message_is_refused(topic: Sns, body: bytes) -> None:
    assert reader(topic).read(body, AT) is None


# ---------------------------------------------------------------- fetching


@pytest.fixture
def site() -> Iterator[FakeWeb]:
    pages = {
        "/a.pem": (200, {}, b"a certificate"),
        "/moved": (302, {"Location": "/a.pem"}, b""),
        "/gone": (404, {}, b""),
        "/large": (200, {}, b"x" * (64 * 1024 + 1)),
    }
    with running(FakeWeb(pages=pages)) as fake:
        yield fake


def test_what_lies_there_is_fetched(site: FakeWeb) -> None:
    assert b"a certificate" == fetch(f"{site.base}/a.pem")


@pytest.mark.parametrize("path", ["/moved", "/gone", "/large"])
def test_nothing_else_is_fetched(site: FakeWeb, path: str) -> None:
    with pytest.raises(OSError, match=r"it (answered|is larger)"):
        fetch(f"{site.base}{path}")
    assert 1 == len(site.requests)


# ---------------------------------------------------------------- against moto, which signs as SNS does


def test_a_message_that_moto_signed_is_genuine(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto posts to a subscriber here, and shows its certificate within its own mock of the network."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    logging.getLogger("botocore").setLevel(logging.WARNING)
    aws = mock_aws(config={"core": {"passthrough": {"urls": [r"http://127\.0\.0\.1.*"]}}})
    with running(FakeWeb(pages={"/hook": (200, {}, b"")})) as site, aws:
        import boto3

        sns = boto3.client("sns", region_name=REGION)
        arn = sns.create_topic(Name="events", Attributes={"SignatureVersion": "2"})["TopicArn"]
        sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=f"{site.base}/hook")
        sns.publish(TopicArn=arn, Message='{"eventType": "Send"}')
        body = next(one.body for one in site.requests if b"eventType" in one.body)

        def get(url: str) -> bytes:
            return requests.get(url, timeout=5).content

        url = json.loads(body)["SigningCertURL"]
        since = x509.load_pem_x509_certificate(get(url)).not_valid_before_utc
        said = Reader((arn,), get).read(body, since + timedelta(days=1))
        changed = Reader((arn,), get).read(body.replace(b"Send", b"Sent"), since + timedelta(days=1))

    assert said is not None
    assert '{"eventType": "Send"}' == said.message
    assert changed is None
