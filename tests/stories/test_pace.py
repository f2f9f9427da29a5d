"""What holds a send back: rates, caps, a warm-up, a destination that throttles, a transport that fails."""

import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sink import Sink
from story_shop import HEAD, Shop, agreed, in_state, quiet, standings

from engine import ledger, pipeline
from engine.cli.app import run
from engine.clock import clock_set_to
from engine.ledger import note_failure, scope_of
from engine.ledger.pacing import let_go
from engine.model import MessageState
from engine.pipeline import Mailer
from engine.pipeline.pacing import Pace, held_up
from engine.store.tables import breaker, bucket, suppression

THROTTLE = "421 4.7.0 too many messages, slow down"
MANY, SOME = 60, 20


def add(shop: Shop, config: str, place: str = "") -> None:
    """More of config.toml: keys of [transport.main], or sections at its end."""
    path = shop.folder / "config.toml"
    text = path.read_text()
    path.write_text(text.replace("[transport.main]\n", f"[transport.main]\n{place}") + config)


def with_two_domains(shop: Shop, slow: int = MANY) -> None:
    """So many people at slow.test, 20 at quick.test, and none elsewhere."""
    rows = [f"s{n}@slow.test,Slow {n},Here,mixed,yes,2026-01-01,shop" for n in range(slow)]
    rows += [f"q{n}@quick.test,Quick {n},Here,mixed,yes,2026-01-01,shop" for n in range(SOME)]
    shop.import_text("contacts", HEAD + "\n".join(rows) + "\n")


def send(shop: Shop, tag: str = "few", mailer: Mailer | None = None) -> pipeline.Sent:
    mailer = mailer or shop.open()
    return pipeline.send(mailer, shop.campaign(tag), None, "once", mailer.clock(), agreed, quiet)


def domains(sink: Sink) -> Counter[str]:
    return Counter(one.recipient.rpartition("@")[2] for one in sink.taken)


def at(mailer: Mailer, moment: datetime) -> Mailer:
    """The same workspace at another time."""
    return replace(mailer, clock=clock_set_to(moment))


# ---------------------------------------------------------------- rates and caps


