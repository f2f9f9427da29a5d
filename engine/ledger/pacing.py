"""How much may go out now? Token buckets that all senders share, by the database's clock.

A scope is a transport (`relay`), or a transport and a destination (`relay/gmail`). A sender leases tokens of every
scope of a message, some at a time: what it holds when it dies is lost, which errs on the quiet side. A throttle halves
a scope's rate and holds it for a while; success lets the rate grow back, a sixteenth a minute. Scopes without a rate,
a cap or a throttle are never asked about: `restraints`, read once a batch, names those that are.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from engine.ledger.rows import Query, Row
from engine.store import Store
from engine.store.tables import bucket

LEAST_FACTOR = 1 / 64
GROWTH = 1 / 16  # of the rate, for each minute in which messages went out and none was throttled
GROWS_EVERY = 60.0
_MOST_TOKENS = 50
_GUESSED_RATE = 10.0  # messages a second: what is halved where nothing is set and nobody has measured anything
_FADING = 10.0  # seconds within which tokens given count as "lately"

# The words of `Lease.why`, before a colon.
HELD, DAILY, RATE = "held", "daily", "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceLimit:
    """What config.toml allows one scope."""

    scope: str
    rate: float = 0.0  # messages a second; 0: as fast as it goes
    daily: int | None = None  # messages on this day of the shop's; None: no cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Leave for so many messages. None: `why` (held | daily | rate, then the words) and `scope`; ask again then."""

    granted: int
    wait_seconds: float = 0.0
    why: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restraint:
    """A scope that is held or slowed: its messages need a lease even where config.toml sets no rate."""

    held_seconds: float  # 0: it may go on
    rate: float  # messages a second just now; 0: only held
    why: str


def scope_of(transport: str, destination: str = "") -> str:
    """The name of a scope."""
    return f"{transport}/{destination}" if destination else transport


def lease_size(rate: float) -> int:
    """How many tokens to ask for at a time: a tenth of a second's, at least 1, at most 50."""
    return _MOST_TOKENS if rate <= 0 else max(1, min(_MOST_TOKENS, int(rate / 10)))


def rate_in_words(rate: float) -> str:
    """A rate as people read it: 0.25, 20 or 1,500 messages a second."""
    return f"{rate:,.0f} messages a second" if rate >= 100 else f"{rate:.3g} messages a second"


def restraints(store: Store) -> dict[str, Restraint]:
    """All scopes that are held or slowed now."""
    with store.read() as db:
        return {
            row.scope: Restraint(
                held_seconds=max(0.0, row.held_until - row.now),
                rate=row.rate * row.factor if row.factor < 1 else 0.0,
                why=row.why,
            )
            for row in db.execute(_restrained(store))
        }


def lease(store: Store, limits: Sequence[PaceLimit], want: int, day: date, day_seconds_left: float) -> Lease:
    """Up to `want` tokens of every scope at once, or none and how long to wait for them.

    `day` is the shop's, `day_seconds_left` what is left of it. Commits by itself when it grants, and when it sees a
    scope for the first time: that starts without a token.
    """
    if not limits:
        return Lease(granted=want)
    with store.read() as db:  # a look without the lock: who must wait makes no writer wait
        seen = _refilled(db, store, limits, day, lock=False)
    refused = _refusal(seen, want, day_seconds_left)
    if refused and all(one.is_known for one in seen):
        return refused
    with store.write() as db:
        if not all(one.is_known for one in seen):
            _make_known(db, store, limits)
        found = _refilled(db, store, limits, day, lock=True)
        refused = _refusal(found, want, day_seconds_left)
        granted = 0 if refused else min(one.offer(want) for one in found)
        for one in found if granted else ():
            one.take(db, granted, day, day_seconds_left)
    return refused or Lease(granted=granted)


def give_back(store: Store, scopes: Sequence[str], tokens: int, day: date) -> None:
    """Leased and not used: by a sender that stops in order."""
    same_day = (bucket.c.day == day) & (bucket.c.day_count >= tokens)
    count = sa.case((same_day, bucket.c.day_count - tokens), else_=bucket.c.day_count)
    with store.write() as db:
        mine = sa.update(bucket).where(bucket.c.scope.in_(list(scopes)))
        db.execute(mine.values(tokens=bucket.c.tokens + tokens, day_count=count))


