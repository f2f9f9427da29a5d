"""Somebody opts out, or buys, while a campaign is on its way: she is heard in every gap between plan and dot."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sink import Sink
from story_shop import ORDERS, Shop, address, agreed, quiet, standings

from engine import audience, delivery, pipeline
from engine.delivery import Answer, Offer
from engine.model import Mail, MessageState, Outcome, SkipReason
from engine.pipeline import Mailer

FEW = 25  # a window of 20, and one of 5


@dataclass
class Interrupted:
    """The real transport; something happens when a body is on the wire, just before the dot is asked for."""

    inner: delivery.Transport
    happens: Callable[[Mail], None]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.inner.name

    def deliver(self, offers: Iterator[Offer]) -> Iterator[Answer]:
        return self.inner.deliver(map(self._interrupted, offers))

    def _interrupted(self, offer: Offer) -> Offer:
        def interrupted() -> Outcome | None:
            self.happens(offer.mail)
            return offer.before_dot()

        return offer._replace(before_dot=interrupted)

    def check(self) -> None:
        self.inner.check()

    def give_up_after(self, seconds: float) -> None:
        self.inner.give_up_after(seconds)

    def close(self) -> None:
        self.inner.close()


def opt_out(mailer: Mailer, email: str) -> None:
    """Committed when this is back."""
    contact_id, log = audience.find(mailer.store, email), mailer.settings.state_dir
    audience.opt_out(mailer.store, mailer.keys, contact_id, mailer.clock(), "link", log)


def test_an_opt_out_in_every_gap_between_plan_and_dot_is_heard(
    shop: Shop, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_plan, in_window, next_one, at_rcpt, at_data, at_body, in_next_window = (
        address(n) for n in (2, 8, 11, 13, 15, 17, 22)
    )
    at_answers = {
        (".", address(0)): [in_window, in_next_window],  # the first mail of the first window is being answered
        (".", address(10)): [next_one],
        ("RCPT", at_rcpt): [at_rcpt],
        ("DATA", at_data): [at_data],  # the last answer before her body
    }
    shop.configure(sink.port)
    mailer, other, opened = shop.open(), shop.open(), delivery.open_transport

    def answers(*at: str) -> None:
        for email in at_answers.pop(at, ()):
            opt_out(other, email)

    def body_is_on_the_wire(mail: Mail) -> None:
        if mail.recipient == at_body:
            opt_out(other, at_body)

    sink.answers = answers
    monkeypatch.setattr(delivery, "open_transport", lambda *way: Interrupted(opened(*way), body_is_on_the_wire))
    made = pipeline.make_plan(mailer, shop.campaign("few"), mailer.clock(), "once", quiet)
    opt_out(mailer, after_plan)
    sent = pipeline.send(mailer, "story", made.plan_id, "once", mailer.clock(), agreed, quiet)

    left = {after_plan, in_window, next_one, at_rcpt, at_data, at_body, in_next_window}
    found = standings(mailer, made.plan_id)
    assert dict.fromkeys(left, (MessageState.SKIPPED, "opted_out")) == {
        email: (one.state, one.reason) for email, one in found.items() if one.state is not MessageState.SENT
    }
    assert dict.fromkeys({address(n) for n in range(FEW)} - left, 1) == sink.recipients()
    assert set() == left & {one.recipient for one in sink.offered}, "no dot ever ended a mail of theirs"
    assert (FEW - 7, 7) == (sent.counts["sent"], sent.counts["skipped"])


def test_an_opt_out_between_release_and_claim_is_heard(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    plan, mailer = shop.released("few"), shop.open()

    opt_out(mailer, address(0))
    pipeline.send_due(mailer, pipeline.Stop(), plan)

    found = standings(mailer, plan)[address(0)]
    assert (MessageState.SKIPPED, "opted_out") == (found.state, found.reason)
    assert dict.fromkeys((address(n) for n in range(1, FEW)), 1) == sink.recipients()


def test_who_does_what_the_campaign_asks_for_after_the_plan_gets_no_mail(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    mailer, her = shop.open(), address(12)
    made = pipeline.make_plan(mailer, shop.campaign("few"), mailer.clock() - timedelta(hours=1), "once", quiet)

    shop.import_text("orders", ORDERS + f"O2,{her},{mailer.clock().isoformat()},T1,1,4.90\n")
    sent = pipeline.send(mailer, "story", made.plan_id, "once", mailer.clock(), agreed, quiet)

    found = standings(mailer, made.plan_id)[her]
    assert (MessageState.SKIPPED, SkipReason.GOAL_REACHED) == (found.state, found.reason)
    assert dict.fromkeys({address(n) for n in range(FEW)} - {her}, 1) == sink.recipients()
    assert (FEW - 1, 1) == (sent.counts["sent"], sent.counts["skipped"])
    assert "skipped: 1 goal_reached" in sent.notes


def test_a_campaign_whose_goal_is_a_click_goes_out_to_everybody(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    mailer, name = sqlite_shop.open(), sqlite_shop.campaign("few")
    file = mailer.campaign_file(name)
    file.write_text(file.read_text().replace('goal     = "order"', 'goal     = "click"'))

    sent = pipeline.send(mailer, name, None, "once", mailer.clock(), agreed, quiet)

    assert FEW == sent.counts["sent"]
