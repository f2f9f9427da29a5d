"""The gate answers ahead of the dots on SQLite, and still hears everybody who left before it was asked."""

import sqlite3
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from other_process import OtherProcess

from engine import audience
from engine.audience.gate import _LOOK_AHEAD, _Gate
from engine.links import Keys
from engine.store import Store
from engine.store.tables import contact

PEOPLE = range(1, 501)
Write = Callable[[str, tuple[Any, ...]], object]
SUPPRESS = """
INSERT INTO suppression (address_hash, reason, at) VALUES (?, ?, 0)
ON CONFLICT DO UPDATE SET reason = excluded.reason"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere each look is a statement")


def mailbox(number: int) -> str:
    return f"p{number}@shop.test"


@pytest.fixture
def shop(sqlite_store: Store, at: datetime) -> Store:
    """Five hundred people who want mail."""
    row = {"mailing_consent": True, "created_at": at}
    with sqlite_store.write() as db:
        rows = [{**row, "id": one, "email": mailbox(one), "address_key": mailbox(one)} for one in PEOPLE]
        db.execute(contact.insert(), rows)
    return sqlite_store


@pytest.fixture
def gate(shop: Store, keys: Keys) -> Iterator[audience.Gate]:
    """One that expects them all, and has looked at so many of them that it looks ahead of the next."""
    with closing(audience.gate(shop, keys)) as gate:
        gate.expect(PEOPLE)
        assert {""} == {gate.may_receive(one) for one in PEOPLE[:40]}
        yield gate


@pytest.fixture
def elsewhere(shop: Store, tmp_path: Path) -> Iterator[OtherProcess]:
    with OtherProcess(tmp_path / "mailer.db") as process:
        yield process


@pytest.fixture(params=["another connection", "another process"])
def write(request: pytest.FixtureRequest, shop: Store, tmp_path: Path) -> Iterator[Write]:
    if request.param == "another process":
        yield request.getfixturevalue("elsewhere").run
        return
    with closing(sqlite3.connect(tmp_path / "mailer.db", isolation_level=None)) as db:
        yield lambda statement, values: db.execute(statement, values).fetchall()


def driver(gate: audience.Gate) -> sqlite3.Connection:
    """The gate's own connection."""
    assert isinstance(gate, _Gate)
    connection: sqlite3.Connection = gate._cursor.connection
    return connection


def statements(gate: audience.Gate) -> list[str]:
    """What the gate asks from now on."""
    asked: list[str] = []
    driver(gate).set_trace_callback(asked.append)
    return asked


def test_hundreds_of_looks_are_a_few_statements_while_nobody_commits(gate: audience.Gate) -> None:
    asked = statements(gate)
    assert {""} == {gate.may_receive(one) for one in PEOPLE[40:]}
    assert len(asked) < 8


def test_who_looks_ahead_finds_the_rows_by_their_keys(gate: audience.Gate) -> None:
    plan = [step for *_, step in driver(gate).execute(f"EXPLAIN QUERY PLAN {_LOOK_AHEAD}", ("{}",))]
    assert "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)" in plan
    assert any(step.startswith("SEARCH s USING INDEX") for step in plan)


def test_where_somebody_commits_before_each_look_nobody_else_is_looked_at(gate: audience.Gate, write: Write) -> None:
    write("INSERT INTO fact VALUES ('looks', '0')", ())
    gate.may_receive(41)
    asked = statements(gate)
    for one in PEOPLE[41:61]:
        write("UPDATE fact SET value = value + 1 WHERE name = 'looks'", ())
        assert "" == gate.may_receive(one)
    assert 20 == len(asked)
    assert [] == [one for one in asked if "json_each" in one]


@pytest.mark.parametrize(
    ("said", "mail", "statement", "of"),
    [
        ("opted_out", "opted_out", SUPPRESS, "complained"),
        ("opted_out", "", SUPPRESS, "unsubscribed"),
        ("suppressed", "suppressed", SUPPRESS, "bounced"),
        ("opted_out", "", "UPDATE contact SET mailing_consent = 0 WHERE id = 45", None),
        ("no_consent", "", "UPDATE contact SET mailing_consent = NULL WHERE id = 45", None),
        ("no_address", "no_address", "UPDATE contact SET address_key = NULL WHERE id = 45", None),
        ("no_address", "no_address", "DELETE FROM contact WHERE id = 45", None),
    ],
)
def test_what_is_committed_between_the_last_look_and_this_one_is_seen(
    gate: audience.Gate, write: Write, keys: Keys, said: str, mail: str, statement: str, of: str | None
) -> None:
    asked = statements(gate)
    assert ("", "") == (gate.may_receive(44), gate.may_receive(45))
    assert "" == gate.may_receive(45)
    assert len(asked) <= 1, "she is not looked at ahead"

    write(statement, () if of is None else (keys.address_hash(mailbox(45)), of))

    assert (said, mail) == (gate.may_receive(45), gate.may_receive(45, "transactional"))
    assert "" == gate.may_receive(46)


