"""A provider took mails and its answer was lost: it is asked again under the same key, and nobody gets two."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fake_providers import RESEND_KEY, FakeResend, running
from sender_host import SenderHost
from story_shop import Shop, agreed, in_state, quiet, standings

from engine import pipeline
from engine.clock import clock_set_to
from engine.model import MessageState
from engine.pipeline import Mailer

FEW = 25


@pytest.fixture
def provider() -> Iterator[FakeResend]:
    with running(FakeResend()) as fake:
        yield fake


def over(shop: Shop, provider: FakeResend) -> Mailer:
    """The shop's mail goes by the provider's API."""
    shop.configure(port=1)
    path = shop.folder / "config.toml"
    head, _, rest = path.read_text().partition("[transport.main]\n")
    tail = rest[rest.index("[tracking]") :]
    (shop.folder / "key").write_text(RESEND_KEY)
    main = f'[transport.main]\nkind = "resend"\nendpoint = "{provider.base}"\npassword_file = "key"\n'
    path.write_text(head + main + tail)
    return shop.open()


def tick_in(mailer: Mailer, minutes: float) -> None:
    pipeline.tick(replace(mailer, clock=clock_set_to(mailer.clock() + timedelta(minutes=minutes))))


def got(provider: FakeResend) -> Counter[str]:
    return Counter(one["to"][0] if isinstance(one["to"], list) else one["to"] for one in provider.arrived)


def test_a_batch_whose_answers_were_lost_is_asked_for_and_settled(shop: Shop, provider: FakeResend) -> None:
    mailer = over(shop, provider)
    provider.faults += ["drop"] * 4  # taken by the first; the repeats are lost, too

    sent = pipeline.send(mailer, shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)
    assert (FEW, 0) == (sent.counts["uncertain"], sent.counts["sent"])
    tick_in(mailer, 2)

    assert FEW == len(in_state(standings(mailer, sent.plan_id), MessageState.SENT))
    assert FEW == len(got(provider))
    assert {1} == set(got(provider).values())


def test_a_request_that_never_arrived_is_taken_when_it_is_asked_for(sqlite_shop: Shop, provider: FakeResend) -> None:
    mailer = over(sqlite_shop, provider)
    provider.faults += ["lose"] * 4

    sent = pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)
    assert not provider.arrived
    tick_in(mailer, 2)

    assert FEW == len(in_state(standings(mailer, sent.plan_id), MessageState.SENT))
    assert {1} == set(got(provider).values())


def test_a_sender_killed_while_it_waits_for_the_answer_leaves_nothing_in_doubt(
    host: SenderHost, shop: Shop, provider: FakeResend
) -> None:
    mailer = over(shop, provider)
    plan = shop.released("few")
    provider.faults.append("hang")

    sender = host.start("send_due", shop.folder, plan=plan)
    while not provider.arrived:
        sender.rest(0.01)
    assert sender.kill_if_alive()
    pipeline.send_due(mailer, pipeline.Stop(), plan)
    assert FEW == len(in_state(standings(mailer, plan), MessageState.UNCERTAIN))
    tick_in(mailer, 2)

    assert FEW == len(in_state(standings(mailer, plan), MessageState.SENT))
    assert {1} == set(got(provider).values())


def test_whose_key_has_grown_old_stays_uncertain(sqlite_shop: Shop, provider: FakeResend) -> None:
    mailer = over(sqlite_shop, provider)
    provider.faults += ["drop"] * 4
    sent = pipeline.send(mailer, sqlite_shop.campaign("few"), None, "once", mailer.clock(), agreed, quiet)
    asked = len(provider.sending)

    tick_in(mailer, 24 * 60)

    assert asked == len(provider.sending)
    assert FEW == len(in_state(standings(mailer, sent.plan_id), MessageState.UNCERTAIN))
