"""SES: the bytes that arrive, each signature checked, and what each error makes of a mail; against a fake and moto."""

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from fake_providers import AWS_KEY, AWS_SECRET, FakeSes, running
from moto.server import ThreadedMotoServer
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.delivery import Offer
from engine.delivery.ses import SesTransport
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import Mail, MessageState, Outcome

OPTED_OUT = Outcome(state=MessageState.SKIPPED, reason="opted_out")
DATA = b"From: Corner Shop <hello@shop.test>\r\nTo: anna@people.test\r\nSubject: hi\r\n\r\n.\r\n..two\r\nlast\r\n"


def mail(n: int = 1, recipient: str = "anna@people.test", data: bytes = DATA) -> Mail:
    return Mail(delivery_id=f"d{n}", envelope_from="hello@shop.test", recipient=recipient, data=data, digest="x")


@pytest.fixture
def ses() -> Iterator[FakeSes]:
    with running(FakeSes()) as fake:
        yield fake


def opened(base: str, pauses: tuple[float, ...] = (0.0, 0.0), **changes: Any) -> SesTransport:
    values = {"kind": "ses", "endpoint": base, "username": AWS_KEY, "password": SecretStr(AWS_SECRET), "timeout": 5.0}
    return SesTransport("aws", TransportSettings.model_validate(values | changes), pauses)


@pytest.fixture
def transport(ses: FakeSes) -> Iterator[SesTransport]:
    made = opened(ses.base)
    yield made
    made.close()


def end(transport: SesTransport, one: Mail, before_dot: Any = lambda: None) -> tuple[str, str]:
    ((_, outcome),) = transport.deliver(iter([Offer(1, one, before_dot)]))
    return outcome.state.value, outcome.reason


def test_a_mail_arrives_byte_for_byte_with_our_id(ses: FakeSes, transport: SesTransport) -> None:
    assert ("sent", "") == end(transport, mail(7))
    assert [{"recipient": "anna@people.test", "raw": DATA, "tags": {"delivery_id": "d7"}}] == ses.arrived


def test_mails_go_one_after_another_over_one_connection(ses: FakeSes, transport: SesTransport) -> None:
    answers = list(transport.deliver(Offer(n, mail(n), lambda: None) for n in range(5)))

    assert [(n, MessageState.SENT) for n in range(5)] == [(n, one.state) for n, one in answers]
    assert [f"d{n}" for n in range(5)] == [one["tags"]["delivery_id"] for one in ses.arrived]
    assert 1 == len(ses._open)


def test_who_says_no_is_not_handed_over(ses: FakeSes, transport: SesTransport) -> None:
    assert ("skipped", "opted_out") == end(transport, mail(), lambda: OPTED_OUT)
    assert [] == ses.sending


@pytest.mark.parametrize("fault", ["drop", "lose", "garbage", "deep", "500 InternalFailure"])
def test_a_lost_answer_leaves_the_mail_uncertain_and_is_never_repeated(
    ses: FakeSes, transport: SesTransport, fault: str
) -> None:
    ses.faults = [fault]

    assert ("uncertain", "reply_lost") == end(transport, mail())
    assert 1 == len(ses.sending)


def test_no_answer_in_time_leaves_the_mail_uncertain(ses: FakeSes) -> None:
    transport = opened(ses.base, timeout=0.3)
    ses.faults = ["hang"]

    assert ("uncertain", "reply_lost") == end(transport, mail())
    assert 1 == len(ses.arrived)
    transport.close()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429 TooManyRequestsException", ("deferred", "throttled")),
        ("400 LimitExceededException", ("deferred", "throttled")),
        ("400 ThrottlingException Rate exceeded", ("deferred", "throttled")),
        ("429 TooManyRequestsException Daily message quota exceeded.", ("deferred", "unavailable")),
        ("400 AccountSuspendedException", ("deferred", "configuration")),
        ("400 SendingPausedException", ("deferred", "configuration")),
        ("400 MailFromDomainNotVerifiedException", ("deferred", "configuration")),
        ("400 MessageRejected Email address is not verified.", ("deferred", "configuration")),
        ("400 MessageRejected Invalid content", ("refused", "content")),
        ("400 BadRequestException Local address contains control or whitespace", ("refused", "bad_address")),
        ("400 BadRequestException Header too long", ("refused", "content")),
        ("404 NotFoundException Configuration set does not exist", ("deferred", "configuration")),
        ("403 AccessDeniedException", ("deferred", "configuration")),
        ("400 AccessDeniedException You do not have sufficient access", ("deferred", "configuration")),
        ("400 NotAuthorized", ("deferred", "configuration")),
        ("400 RequestExpired The clock is wrong", ("deferred", "configuration")),
        ("400 IncompleteSignature", ("deferred", "configuration")),
        ("400 InvalidAction", ("deferred", "configuration")),
        ("400 UnrecognizedClientException", ("deferred", "configuration")),
        ("400 InvalidClientTokenId", ("deferred", "configuration")),
        ("400 ExpiredTokenException", ("deferred", "configuration")),
        ("400 OptInRequired", ("deferred", "configuration")),
        ("503 ServiceUnavailable", ("deferred", "unavailable")),
    ],
)
def test_each_error_has_its_meaning(
    ses: FakeSes, transport: SesTransport, fault: str, expected: tuple[str, str]
) -> None:
    ses.faults = [fault]

    assert expected == end(transport, mail())
    assert [] == ses.arrived