def test_a_mailbox_changed_to_one_that_left_is_looked_up_under_its_new_name(
    gate: audience.Gate, write: Write, keys: Keys
) -> None:
    write(SUPPRESS, (keys.address_hash("moved@shop.test"), "complained"))
    assert "" == gate.may_receive(45)
    write("UPDATE contact SET address_key = 'moved@shop.test' WHERE id = 45", ())
    assert ("", "opted_out") == (gate.may_receive(44), gate.may_receive(45))


def test_two_who_exchanged_their_mailboxes_are_not_mistaken_for_each_other(
    gate: audience.Gate, write: Write, keys: Keys
) -> None:
    write(SUPPRESS, (keys.address_hash(mailbox(45)), "complained"))
    for values in (("between", 45), (mailbox(45), 46), (mailbox(46), 45)):
        write("UPDATE contact SET address_key = ? WHERE id = ?", values)
    for _ in range(3):
        assert ["", "", "opted_out", ""] == [gate.may_receive(one) for one in (44, 45, 46, 47)]


def test_an_opt_out_committed_while_the_gate_looks_ahead_is_seen(
    gate: audience.Gate, elsewhere: OtherProcess, keys: Keys
) -> None:
    left: list[int] = []

    def leaves_within_the_statement(one: int) -> None:
        def leaves() -> int:
            driver(gate).set_progress_handler(None, 0)
            elsewhere.run(SUPPRESS, (keys.address_hash(mailbox(one)), "complained"))
            left.append(one)
            return 0

        # Called after 40 steps of a statement: what it reads is fixed by then.
        driver(gate).set_progress_handler(leaves, 40)

    for one in PEOPLE[40:450]:
        if one % 10 == 0:
            leaves_within_the_statement(one + 12)
        assert ("opted_out" if one in left else "") == gate.may_receive(one)
    assert len(left) > 10


def test_who_comes_out_of_turn_or_was_not_expected_is_looked_at_all_the_same(
    gate: audience.Gate, write: Write, keys: Keys
) -> None:
    gate.expect(PEOPLE[:200])
    write(SUPPRESS, (keys.address_hash(mailbox(300)), "complained"))
    write(SUPPRESS, (keys.address_hash(mailbox(150)), "complained"))
    for _ in range(3):
        found = [gate.may_receive(one) for one in (199, 150, 20, 300, 301, 4711, 150, 21)]
        assert ["", "opted_out", "", "opted_out", "", "no_address", "opted_out", ""] == found


@pytest.mark.parametrize("mode", ["PASSIVE", "TRUNCATE"])
def test_opt_outs_are_seen_after_the_log_was_emptied(gate: audience.Gate, write: Write, keys: Keys, mode: str) -> None:
    for one in range(45, 60, 3):
        assert ("", "") == (gate.may_receive(one), gate.may_receive(one + 1))
        write(f"PRAGMA wal_checkpoint({mode})", ())
        assert "" == gate.may_receive(one + 1)
        write(SUPPRESS, (keys.address_hash(mailbox(one + 1)), "complained"))
        write(f"PRAGMA wal_checkpoint({mode})", ())
        assert ("opted_out", "") == (gate.may_receive(one + 1), gate.may_receive(one + 2))


