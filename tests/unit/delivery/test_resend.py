"""Resend: what it is told, how a lost answer closes itself, and what each error makes of a mail."""

import json
import time
from collections.abc import Iterator
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest
from fake_providers import RESEND_KEY, FakeResend, running
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from engine.config import TransportSettings
from engine.delivery import Journal, Offer, ask_again, capabilities, handover_key, key_in, read_journal
from engine.delivery.resend import BATCH, ResendTransport
from engine.errors import TransportRefused, TransportUnavailable
from engine.model import Mail, MessageState, Outcome

SENT, REFUSED, DEFERRED = MessageState.SENT, MessageState.REFUSED, MessageState.DEFERRED
UNCERTAIN, SKIPPED = MessageState.UNCERTAIN, MessageState.SKIPPED
OPTED_OUT = Outcome(state=SKIPPED, reason="opted_out")
DATA = (
    b"From: Corner Shop <hello@shop.test>\r\n"
    b"To: Anna Bennett <anna@people.test>\r\n"
    b"Subject: =?utf-8?q?Hyv=C3=A4=C3=A4_p=C3=A4iv=C3=A4=C3=A4?=\r\n"
    b"Date: Sun, 01 Mar 2026 12:00:00 +0000\r\n"
    b"Message-ID: <d1@shop.test>\r\n"
    b"Reply-To: Help <help@shop.test>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative;\r\n boundary="=_d1"\r\n'
    b"List-Unsubscribe: <https://shop.test/u/abc>,\r\n <mailto:out@shop.test>\r\n"
    b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    b"Feedback-ID: spring:marketing:shop:cornershop\r\n"
    b"\r\n"
    b"--=_d1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"K=C3=A4y katsomassa\r\n"
    b"--=_d1\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<p>K=C3=A4y katsomassa, =\r\nAnna</p>\r\n"
    b"--=_d1--\r\n"
)


def mail(n: int = 1, recipient: str = "", data: bytes = DATA, subject: bytes = b"") -> Mail:
    if subject:
        data = data.replace(b"=?utf-8?q?Hyv=C3=A4=C3=A4_p=C3=A4iv=C3=A4=C3=A4?=", subject)
    return Mail(
        delivery_id=f"d{n}",
        envelope_from="hello@shop.test",
        recipient=recipient or f"r{n}@people.test",
        data=data,
        digest="x",
    )


def offers(*mails: Mail, says: dict[int, Outcome] | None = None) -> Iterator[Offer]:
    """Offers numbered from 1; `says` are those who say no."""
    for n, one in enumerate(mails, 1):
        yield Offer(n, one, lambda n=n: (says or {}).get(n))  # type: ignore[misc]


@pytest.fixture
def resend() -> Iterator[FakeResend]:
    with running(FakeResend()) as fake:
        yield fake


def opened(fake: FakeResend, pauses: tuple[float, ...] = (0.0, 0.0, 0.0), **changes: Any) -> ResendTransport:
    values = {"kind": "resend", "endpoint": fake.base, "password": SecretStr(RESEND_KEY), "timeout": 5.0} | changes
    return ResendTransport("api", TransportSettings.model_validate(values), pauses)


@pytest.fixture
def transport(resend: FakeResend) -> Iterator[ResendTransport]:
    made = opened(resend)
    yield made
    made.close()


def ends(transport: ResendTransport, *mails: Mail, **kwargs: Any) -> list[tuple[str, str]]:
    """How each mail ended, in the offers' order."""
    answers = sorted(transport.deliver(offers(*mails, **kwargs)), key=lambda one: one[0])
    assert list(range(1, len(mails) + 1)) == [ord_ for ord_, _ in answers]
    return [(one.state.value, one.reason) for _, one in answers]


# ---------------------------------------------------------------- what it is told


def test_a_mail_arrives_with_all_that_its_bytes_say(resend: FakeResend, transport: ResendTransport) -> None:
    assert [("sent", "")] == ends(transport, mail(recipient="anna@people.test"))
    assert [
        {
            "from": "Corner Shop <hello@shop.test>",
            "to": ["Anna Bennett <anna@people.test>"],
            "subject": "Hyvää päivää",
            "html": "<p>Käy katsomassa, Anna</p>",
            "text": "Käy katsomassa",
            "reply_to": ["help@shop.test"],
            "headers": {
                "List-Unsubscribe": "<https://shop.test/u/abc>, <mailto:out@shop.test>",
                "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                "Feedback-ID": "spring:marketing:shop:cornershop",
            },
            "tags": [{"name": "delivery_id", "value": "d1"}],
        }
    ] == resend.arrived


