"""Several senders at once never give somebody more than the caps allow."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Event, Thread

import pytest
import sqlalchemy as sa
from turn_steps import TurnShop

from engine import ledger
from engine.ledger import Claim, Item, Known, Waiting
from engine.ledger.turns import known_of
from engine.pipeline.arbitrating import Arbiter
from engine.store import open_store
from engine.store.tables import message

PEOPLE, CAMPAIGNS, SENDERS = 60, 4, 3


@pytest.mark.parametrize("most", [1, 2])
def test_senders_at_once_never_exceed_a_cap(either_shop: TurnShop, store_url: str, most: int) -> None:
    shop = either_shop
    shop.limits = f"[limits]\nmessages_per_day = {most}"
    people = [shop.person() for _ in range(PEOPLE)]
    for number in range(CAMPAIGNS):
        # In turn another's people come first, so that the senders meet the same ones in different orders.
        shop.release(f"c{number}", people[number * 20 :] + people[: number * 20], priority=number % 3)
    mailer = shop.open()

    def send(number: int) -> None:
        store = open_store(store_url)
        sender = replace(shop, store=store, _arbiter=Arbiter(replace(mailer, store=store)))
        while (claim := sender.claim(owner=f"s{number}")) is not None:
            allowed = sender.let_go(claim)
            if allowed is not None:
                sender.hand_over(allowed)
        store.close()

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, range(SENDERS)))
    for _ in range(3):  # who yielded to a message under way asks again after ten minutes
        shop.now += timedelta(minutes=10)
        send(0)

    with shop.store.read() as db:
        got = Counter(db.scalars(sa.select(message.c.contact_id).where(message.c.state == "sent")))
    assert {one: most for one in people} == got  # noqa: C420


def test_a_sender_judges_when_the_one_before_has_committed_its_turns(either_shop: TurnShop, store_url: str) -> None:
    shop, seen = either_shop, []
    her = shop.person()
    claims = [shop.claim(shop.release(name, [her])) for name in ("spring", "summer")]
    judging = Event()

    def judge(_item: Item, _mine: Waiting, known: Known) -> None:
        seen.append(len(known.under_way))
        if not judging.is_set():
            judging.set()
            another.join(0.5)  # it can't end: it waits for this transaction

    def take(claim: Claim | None) -> None:
        assert claim is not None
        store = open_store(store_url)
        ledger.take_turns(store, claim, judge, shop.now)
        store.close()

    def take_second() -> None:
        judging.wait(10)
        take(claims[1])

    another = Thread(target=take_second)
    another.start()
    take(claims[0])
    another.join()

    assert [0, 1] == seen


def test_what_goes_out_between_two_looks_at_it_is_counted_once(either_shop: TurnShop, store_url: str) -> None:
    shop = either_shop
    her = shop.person()
    claim = shop.claim(shop.release("spring", [her]))
    assert claim is not None
    allowed = ledger.take_turns(shop.store, claim, lambda _item, _mine, _known: None, shop.now)
    assert allowed is not None
    beside = replace(shop, store=open_store(store_url))
    looks: list[str] = []

    def after(_db: object, _cursor: object, said: str, *_rest: object) -> None:
        if said.lstrip().startswith("SELECT message.") and not looks:
            looks.append(said)
            beside.hand_over(allowed)  # the other sender's answer is recorded right behind the first look

    with shop.store.read() as db:
        sa.event.listen(db, "after_cursor_execute", after)
        known = known_of(db, [her], shop.now)[her]
    beside.store.close()

    assert (1, 1) == (len(looks), len(known.went) + len(known.under_way))