def test_where_commits_cannot_be_told_each_look_is_a_statement(
    shop: Store, keys: Keys, write: Write, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "another.db", isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE t (n)")
        other.execute("BEGIN")
        other.execute("SELECT n FROM t").fetchall()  # which of the two is ours can't be told while both are read
        with closing(audience.gate(shop, keys)) as gate:
            gate.expect(PEOPLE)
            asked = statements(gate)
            assert {""} == {gate.may_receive(one) for one in PEOPLE[:200]}
            assert 200 == len(asked)
            write(SUPPRESS, (keys.address_hash(mailbox(201)), "complained"))
            assert ("opted_out", "") == (gate.may_receive(201), gate.may_receive(202))


# ---------------------------------------------------------------- at random

_REASONS = ["bounced", "unsubscribed", "complained"]


def somebody(random: Random, one: int) -> str:
    """Her mailbox, or the one that she may change to."""
    return mailbox(one + random.choice([0, len(PEOPLE)]))


_CHANGES: tuple[tuple[str, Callable[[Keys, int, Random], tuple[Any, ...]]], ...] = (
    (SUPPRESS, lambda keys, one, random: (keys.address_hash(somebody(random, one)), random.choice(_REASONS))),
    (
        "DELETE FROM suppression WHERE address_hash = ?",
        lambda keys, one, random: (keys.address_hash(somebody(random, one)),),
    ),
    ("UPDATE contact SET mailing_consent = ? WHERE id = ?", lambda _, one, random: (random.choice([None, 0, 1]), one)),
    ("UPDATE contact SET address_key = ? WHERE id = ?", lambda _, one, random: (somebody(random, one), one)),
    ("PRAGMA wal_checkpoint(TRUNCATE)", lambda *_: ()),
)


def agrees(shop: Store, keys: Keys, elsewhere: OtherProcess, steps: int) -> None:
    """Looks and commits in any order: each look says what a statement says."""
    random, answers = Random(18), set()
    with closing(audience.gate(shop, keys)) as gate, closing(_Gate(shop, keys)) as plain:
        gate.expect(PEOPLE)
        one = 0
        for step in range(steps):
            if random.random() < (0.02 if step % 1000 < 500 else 0.5):  # long quiet runs, and hardly any
                statement, values = random.choice(_CHANGES)
                elsewhere.run(statement, values(keys, (one + random.randint(1, 9)) % len(PEOPLE) + 1, random))
            one = one % len(PEOPLE) + 1
            kind = random.choice(["marketing", "transactional"])
            answers.add(said := plain.may_receive(one, kind))
            assert said == gate.may_receive(one, kind)
    assert {"", "opted_out", "suppressed", "no_consent"} == answers


def test_each_look_says_what_a_statement_says(shop: Store, keys: Keys, elsewhere: OtherProcess) -> None:
    agrees(shop, keys, elsewhere, steps=1500)


@pytest.mark.soak
def test_each_of_ten_thousand_looks_says_what_a_statement_says(
    shop: Store, keys: Keys, elsewhere: OtherProcess
) -> None:
    agrees(shop, keys, elsewhere, steps=10_000)


def hears(shop: Store, keys: Keys, elsewhere: OtherProcess, times: int) -> None:
    """Somebody comes and goes in another process, as fast as it can; no look that began later says otherwise."""
    hashed, random = keys.address_hash(mailbox(50)), Random(18)
    comes, goes = (SUPPRESS, (hashed, "by_hand")), ("DELETE FROM suppression WHERE address_hash = ?", (hashed,))
    began: list[int] = []
    over: list[int] = []

    def come_and_go() -> None:
        for place in range(times):
            began.append(time.monotonic_ns())
            over.append(elsewhere.run(*(goes if place % 2 else comes)))
            time.sleep(random.choice([0, 0, 0.0005]))

    looks: list[tuple[int, int, bool]] = []
    with closing(audience.gate(shop, keys)) as gate, ThreadPoolExecutor(1) as pool:
        gate.expect(PEOPLE)
        changing = pool.submit(come_and_go)
        while not changing.done():
            for one in (*PEOPLE[40:48], 50, 50, 50):
                start = time.monotonic_ns()
                said = gate.may_receive(one)
                if one == 50:
                    looks.append((start, time.monotonic_ns(), said == ""))
        changing.result()
    assert [] == [look for look in looks if not _may_be(look, began, over)]
    assert len({may for *_, may in looks}) == 2


def _may_be(look: tuple[int, int, bool], began: list[int], over: list[int]) -> bool:
    """Whether what the look says was so at some moment between its beginning and its end."""
    start, end, may = look
    done = bisect_right(over, start)  # changes that were over
    begun = bisect_right(began, end)  # and those that may have been
    return any((changes % 2 == 0) == may for changes in range(done, begun + 1))


def test_no_look_that_began_after_a_commit_misses_it(shop: Store, keys: Keys, elsewhere: OtherProcess) -> None:
    hears(shop, keys, elsewhere, times=200)


@pytest.mark.soak
def test_no_look_that_began_after_one_of_ten_thousand_commits_misses_it(
    shop: Store, keys: Keys, elsewhere: OtherProcess
) -> None:
    hears(shop, keys, elsewhere, times=10_000)