def test_the_same_mail_of_another_day_has_the_same_body(resend: FakeResend, transport: ResendTransport) -> None:
    later = DATA.replace(b"Sun, 01 Mar 2026 12:00:00", b"Mon, 02 Mar 2026 09:30:00")

    assert [("sent", "")] == ends(transport, mail())
    assert [("sent", "")] == ends(transport, mail(data=later))
    assert 1 == len(resend.arrived)


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (b'"Smith, Jones & Co." <hello@shop.test>', "Smith Jones & Co <hello@shop.test>"),
        (b"=?utf-8?q?K=C3=A4sity=C3=B6?= <hello@shop.test>", "Käsityö <hello@shop.test>"),
        (b"hello@shop.test", "hello@shop.test"),
    ],
)
def test_the_senders_name_goes_bare(resend: FakeResend, transport: ResendTransport, header: bytes, told: str) -> None:
    ends(transport, mail(data=DATA.replace(b"Corner Shop <hello@shop.test>", header)))

    assert told == resend.arrived[0]["from"]


@pytest.mark.parametrize("name", ["O'Neil, Anna", "مریم احمدی", '"quoted"'])
def test_a_recipients_name_needs_no_quotes(resend: FakeResend, transport: ResendTransport, name: str) -> None:
    written = "=?utf-8?q?" + "".join(f"={byte:02X}" for byte in name.encode()) + "?="

    ends(transport, mail(data=DATA.replace(b"Anna Bennett", written.encode())))

    shown, _, address = resend.arrived[0]["to"][0].rpartition(" ")
    assert (name, "<r1@people.test>") == (str(make_header(decode_header(shown))), address)


def test_a_hundred_mails_are_one_request_and_the_next_is_another(
    resend: FakeResend, transport: ResendTransport
) -> None:
    assert [("sent", "")] * 101 == ends(transport, *(mail(n) for n in range(1, 102)))
    assert [100, 1] == [len(json.loads(one.body)) if one.path == "/emails/batch" else 1 for one in resend.sending]
    assert [f"d{n}" for n in range(1, 102)] == [one["tags"][0]["value"] for one in resend.arrived]


def test_no_more_offers_are_taken_than_go_in_one_request(resend: FakeResend, transport: ResendTransport) -> None:
    taken = 0

    def many() -> Iterator[Offer]:
        nonlocal taken
        for n in range(1, 1000):
            taken += 1
            yield Offer(n, mail(n), lambda: None)

    answers = transport.deliver(many())
    next(answers)

    assert BATCH == taken


def test_the_key_is_the_delivery_id_of_one_and_another_for_each_batch(
    resend: FakeResend, transport: ResendTransport
) -> None:
    ends(transport, mail(7))
    ends(transport, mail(1), mail(2))
    ends(transport, mail(2), mail(1))

    keys = [one.headers["idempotency-key"] for one in resend.sending]
    assert "d7" == keys[0]
    assert 3 == len(set(keys))
    assert all(len(key) <= 256 for key in keys)


# ---------------------------------------------------------------- before the request


def test_who_says_no_is_left_out_of_the_request(resend: FakeResend, transport: ResendTransport) -> None:
    said = ends(transport, mail(1), mail(2), mail(3), says={2: OPTED_OUT})

    assert [("sent", ""), ("skipped", "opted_out"), ("sent", "")] == said
    assert ["d1", "d3"] == [one["tags"][0]["value"] for one in resend.arrived]


def test_everybody_is_asked_directly_before_the_request(resend: FakeResend, transport: ResendTransport) -> None:
    seen: list[int] = []

    def ask() -> None:
        seen.append(len(resend.sending))

    list(transport.deliver(iter([Offer(n, mail(n), ask) for n in (1, 2)])))

    assert [0, 0] == seen
    assert 1 == len(resend.sending)