def test_a_transport_sends_no_faster_than_its_rate(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    add(shop, "", "rate = 20\n")
    began = time.monotonic()

    sent = send(shop)

    assert 25 == sent.counts["sent"]
    assert time.monotonic() - began >= 23 / 20  # the first two tokens may have gathered before


def test_a_transport_sends_no_more_on_a_day_than_its_cap_and_says_so(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    add(shop, "", "daily = 10\n")

    sent = send(shop)

    assert (10, 15) == (sent.counts["sent"], sent.counts["waiting"])
    assert 10 == len(sink.taken)
    (said,) = [note for note in sent.notes if "all 10 messages of today are out" in note]
    assert said.startswith("15 messages over main wait: ")


def test_what_is_held_back_waits_for_its_turn_and_not_for_the_hour_of_another_campaign(
    sqlite_shop: Shop, sink: Sink
) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 10\n")
    mailer = sqlite_shop.open()
    later = sqlite_shop.campaign("few", name="later")
    file = sqlite_shop.folder / "campaigns" / "later.toml"
    file.write_text(file.read_text().replace('"now"', '"2040-01-01T09:00"'))
    pipeline.send(mailer, later, None, "once", mailer.clock(), agreed, quiet)

    sent = send(sqlite_shop, mailer=mailer)

    assert [True] == [one.startswith("15 messages wait for their turn; no sender is running") for one in sent.notes[:1]]


def test_leave_that_a_throttle_makes_void_is_not_counted_against_the_cap(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 60\n")
    sink.answers = lambda stage, _to: "451 4.7.0 too many messages, slow down" if stage == "MAIL" else None
    mailer = sqlite_shop.open()
    send(sqlite_shop, mailer=mailer)

    with mailer.store.read() as db:
        counted = db.scalar(sa.select(bucket.c.day_count).where(bucket.c.scope == "main"))
    assert 1 == counted


def test_the_cap_of_the_next_day_is_a_new_one(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 10\n")
    sent = send(sqlite_shop)
    mailer = sqlite_shop.open()

    pipeline.send_due(at(mailer, mailer.clock() + timedelta(days=1)), pipeline.Stop(), sent.plan_id)

    assert 20 == len(sink.taken)


def test_a_worker_does_not_take_up_what_must_wait_in_every_round_anew(
    sqlite_shop: Shop, sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 10\n")
    sqlite_shop.released("few")
    caplog.set_level("INFO", "mailer.send")
    rounds, stop = iter(range(3)), pipeline.Stop()

    pipeline.work(sqlite_shop.open(), stop, lambda: None if next(rounds) < 2 else stop.ask())

    assert 10 == len(sink.taken)
    assert 1 == sum(one.startswith("batch_waits") for one in caplog.messages)


def test_a_cap_that_was_taken_away_holds_nothing_back_any_more(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 10\n")
    send(sqlite_shop)
    assert 1 == len(held_up(sqlite_shop.open()))

    sqlite_shop.configure(sink.port)

    assert [] == held_up(sqlite_shop.open())


def test_leave_of_yesterday_is_not_used_today(sqlite_shop: Shop) -> None:
    sqlite_shop.configure(1)
    add(sqlite_shop, "", "daily = 10\n")
    sqlite_shop.released("few")
    now = [datetime(2026, 12, 3, 23, 59, tzinfo=UTC)]
    mailer = replace(sqlite_shop.open(), clock=lambda: now[0])
    claim = ledger.claim(mailer.store, "me", mailer.clock())
    assert claim is not None
    pace = Pace(mailer, "main")
    pace.begin(claim)
    assert [None] * 4 == [pace.leave_for(item) for item in claim.items[:4]]

    now[0] += timedelta(minutes=2)
    today = [pace.leave_for(item) for item in claim.items[4:]]

    assert 10 == today.count(None)


def test_what_a_sender_leased_for_one_destination_is_not_missing_for_another(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    each = "".join(f'[limits.destination.{one}]\ndomains = ["{one}.test"]\nrate = 1000\n' for one in ("slow", "quick"))
    add(sqlite_shop, each, "daily = 75\n")
    with_two_domains(sqlite_shop)

    sent = send(sqlite_shop, "mixed")

    assert 75 == sent.counts["sent"]
    assert any("all 75 messages of today are out" in note for note in sent.notes)


@pytest.mark.parametrize(("days", "expected"), [(0, 5), (1, 8), (2, 25)])
def test_a_new_transport_is_warmed_up_day_by_day(sqlite_shop: Shop, sink: Sink, days: int, expected: int) -> None:
    sqlite_shop.configure(sink.port)
    first = sqlite_shop.open().clock().date() - timedelta(days=days)
    add(sqlite_shop, "", f"warm_up = [5, 8]\nwarm_up_from = {first}\n")

    assert expected == send(sqlite_shop).counts["sent"]


def test_a_destination_has_a_cap_and_a_rate_of_its_own(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, '[limits.destination.slow]\ndomains = ["slow.test"]\ndaily = 7\nrate = 100\n')
    with_two_domains(sqlite_shop)

    sent = send(sqlite_shop, "mixed")

    assert {"slow.test": 7, "quick.test": SOME} == domains(sink)
    assert MANY - 7 == sent.counts["waiting"]
    assert any(note.startswith(f"{MANY - 7} messages to slow over main wait: ") for note in sent.notes)


def test_a_destinations_rate_slows_that_destination_alone(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, '[limits.destination.slow]\ndomains = ["slow.test"]\nrate = 40\n')
    with_two_domains(sqlite_shop)
    began, times = time.monotonic(), {}
    sink.answers = lambda stage, to: times.setdefault((stage, to), time.monotonic()) and None

    assert MANY + SOME == send(sqlite_shop, "mixed").counts["sent"]

    assert max(at for (stage, to), at in times.items() if "slow" in to) - began >= (MANY - 5) / 40


# ---------------------------------------------------------------- a destination that throttles


def test_a_destination_that_throttles_is_left_alone_and_the_others_get_their_mail(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    with_two_domains(shop)
    sink.answers = lambda stage, to: (
        "450 4.7.0 too many, slow down" if (stage, to[-9:]) == ("RCPT", "slow.test") else None
    )
    mailer = shop.open()

    sent = send(shop, "mixed", mailer)

    assert {"quick.test": SOME} == domains(sink)
    found = standings(mailer, sent.plan_id)
    assert 1 == len(in_state(found, MessageState.DEFERRED))  # one was told to come back, the others weren't even tried
    assert MANY - 1 == len(in_state(found, MessageState.PLANNED))
    assert {0, 1} == {one.attempts for one in found.values()}
    assert any("to slow.test over main wait: throttled: 450 4.7.0 too many" in note for note in sent.notes)


def test_a_throttled_domain_of_a_mixed_batch_moves_out_of_the_others_way(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    rows = [f"a{n}@d{n % 5}.test,Anna,Here,mixed,yes,2026-01-01,shop" for n in range(40)]
    shop.import_text("contacts", HEAD + "\n".join(rows) + "\n")
    sink.answers = lambda stage, to: "450 4.7.0 slow down" if (stage, to[-7:]) == ("RCPT", "d3.test") else None
    mailer = shop.open()

    sent = send(shop, "mixed", mailer)

    assert dict.fromkeys(["d0.test", "d1.test", "d2.test", "d4.test"], 8) == domains(sink)
    assert (32, 7, 1) == tuple(sent.counts[key] for key in ("sent", "waiting", "deferred"))


def test_a_destination_goes_on_when_its_pause_is_over(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    with_two_domains(sqlite_shop)
    throttled = ["450 4.7.0 slow down"]
    sink.answers = lambda stage, to: throttled.pop() if throttled and stage == "RCPT" and "slow" in to else None
    mailer = sqlite_shop.open()
    sent = send(sqlite_shop, "mixed", mailer)
    assert {"quick.test": SOME} == domains(sink)

    stop = pipeline.Stop()

    def enough(stage: str, _to: str) -> None:  # two seconds lie between two mails to who was throttled
        if stage == "." and domains(sink)["slow.test"]:
            stop.ask()

    sink.answers = enough
    assert let_go(mailer.store, scope_of("main", "slow.test"))
    pipeline.send_due(mailer, stop, sent.plan_id)

    assert 2 <= domains(sink)["slow.test"] < MANY


def test_a_put_off_message_comes_again_by_its_schedule_with_the_same_message_id(shop: Shop, sink: Sink) -> None:
    shop.configure(sink.port)
    sink.answers = lambda *at: "450 4.2.0 greylisted, try again later" if at == (".", "p3@shop.test") else None
    mailer = shop.open()
    sent = send(shop, "few", mailer)
    sink.answers = lambda _stage, _to: None
    (first,) = [one.message_id for one in sink.offered if one.recipient == "p3@shop.test"]

    pipeline.tick(mailer)
    pipeline.send_due(mailer, pipeline.Stop())
    assert 24 == len(sink.taken)  # its time has not come
    restarted = at(shop.open(), mailer.clock() + timedelta(minutes=6))
    pipeline.tick(restarted)
    pipeline.send_due(restarted, pipeline.Stop())

    assert 25 == len(sink.taken)
    assert first == sink.taken[-1].message_id
    assert 2 == standings(mailer, sent.plan_id)["p3@shop.test"].attempts


def test_who_is_put_off_for_three_days_is_refused_as_expired(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    sink.answers = lambda *at: "450 4.2.0 greylisted, try again later" if at == ("RCPT", "p3@shop.test") else None
    mailer = sqlite_shop.open()
    sent = send(sqlite_shop, "few", mailer)

    hours = 0.0
    while standings(mailer, sent.plan_id)["p3@shop.test"].state is MessageState.DEFERRED:
        hours += 2
        assert hours < 100
        after = at(mailer, mailer.clock() + timedelta(hours=hours))
        pipeline.tick(after)
        pipeline.send_due(after, pipeline.Stop())

    found = standings(mailer, sent.plan_id)["p3@shop.test"]
    assert (MessageState.REFUSED, "expired") == (found.state, found.reason)
    assert 68 <= hours <= 74


# ---------------------------------------------------------------- a transport that fails


def with_backup(shop: Shop, main: int, backup: int) -> None:
    shop.configure(main)
    section = (
        f'[transport.second]\nhost = "127.0.0.1"\nport = {backup}\ntls = "off"\nbounce_domain = "b.shop.example"\n'
    )
    add(shop, section, 'backup = "second"\n')


@pytest.fixture
def second() -> Iterator[Sink]:
    sink = Sink()
    sink.start()
    yield sink
    sink.stop()


def test_a_backup_takes_over_in_the_middle_of_a_campaign_and_nobody_gets_two(
    shop: Shop, sink: Sink, second: Sink
) -> None:
    with_backup(shop, sink.port, second.port)

    def dies_after_ten(_stage: str, _to: str) -> None:
        if len(sink.taken) == 10:
            sink.go_down()

    sink.answers = dies_after_ten
    mailer = shop.open()
    sent = send(shop, "few", mailer)

    found = standings(mailer, sent.plan_id)
    uncertain = in_state(found, MessageState.UNCERTAIN)
    everybody = sink.recipients() + second.recipients()
    assert 1 == max(everybody.values())
    assert 25 == sent.counts["sent"] + len(uncertain)
    assert len(uncertain) <= 1
    assert 14 <= len(second.taken) <= 15


def test_a_campaign_starts_over_its_backup_when_its_own_transport_is_down(
    sqlite_shop: Shop, sink: Sink, second: Sink
) -> None:
    with_backup(sqlite_shop, sink.port, second.port)
    sink.go_down()

    assert 25 == send(sqlite_shop).counts["sent"]
    assert 25 == len(second.taken)


def test_a_refused_login_is_a_failure_of_that_transport_alone(sqlite_shop: Shop, sink: Sink, second: Sink) -> None:
    with_backup(sqlite_shop, sink.port, second.port)
    sink.answers = lambda stage, _to: "530 5.7.0 authentication required" if stage == "MAIL" else None

    assert 25 == send(sqlite_shop).counts["sent"]
    assert 25 == len(second.taken)


def test_a_full_disk_is_no_fault_of_the_transport(sqlite_shop: Shop, sink: Sink, second: Sink) -> None:
    with_backup(sqlite_shop, sink.port, second.port)

    def fills_up(stage: str, _to: str) -> None:
        if stage == "." and len(sink.taken) == 4:
            no_room_for_the_journal()

    sink.answers = fills_up
    mailer = sqlite_shop.open()
    sent = send(sqlite_shop, mailer=mailer)

    assert sent.cut_off
    assert "can't be written: No space left on device; free some space, then `mailer resume`" in sent.notes[0]
    assert [] == second.taken
    with mailer.store.read() as db:
        assert [] == db.execute(sa.select(breaker)).all()


def no_room_for_the_journal() -> None:
    """From now on every write to a journal of this process fails, as on a full disk."""
    for one in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if one.readlink().suffix == ".journal":
                full = os.open("/dev/full", os.O_WRONLY)
                os.dup2(full, int(one.name))
                os.close(full)


def test_what_holds_mail_back_is_told_by_status(
    sqlite_shop: Shop, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    sqlite_shop.configure(sink.port)
    add(sqlite_shop, "", "daily = 10\n")
    send(sqlite_shop)

    run(["--workspace", str(sqlite_shop.folder), "status", "--format", "table"])

    assert "15 messages over main wait: all 10 messages of today are out, until " in capsys.readouterr().out


def test_what_a_backup_waits_for_is_told_while_it_is_in_use(sqlite_shop: Shop, sink: Sink, second: Sink) -> None:
    with_backup(sqlite_shop, sink.port, second.port)
    file = sqlite_shop.folder / "config.toml"
    file.write_text(file.read_text().replace("[transport.second]\n", "[transport.second]\ndaily = 10\n"))
    sink.go_down()
    mailer = sqlite_shop.open()
    for _ in range(3):
        note_failure(mailer.store, "main", "nobody there")

    sent = send(sqlite_shop, mailer=mailer)

    assert (10, 15) == (sent.counts["sent"], sent.counts["waiting"])
    assert any("15 messages over second wait: all 10 messages of today are out" in one for one in sent.notes)


def test_the_first_transport_is_used_again_when_it_is_back(sqlite_shop: Shop, sink: Sink, second: Sink) -> None:
    with_backup(sqlite_shop, sink.port, second.port)
    sink.go_down()
    assert 25 == send(sqlite_shop).counts["sent"]
    sink.start()
    mailer = sqlite_shop.open()
    with mailer.store.write() as db:  # the time that it is left alone is over
        db.execute(sa.update(breaker).values(open_until=0.0))

    sqlite_shop.campaign("few", name="again")
    pipeline.send(mailer, "again", None, "once", mailer.clock(), agreed, quiet)

    assert (25, 25) == (len(sink.taken), len(second.taken))
    assert ledger.breaker_open(mailer.store, "main") is None


# ---------------------------------------------------------------- what the other side thinks of us


def test_a_destination_that_refuses_us_three_times_in_a_row_is_held_and_nobody_is_suppressed(
    sqlite_shop: Shop, sink: Sink
) -> None:
    sqlite_shop.configure(sink.port)
    with_two_domains(sqlite_shop)
    says_to_slow(sink, "550 5.7.1 Our system has detected that this message is likely unsolicited mail; blocked")
    mailer = sqlite_shop.open()

    sent = send(sqlite_shop, "mixed", mailer)

    assert (SOME, 3, MANY - 3) == tuple(sent.counts[key] for key in ("sent", "refused", "waiting"))
    assert any("to slow.test over main wait: blocked: 550 5.7.1" in note for note in sent.notes)
    assert not suppressions(mailer)


def test_one_block_that_says_later_holds_its_destination_at_once(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    with_two_domains(sqlite_shop)
    says_to_slow(sink, "421 4.7.26 This mail is unauthenticated, try again later")
    mailer = sqlite_shop.open()

    sent = send(sqlite_shop, "mixed", mailer)

    assert (SOME, 1, MANY - 1) == tuple(sent.counts[key] for key in ("sent", "deferred", "waiting"))


def test_a_word_of_the_operator_ends_the_hold_of_a_destination(sqlite_shop: Shop, sink: Sink) -> None:
    sqlite_shop.configure(sink.port)
    with_two_domains(sqlite_shop)
    says_to_slow(sink, "421 4.7.26 This mail is unauthenticated, try again later")
    mailer = sqlite_shop.open()
    send(sqlite_shop, "mixed", mailer)
    sink.answers = lambda stage, to: None

    waits = pipeline.resume(mailer, "story", None, quiet)
    goes_on = pipeline.resume(mailer, "story", None, quiet, because="the DKIM record was missing")

    assert (SOME, MANY) == (waits.counts["sent"], waits.counts["waiting"])
    assert (SOME + MANY, 0) == (goes_on.counts["sent"], goes_on.counts["waiting"])


@pytest.mark.parametrize("slow", [1, 10])
def test_a_word_of_the_operator_ends_the_hold_of_a_destination_in_a_mixed_batch(
    shop: Shop, sink: Sink, slow: int
) -> None:
    shop.configure(sink.port)
    with_two_domains(shop, slow)
    says_to_slow(sink, "421 4.7.26 This mail is unauthenticated, try again later")
    mailer = shop.open()
    send(shop, "mixed", mailer)
    sink.answers = lambda stage, to: None

    waits = pipeline.resume(mailer, "story", None, quiet)
    goes_on = pipeline.resume(mailer, "story", None, quiet, because="the DKIM record was missing")

    assert (SOME, slow) == (waits.counts["sent"], waits.counts["waiting"])
    assert [slow] == [int(one.split()[0]) for one in waits.notes if "to slow.test over main wait" in one]
    assert (SOME + slow, 0) == (goes_on.counts["sent"], goes_on.counts["waiting"])


def test_a_word_of_the_operator_ends_the_hold_over_a_backup_too(sqlite_shop: Shop, sink: Sink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        closed = nobody.getsockname()[1]
    with_backup(sqlite_shop, closed, sink.port)
    with_two_domains(sqlite_shop)
    says_to_slow(sink, "421 4.7.26 This mail is unauthenticated, try again later")
    mailer = sqlite_shop.open()
    send(sqlite_shop, "mixed", mailer)
    sink.answers = lambda stage, to: None

    goes_on = pipeline.resume(mailer, "story", None, quiet, because="the DKIM record was missing")

    assert (SOME + MANY, 0) == (goes_on.counts["sent"], goes_on.counts["waiting"])


def says_to_slow(sink: Sink, answer: str) -> None:
    """This is the answer about everybody at slow.test from now on."""
    sink.answers = lambda stage, to: answer if (stage, to[-9:]) == ("RCPT", "slow.test") else None


def suppressions(mailer: Mailer) -> int:
    with mailer.store.read() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(suppression)) or 0
