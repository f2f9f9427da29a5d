"""What must be known of messages before their hits are kept and judged, asked for many at once."""

from datetime import datetime, timedelta

from ledger_steps import released, send_all

from engine import ledger
from engine.model import Hit, HitKind, Verdict
from engine.store import Store

TOO_FAST = timedelta(seconds=2)


def kept(store: Store, delivery_id: str, at: datetime, name: str, verdict: Verdict) -> None:
    hit = Hit(kind=HitKind.CLICK, delivery_id=delivery_id, site=0, occurrence=0, at=at)
    ledger.add_hits(store, [(name, hit, verdict, "")])


def test_messages_that_were_hit_are_told_with_their_contact_hour_and_number_of_hits(store: Store, at: datetime) -> None:
    released(store, 2, at)
    mine, hers = send_all(store, at)
    kept(store, mine, at, "s1", Verdict.HUMAN)
    kept(store, mine, at, "s2", Verdict.HUMAN)

    found = ledger.hit_messages(store, [mine, hers, "nobody", "no' one"])

    assert {mine: (1, at, 2), hers: (2, at, 0)} == {id_: (m.contact_id, m.sent_at, m.hits) for id_, m in found.items()}


def test_a_message_that_is_not_out_yet_has_no_hour(store: Store, at: datetime) -> None:
    released(store, 1, at)
    claim = ledger.claim(store, "me", at)
    assert claim is not None

    (found,) = ledger.hit_messages(store, [claim.items[0].delivery_id]).values()

    assert found.sent_at is None


def test_only_hits_faster_than_the_sending_became_known_were_judged_too_soon(store: Store, at: datetime) -> None:
    released(store, 4, at)
    hasty, slow, known, long_ago = send_all(store, at)
    kept(store, hasty, at + timedelta(seconds=1.9), "s1", Verdict.HUMAN)
    kept(store, slow, at + timedelta(seconds=2), "s2", Verdict.HUMAN)
    kept(store, known, at, "s3", Verdict.MACHINE)
    kept(store, long_ago, at - timedelta(minutes=2), "s4", Verdict.HUMAN)

    assert [hasty] == ledger.judged_too_soon(store, at - timedelta(minutes=1), TOO_FAST)