def test_when_all_say_no_nothing_is_requested(resend: FakeResend, transport: ResendTransport) -> None:
    assert [("skipped", "opted_out")] * 2 == ends(transport, mail(1), mail(2), says={1: OPTED_OUT, 2: OPTED_OUT})
    assert [] == resend.sending


def test_one_who_was_taken_over_keeps_all_of_the_batch_back(resend: FakeResend, transport: ResendTransport) -> None:
    taken_over = Outcome(state=DEFERRED, reason="taken_over")

    assert [("deferred", "taken_over")] * 3 == ends(transport, mail(1), mail(2), mail(3), says={3: taken_over})
    assert [] == resend.sending


def test_a_fault_while_asking_hands_nothing_over_and_comes_back(resend: FakeResend, transport: ResendTransport) -> None:
    def fail() -> None:
        raise OSError("the disk is full")

    answers = transport.deliver(iter([Offer(1, mail(1), lambda: None), Offer(2, mail(2), fail)]))

    assert [(1, "unavailable"), (2, "unavailable")] == [(n, one.reason) for n, one in (next(answers), next(answers))]
    with pytest.raises(OSError, match="the disk is full"):
        next(answers)
    assert [] == resend.sending
    assert [("sent", "")] == ends(transport, mail(3))


@pytest.mark.parametrize(
    ("recipient", "reason"),
    [
        ("a@x.test,b@y.test", "bad_address"),
        ("a b@x.test", "bad_address"),
        ("a@x.test\r\nBcc: b@y.test", "bad_address"),
        ("änna@x.test", "needs_smtputf8"),
    ],
)
def test_an_address_that_could_name_somebody_else_never_leaves(
    resend: FakeResend, transport: ResendTransport, recipient: str, reason: str
) -> None:
    assert [("sent", ""), ("refused", reason)] == ends(transport, mail(1), mail(2, recipient=recipient))
    assert 1 == len(resend.arrived)


# ---------------------------------------------------------------- a lost answer


@pytest.mark.parametrize(
    "fault", ["drop", "lose", "garbage", "deep", "500 application_error", "503 unavailable", "busy"]
)
@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_answer_is_asked_for_again_and_nobody_gets_two(
    resend: FakeResend, transport: ResendTransport, fault: str, count: int
) -> None:
    resend.faults = [fault, fault]

    assert [("sent", "")] * count == ends(transport, *(mail(n) for n in range(1, count + 1)))
    assert [f"d{n}" for n in range(1, count + 1)] == [one["tags"][0]["value"] for one in resend.arrived]
    assert 1 == len({(one.headers["idempotency-key"], one.body) for one in resend.sending})


def test_no_answer_in_time_is_a_lost_answer(resend: FakeResend) -> None:
    transport = opened(resend, timeout=0.3)
    resend.faults = ["hang"]

    assert [("sent", "")] == ends(transport, mail())
    assert 1 == len(resend.arrived)
    transport.close()


def test_when_asking_again_does_not_help_the_mails_are_uncertain_and_keep_their_key(
    resend: FakeResend, transport: ResendTransport
) -> None:
    resend.faults = ["drop"] * 4

    answers = list(transport.deliver(offers(mail(1), mail(2))))

    assert [(1, UNCERTAIN, "reply_lost"), (2, UNCERTAIN, "reply_lost")] == [
        (n, one.state, one.reason) for n, one in answers
    ]
    assert {resend.sending[0].headers["idempotency-key"]} == {key_in(one.reply) for _, one in answers}
    assert 2 == len(resend.arrived)


@pytest.mark.parametrize("then", ["429 1", "401 missing_api_key", "422 validation_error", "500 application_error"])
def test_once_in_doubt_only_a_yes_ends_it(resend: FakeResend, transport: ResendTransport, then: str) -> None:
    resend.faults = ["drop", then, then, then]

    assert [("uncertain", "reply_lost")] == ends(transport, mail())


def test_who_opts_out_after_a_lost_answer_is_not_sent_to_by_asking_again(
    resend: FakeResend, transport: ResendTransport
) -> None:
    resend.faults = ["lose"]
    asked = []

    def ask() -> Outcome | None:
        asked.append(1)
        return OPTED_OUT if len(asked) > 1 else None

    answers = dict(transport.deliver(iter([Offer(1, mail(1), ask), Offer(2, mail(2), lambda: None)])))

    assert [UNCERTAIN, UNCERTAIN] == [answers[n].state for n in (1, 2)]
    assert ([], 1) == (resend.arrived, len(resend.sending))