def test_too_fast_is_waited_out_a_few_times(ses: FakeSes, transport: SesTransport) -> None:
    too_fast = "429 TooManyRequestsException Maximum sending rate exceeded."
    asked: list[int] = []
    ses.faults = [too_fast, too_fast]
    assert ("sent", "") == end(transport, mail(), lambda: asked.append(1))
    assert 3 == len(asked)

    ses.faults = [too_fast] * 3
    assert ("deferred", "throttled") == end(transport, mail())


def test_who_opts_out_while_we_wait_is_not_handed_over(ses: FakeSes, transport: SesTransport) -> None:
    ses.faults = ["429 TooManyRequestsException Maximum sending rate exceeded."]
    asked: list[int] = []

    def ask() -> Outcome | None:
        asked.append(1)
        return OPTED_OUT if len(asked) > 1 else None

    assert ("skipped", "opted_out") == end(transport, mail(), ask)
    assert [] == ses.arrived


def test_after_a_refused_key_no_further_offer_is_taken(ses: FakeSes, transport: SesTransport) -> None:
    ses.faults = ["403 AccessDeniedException"]

    answers = list(transport.deliver(Offer(n, mail(n), lambda: None) for n in range(5)))

    assert [(0, "configuration")] == [(n, one.reason) for n, one in answers]


@pytest.mark.parametrize(
    ("recipient", "reason"), [("änna@x.test", "needs_smtputf8"), ("a@x.test,b@y.test", "bad_address")]
)
def test_an_address_that_ses_cannot_take_never_leaves(
    ses: FakeSes, transport: SesTransport, recipient: str, reason: str
) -> None:
    assert ("refused", reason) == end(transport, mail(recipient=recipient))
    assert [] == ses.sending


@pytest.mark.parametrize(
    "wrong", [{"password": SecretStr("other")}, {"username": "AKIAOTHER"}, {"region": "us-east-1"}]
)
def test_a_wrong_signature_is_told_before_anybody_is_asked(ses: FakeSes, wrong: dict[str, Any]) -> None:
    transport = opened(ses.base, **wrong)

    with pytest.raises(TransportRefused, match="SignatureDoesNotMatch"):
        transport.check()
    assert ("deferred", "configuration") == end(transport, mail(), lambda: pytest.fail("was asked"))
    transport.close()


def test_an_account_that_may_not_send_is_told(ses: FakeSes, transport: SesTransport) -> None:
    ses.enabled = False

    with pytest.raises(TransportRefused, match="switched off for this account"):
        transport.check()


def test_after_a_doubt_nothing_more_is_handed_over_while_the_api_is_down(ses: FakeSes, transport: SesTransport) -> None:
    ses.faults = ["500 InternalFailure"]
    assert ("uncertain", "reply_lost") == end(transport, mail(1))

    ses.stop()
    try:
        assert ("deferred", "unavailable") == end(transport, mail(2), lambda: pytest.fail("was asked"))
        with pytest.raises(TransportUnavailable, match=r"transport 'aws'.*can't be used"):
            transport.check()
    finally:
        ses.start()
    assert ("sent", "") == end(transport, mail(2))


def test_a_stop_ends_the_wait_for_an_answer(ses: FakeSes) -> None:
    transport = opened(ses.base, timeout=30.0)
    ses.faults = ["hang"]

    began = time.monotonic()
    assert ("uncertain", "reply_lost") == end(transport, mail(), lambda: transport.give_up_after(0.2))
    assert time.monotonic() - began < 5
    assert ("deferred", "stopped") == end(transport, mail())
    transport.close()
    assert ("sent", "") == end(transport, mail())
    transport.close()


def test_without_botocore_the_cure_is_told(ses: FakeSes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.auth", None)
    transport = opened(ses.base)

    with pytest.raises(TransportRefused, match=r"pip install 'mailer\[ses\]'"):
        transport.check()
    assert ("deferred", "configuration") == end(transport, mail())


def test_the_region_chooses_the_address() -> None:
    transport = opened("", region="ap-southeast-1")

    assert "https://email.ap-southeast-1.amazonaws.com" in transport._api.place


# ---------------------------------------------------------------- against moto, which knows SES from its API model


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def test_moto_takes_the_mail_of_a_verified_sender_and_no_other(moto: str) -> None:
    transport = opened(moto)
    identity = requests.post(
        f"{moto}/v2/email/identities",
        json={"EmailIdentity": "hello@shop.test"},
        headers={"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260301/eu-west-1/ses/aws4_request"},
        timeout=10,
    )
    assert 200 == identity.status_code

    assert ("sent", "") == end(transport, mail())
    stranger = DATA.replace(b"hello@shop.test", b"stranger@else.test")
    assert ("deferred", "configuration") == end(transport, mail(data=stranger))

    (kept,) = requests.get(f"{moto}/moto-api/data.json", timeout=10).json()["ses"]["RawMessage"]
    assert DATA.decode() == kept["raw_data"]
    assert {"anna@people.test"} == set(kept["destinations"])  # moto counts To and Destination
    transport.close()