def slow_down(store: Store, scope: str, why: str, seconds: float, seen_rate: float = 0.0) -> float:
    """The other side asked us to go slower: hold the scope, then go on at half the rate; gives that rate.

    Answers that arrive while it is held are of the same throttle and halve nothing. What is halved is the rate that
    config.toml sets, or what got through lately where that is less or nothing is set: by the tokens given, or
    `seen_rate`, what this sender saw.
    """
    with store.write() as db:
        row = _known(db, store, scope)
        faded = row.recent * _faded(row.now - row.at)
        seen = max(seen_rate, faded / _FADING if faded >= 1 else 0.0)
        rate = row.rate or seen or _GUESSED_RATE
        before = min(row.factor, seen / rate) if seen >= 1 else row.factor
        factor = max(LEAST_FACTOR, before / 2) if row.held_until <= row.now else row.factor
        until = max(row.held_until, row.now + seconds)
        changed = {"rate": rate, "factor": factor, "grown_at": until, "held_until": until, "why": why}
        quiet = {"tokens": 0.0, "recent": faded, "at": row.now}
        db.execute(sa.update(bucket).where(bucket.c.scope == scope).values(changed | quiet))
    return float(rate * factor)


def hold(store: Store, scope: str, seconds: float, why: str) -> None:
    """Nothing goes out over this scope for so long; a longer hold stays."""
    with store.write() as db:
        row = _known(db, store, scope)
        if row.held_until < row.now + seconds:
            mine = sa.update(bucket).where(bucket.c.scope == scope)
            db.execute(mine.values(held_until=row.now + seconds, why=why))


def let_go(store: Store, scope: str) -> bool:
    """End a hold; the rate stays as slow as it is. False when there was none."""
    ended = sa.update(bucket).where(bucket.c.scope == scope, bucket.c.held_until > store.epoch_now())
    with store.write() as db:
        return db.execute(ended.values(held_until=0.0)).rowcount == 1


class _Bucket:
    """One scope as of now: refilled, its day turned, its factor grown."""

    def __init__(self, row: Row | None, limit: PaceLimit, day: date) -> None:
        self.limit = limit
        self.is_known = row is not None
        self.row: Mapping[str, Any] = row._asdict() if row is not None else _NEW
        self.now: float = self.row["now"]
        self.factor, self.grown_at = self._grown()
        self.base = limit.rate or (self.row["rate"] if self.factor < 1 else 0.0)
        self.rate = self.base * self.factor
        idle = max(0.0, self.now - self.row["at"])
        # One token at least can gather, and no more than one lease: an idle hour is not made up for.
        self.burst = float(lease_size(self.rate))
        self.tokens = min(self.burst, self.row["tokens"] + self.rate * idle)
        self.recent = self.row["recent"] * _faded(idle)
        self.count = self.row["day_count"] if self._is_same_day(day) else 0

    def _grown(self) -> tuple[float, float]:
        """The factor, and since when: only minutes in which something went out let it grow."""
        factor, since = self.row["factor"], self.row["grown_at"]
        if factor >= 1:
            return 1.0, since
        slow = (self.limit.rate or self.row["rate"]) * factor
        if self.now - self.row["at"] > max(GROWS_EVERY, 2 / slow if slow else 0.0):
            return factor, self.now
        minutes = int(max(0.0, self.now - since) / GROWS_EVERY)
        return min(1.0, factor + GROWTH * minutes), since + GROWS_EVERY * minutes

    def _is_same_day(self, day: date) -> bool:
        """At midnight senders may differ by a moment: yesterday is not counted anew. A clock set back is believed."""
        counted = self.row["day"]
        return counted is not None and -1 <= (day - counted).days <= 0

    def offer(self, want: int) -> int:
        by_rate = math.floor(self.tokens + 1e-9) if self.rate else want
        by_day = want if self.limit.daily is None else max(0, self.limit.daily - self.count)
        return min(want, by_rate, by_day)

    def refusal(self, want: int, day_seconds_left: float) -> Lease | None:
        scope, held = self.limit.scope, self.row["held_until"] - self.now
        if held > 0:
            return Lease(granted=0, wait_seconds=held, why=f"{HELD}: {self.row['why']}", scope=scope)
        if self.limit.daily is not None and self.count >= self.limit.daily:
            used = f"{DAILY}: all {self.limit.daily} messages of today are out"
            return Lease(granted=0, wait_seconds=day_seconds_left, why=used, scope=scope)
        # All or nothing: who took what drops out one by one would ask again for each message.
        missing = min(want, self.burst) - self.tokens if self.rate else 0.0
        if missing > 1e-9:
            slow = f"{RATE}: {rate_in_words(self.rate)}"
            return Lease(granted=0, wait_seconds=missing / self.rate, why=slow, scope=scope)
        return None

    def take(self, db: sa.Connection, granted: int, day: date, day_seconds_left: float) -> None:
        values = {
            "rate": self.base,
            "factor": self.factor,
            "grown_at": self.grown_at,
            "tokens": self.tokens - granted if self.rate else 0.0,
            "recent": self.recent + granted,
            "at": self.now,
            "day": self.row["day"] if self._is_same_day(day) else day,
            "day_count": self.count + granted,
            "daily": self.limit.daily,
            "day_ends": self.now + day_seconds_left,
        }
        db.execute(_TAKE, values | {"key": self.limit.scope})