def test_after_a_doubt_nothing_more_is_handed_over_while_the_api_is_down(
    resend: FakeResend, transport: ResendTransport
) -> None:
    resend.faults = ["drop"] * 4
    assert [("uncertain", "reply_lost")] == ends(transport, mail(1))

    resend.stop()
    try:
        assert [("deferred", "unavailable")] == ends(transport, mail(2))
    finally:
        resend.start()
    assert [("sent", "")] == ends(transport, mail(2))


def test_a_key_that_belongs_to_another_mail_proves_nothing(resend: FakeResend, transport: ResendTransport) -> None:
    ends(transport, mail(1))

    (answer,) = transport.deliver(offers(mail(1, subject=b"Something else")))

    assert (UNCERTAIN, "reply_lost") == (answer[1].state, answer[1].reason)
    assert 1 == len(resend.arrived)


# ---------------------------------------------------------------- asking again after a death


def killed_while_waiting(folder: Path, resend: FakeResend, *mails: Mail) -> ResendTransport:
    """Mails handed over by a sender that died before it heard anything; its journal lies in `folder`."""
    transport = opened(resend, pauses=())
    with Journal(folder, 7, 2) as journal:

        def offer(n: int, one: Mail) -> Offer:
            return Offer(n, one, lambda: journal.handing_over(n, handover_key(transport)))

        list(transport.deliver(offer(n, one) for n, one in enumerate(mails, 1)))
    return transport


@pytest.mark.parametrize("fault", ["drop", "lose"])
@pytest.mark.parametrize("count", [1, 3])
def test_the_journal_tells_the_key_to_ask_again_with(
    resend: FakeResend, tmp_path: Path, fault: str, count: int
) -> None:
    mails = [mail(n) for n in range(1, count + 1)]
    resend.faults = [fault]
    killed_while_waiting(tmp_path, resend, *mails).close()
    proof = read_journal(tmp_path, 7, 2)
    assert proof is not None
    (key,) = set(proof.keys.values())
    transport = opened(resend)

    answers = ask_again(transport, key, list(offers(*mails)))

    assert [(n, SENT) for n in range(1, count + 1)] == [(n, one.state) for n, one in answers]
    assert [one.delivery_id for one in mails] == [one["tags"][0]["value"] for one in resend.arrived]
    transport.close()


def test_asking_again_for_other_bytes_proves_nothing_and_sends_nothing(resend: FakeResend) -> None:
    transport = opened(resend, pauses=())
    resend.faults = ["drop"]
    ((_, lost),) = transport.deliver(offers(mail(1)))

    ((_, answer),) = ask_again(transport, key_in(lost.reply), list(offers(mail(1, subject=b"Something else"))))

    assert (UNCERTAIN, key_in(lost.reply)) == (answer.state, key_in(answer.reply))
    assert 1 == len(resend.arrived)
    transport.close()


def test_asking_again_sends_to_nobody_who_says_no_by_now(resend: FakeResend) -> None:
    transport = opened(resend, pauses=())
    resend.faults = ["lose"]
    lost = dict(transport.deliver(offers(mail(1), mail(2))))

    answers = ask_again(transport, key_in(lost[1].reply), list(offers(mail(1), mail(2), says={2: OPTED_OUT})))

    assert [UNCERTAIN, UNCERTAIN] == [one.state for _, one in answers]
    assert [] == resend.arrived
    transport.close()


def test_after_a_day_the_provider_would_send_again_so_capabilities_end_the_asking_before(
    resend: FakeResend, transport: ResendTransport
) -> None:
    ends(transport, mail(1))
    resend.age = capabilities("resend").repeat_for.total_seconds()
    ends(transport, mail(1))
    assert 1 == len(resend.arrived)

    resend.age = 24 * 3600.0 + 1
    ends(transport, mail(1))
    assert 2 == len(resend.arrived)


# ---------------------------------------------------------------- refusals


def test_one_bad_mail_keeps_no_other_back(resend: FakeResend, transport: ResendTransport) -> None:
    mails = [mail(1), mail(2, recipient="x@nowhere.invalid"), mail(3, subject=b"forbidden"), mail(4)]

    assert [("sent", ""), ("refused", "bad_address"), ("refused", "content"), ("sent", "")] == ends(transport, *mails)
    assert 1 == len(resend.sending)


def test_a_server_that_refuses_whole_batches_is_given_halves(resend: FakeResend, transport: ResendTransport) -> None:
    resend.faults = ["strict"] * 30
    mails = [mail(n, recipient="x@nowhere.invalid" if n == 6 else "") for n in range(1, 9)]

    said = ends(transport, *mails)

    assert [("sent", "")] * 5 + [("refused", "bad_address")] + [("sent", "")] * 2 == said
    assert [f"d{n}" for n in (1, 2, 3, 4, 5, 7, 8)] == sorted(one["tags"][0]["value"] for one in resend.arrived)


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("401 missing_api_key", ("deferred", "configuration")),
        ("403 validation_error The shop.test domain is not verified", ("deferred", "configuration")),
        ("451 security_error", ("deferred", "configuration")),
        ("422 validation_error Invalid `from` field", ("deferred", "configuration")),
        ("422 validation_error Invalid `reply_to` field. The email address ...", ("deferred", "configuration")),
        ("429 1000", ("deferred", "throttled")),
        ("413 too_large", ("refused", "content")),
    ],
)
def test_each_error_has_its_meaning(
    resend: FakeResend, transport: ResendTransport, fault: str, end: tuple[str, str]
) -> None:
    resend.faults = [fault]

    assert [end] == ends(transport, mail())
    assert [] == resend.arrived


@pytest.mark.parametrize(
    ("name", "reason"), [("daily_quota_exceeded", "unavailable"), ("monthly_quota_exceeded", "configuration")]
)
def test_a_used_up_quota_ends_the_transport(
    resend: FakeResend, transport: ResendTransport, name: str, reason: str
) -> None:
    resend.faults = [f"429 1 {name}"]

    answers = list(transport.deliver(offers(mail(1), mail(2))))

    assert [(1, DEFERRED, reason), (2, DEFERRED, reason)] == [(n, one.state, one.reason) for n, one in answers]


def test_after_a_refused_key_no_further_offer_is_taken(resend: FakeResend, transport: ResendTransport) -> None:
    resend.faults = ["401 missing_api_key"]

    answers = list(transport.deliver(Offer(n, mail(n), lambda: None) for n in range(1, 1000)))

    assert [(n, "configuration") for n in range(1, BATCH + 1)] == [(n, one.reason) for n, one in answers]


def test_a_short_limit_is_waited_out(resend: FakeResend, transport: ResendTransport) -> None:
    resend.faults = ["429 1"]
    asked: list[float] = []

    began = time.monotonic()
    ((_, outcome),) = transport.deliver(iter([Offer(1, mail(), lambda: asked.append(time.monotonic()))]))

    assert SENT == outcome.state
    assert time.monotonic() - began >= 1.0
    assert 2 == len(asked)  # who opts out while we wait is not written to


def test_who_opts_out_while_a_limit_is_waited_out_is_left_out(resend: FakeResend, transport: ResendTransport) -> None:
    resend.faults = ["429 0"]
    asked: list[int] = []

    def ask() -> Outcome | None:
        asked.append(1)
        return OPTED_OUT if len(asked) > 1 else None

    answers = dict(transport.deliver(iter([Offer(1, mail(1), ask), Offer(2, mail(2), lambda: None)])))

    assert (OPTED_OUT, SENT) == (answers[1], answers[2].state)
    assert ["d2"] == [one["tags"][0]["value"] for one in resend.arrived]


def test_a_long_limit_gives_the_mails_back_and_tells_how_long(resend: FakeResend, transport: ResendTransport) -> None:
    resend.faults = ["429 30"]

    ((_, outcome),) = transport.deliver(offers(mail()))

    assert "429 rate_limit_exceeded: Too many requests; wait 30 s" == outcome.reply


# ---------------------------------------------------------------- check, stop


def test_a_key_that_may_only_send_is_a_good_key(resend: FakeResend, transport: ResendTransport) -> None:
    resend.restricted = True

    transport.check()

    assert [] == resend.sending