# Built once: for SQLAlchemy that is more work than the rest of a lease.
_TAKEN = ("rate", "factor", "grown_at", "tokens", "recent", "at", "day", "day_count", "daily", "day_ends")
_TAKE = sa.update(bucket).where(bucket.c.scope == sa.bindparam("key"))
_TAKE = _TAKE.values({name: sa.bindparam(name, type_=bucket.c[name].type) for name in _TAKEN})


@lru_cache(maxsize=4)
def _restrained(store: Store) -> Query:
    now = store.epoch_now()
    return sa.select(bucket, now.label("now")).where((bucket.c.held_until > now) | (bucket.c.factor < 1))


@lru_cache(maxsize=8)
def _asked(store: Store, lock: bool) -> Query:
    """In the order of the key, so that two senders never wait for each other's rows."""
    mine = bucket.c.scope.in_(sa.bindparam("names", expanding=True))
    wanted = sa.select(bucket, store.epoch_now().label("now")).where(mine)
    wanted = wanted.order_by(bucket.c.scope)
    return wanted.with_for_update(of=bucket) if lock else wanted


_NEW: Mapping[str, Any] = {
    "now": 0.0,
    "rate": 0.0,
    "factor": 1.0,
    "tokens": 0.0,
    "at": 0.0,
    "grown_at": 0.0,
    "recent": 0.0,
    "held_until": 0.0,
    "why": "",
    "day": None,
    "day_count": 0,
}


def _refilled(db: sa.Connection, store: Store, limits: Sequence[PaceLimit], day: date, lock: bool) -> list[_Bucket]:
    names: dict[str, Any] = {"names": [one.scope for one in limits]}
    rows = {row.scope: row for row in db.execute(_asked(store, lock), names)}
    return [_Bucket(rows.get(one.scope), one, day) for one in limits]


def _refusal(found: Sequence[_Bucket], want: int, day_seconds_left: float) -> Lease | None:
    """The longest wait among the scopes: then all of them may go."""
    said = [one.refusal(want, day_seconds_left) for one in found]
    refused = [one for one in said if one is not None]
    return max(refused, key=lambda one: one.wait_seconds) if refused else None


def _make_known(db: sa.Connection, store: Store, limits: Sequence[PaceLimit]) -> None:
    for one in sorted(limits, key=lambda one: one.scope):
        new = {"scope": one.scope, "at": store.epoch_now(), "rate": one.rate}
        db.execute(store.insert(bucket).values(new).on_conflict_do_nothing())


def _known(db: sa.Connection, store: Store, scope: str) -> Row:
    _make_known(db, store, [PaceLimit(scope=scope)])
    return db.execute(_asked(store, lock=True), {"names": [scope]}).one()


def _faded(seconds: float) -> float:
    return math.exp(-max(0.0, seconds) / _FADING)