def test_a_wrong_key_is_told_before_anybody_is_asked(resend: FakeResend) -> None:
    transport = opened(resend, password=SecretStr("re_wrong"))

    with pytest.raises(TransportRefused, match=r"'api'.*refuses the key: invalid_api_key"):
        transport.check()
    answers = list(transport.deliver(offers(mail(1), mail(2))))

    assert [(1, "configuration")] == [(n, one.reason) for n, one in answers]
    assert [] == resend.sending
    transport.close()


def test_the_key_stands_in_no_message(resend: FakeResend) -> None:
    transport = opened(resend, password=SecretStr("re_secret\r\nX-Evil: 1"))

    with pytest.raises(TransportUnavailable) as told:
        transport.check()

    assert "re_secret" not in str(told.value)
    transport.close()


def test_a_certificate_for_nobody_is_refused(tmp_path: Path) -> None:
    from mail_servers import Inbox, certificate

    inbox = Inbox(tls=certificate(tmp_path)[1], implicit=True)
    inbox.start()
    transport = ResendTransport(
        "api",
        TransportSettings(kind="resend", endpoint=f"https://127.0.0.1:{inbox.port}", password=SecretStr("k")),
    )
    try:
        with pytest.raises(TransportRefused, match="certificate"):
            transport.check()
    finally:
        transport.close()
        inbox.stop()


def test_a_netrc_of_this_machine_does_not_take_the_keys_place(
    resend: FakeResend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    transport = opened(resend)

    transport.check()

    assert f"Bearer {RESEND_KEY}" == resend.requests[0].headers["authorization"]
    transport.close()


def test_a_stop_ends_the_wait_for_an_answer(resend: FakeResend) -> None:
    transport = opened(resend, timeout=30.0)
    resend.faults = ["hang"]

    began = time.monotonic()
    answers = transport.deliver(iter([Offer(1, mail(1), lambda: transport.give_up_after(0.2))]))
    ((_, outcome),) = answers

    assert (UNCERTAIN, "d1") == (outcome.state, key_in(outcome.reply))
    assert time.monotonic() - began < 5
    transport.close()


def test_after_a_stop_nothing_is_handed_over_until_it_is_closed(resend: FakeResend, transport: ResendTransport) -> None:
    transport.give_up_after(0)
    assert [(1, "stopped")] == [(n, one.reason) for n, one in transport.deliver(offers(mail(1), mail(2)))]
    assert [] == resend.requests

    transport.close()
    assert [("sent", "")] == ends(transport, mail(1))


def test_one_connection_serves_many_requests(resend: FakeResend, transport: ResendTransport) -> None:
    for n in range(1, 6):
        ends(transport, mail(n))

    assert 1 == len(resend._open)


# ---------------------------------------------------------------- whatever happens


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.sampled_from(
            [
                "",
                "drop",
                "lose",
                "garbage",
                "busy",
                "strict",
                "429 0",
                "429 60",
                "500 x",
                "401 x",
                "422 validation_error",
            ]
        ),
        max_size=12,
    ),
    st.lists(st.sampled_from(["", "bad", "no"]), min_size=1, max_size=7),
)
def test_each_mail_gets_one_true_answer_whatever_the_api_does(faults: list[str], kinds: list[str]) -> None:
    with running(FakeResend(faults=list(faults))) as fake:
        transport = opened(fake)
        mails = [mail(n, "x@nowhere.invalid" if kind == "bad" else "") for n, kind in enumerate(kinds, 1)]
        says = {n: OPTED_OUT for n, kind in enumerate(kinds, 1) if kind == "no"}

        answers = list(transport.deliver(offers(*mails, says=says)))
        transport.close()

        arrived = [one["tags"][0]["value"] for one in fake.arrived]
        assert len(arrived) == len(set(arrived))
        assert list(range(1, len(kinds) + 1)) == sorted(n for n, _ in answers)
        for n, outcome in answers:
            if outcome.state is SENT:
                assert f"d{n}" in arrived
            elif outcome.state is not UNCERTAIN:
                assert f"d{n}" not in arrived


def test_the_first_mail_costs_one_look_and_the_next_none(resend: FakeResend, transport: ResendTransport) -> None:
    ends(transport, mail(1))
    ends(transport, mail(2))

    assert ["/domains?limit=1", "/emails", "/emails"] == [one.path for one in resend.requests]
