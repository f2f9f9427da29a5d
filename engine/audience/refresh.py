"""Whose stored profile is no longer true, and how is it brought up to date while others read, import and opt out?

Work is marked in the database: `contact.changed` (an import touched facts) and `profile.pending` (orders came of age,
or somebody is at work on the row). Each chunk is taken up, computed with no lock held, and written only if still ours:

    take up   changed off, pending = our token                       one short write
    compute   from a snapshot taken after that, as of `profiles_as_of`
    write     figures, pending off; only where pending is still our token and `profiles_as_of` has not moved

Facts that change meanwhile set `changed` again. The token of a killed refresh marks its rows for the next one, and a
second refresh beside this one takes rows over by its own token. So nothing is lost and nothing old wins. Whoever
writes facts must set `changed` in the same transaction, after the facts, even where it is set already.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from engine import ledger
from engine.audience import yardstick
from engine.audience.profile import Basis, Catalogue, Figures, figures
from engine.audience.yardstick import Yardstick
from engine.model import Progress
from engine.store import Store, among, chunks
from engine.store.tables import contact, fact, orders, profile

_MARKS_A_WRITE = 2000
_CONTACTS_A_CHUNK = 250
_DUE = "due"  # pending, with nobody at work on it
FIRST_LANGUAGE = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the stored profiles are of."""

    basis: Basis | None  # None before the first refresh
    yardstick: Yardstick | None


def refresh(
    store: Store, at: datetime, zone: ZoneInfo, progress: Progress | None = None, language: str | None = None
) -> int:
    """Bring every profile to `at` and draw the yardstick anew; gives the number of contacts computed.

    Only contacts are touched whose facts changed or whose orders lie between the last refresh and `at`, either way
    round. Safe to kill at any moment: the next call goes on. `language` greets those who gave none; None keeps the
    one in use, at first English.
    """
    while not _move(store, at, zone, language):
        pass  # another refresh moved first: see again what is due
    touched = _work_off(store, progress)
    with store.read() as db:
        drawn = yardstick.from_profiles(db, at, zone)
    with store.write() as db:
        _keep(store, db, {"yardstick": drawn.to_fact()})
    return touched


def refresh_changed(store: Store, at: datetime, zone: ZoneInfo) -> int:
    """The same without the yardstick, unless there is none yet: cheap, to be called before profiles are read.

    Never goes back in time: for a moment before the last refresh only changed contacts are computed, as of that one.
    """
    with store.read() as db:
        now = stored(db)
        if now.basis is not None:
            at = max(at, now.basis.at)
        is_due = now.basis is None or now.basis.zone != zone or bought_between(db, now.basis.at, at)
        if not is_due and not db.scalar(sa.select(sa.exists(_marked(0)))):
            return 0
    if now.basis is None or now.basis.zone != zone or now.yardstick is None or not now.yardstick.frequency:
        return refresh(store, at, zone)
    while is_due and not _move(store, at, zone, None):
        pass
    return _work_off(store, None)


def stored(db: sa.Connection) -> Stored:
    """What the stored profiles are of, and the stored yardstick."""
    names = ("profiles_as_of", "profiles_drawn_by", "yardstick")
    rows = db.execute(sa.select(fact.c.name, fact.c.value).where(fact.c.name.in_(names)))
    found = {row.name: row.value for row in rows}
    drawn_by, measured = found.get("profiles_drawn_by"), found.get("yardstick")
    return Stored(
        basis=drawn_by
        and Basis(
            at=datetime.fromisoformat(found["profiles_as_of"]),
            zone=ZoneInfo(drawn_by["zone"]),
            language=drawn_by["language"],
        ),
        yardstick=measured and yardstick.from_fact(measured),
    )


def bought_between(db: sa.Connection, one: datetime, other: datetime) -> bool:
    """Whether any order lies after the earlier of two moments and not after the later one."""
    return bool(db.scalar(sa.select(sa.exists().where(_between(one, other)))))


def _between(one: datetime, other: datetime) -> sa.ColumnElement[bool]:
    first, last = sorted((one, other))
    return sa.and_(orders.c.ordered_at > first, orders.c.ordered_at <= last)


def _move(store: Store, at: datetime, zone: ZoneInfo, language: str | None) -> bool:
    """Mark everybody whose figures differ at `at`, then say that the profiles are of `at`; False: start again."""
    with store.read() as db:
        before = stored(db).basis
    kept = language or (before.language if before else FIRST_LANGUAGE)
    wanted = Basis(at=at, zone=zone, language=kept)
    if before == wanted:
        return True
    if before is None or (before.zone, before.language) != (zone, kept):
        due = sa.select(contact.c.id)
    else:
        due = sa.select(orders.c.contact_id).where(_between(before.at, at)).distinct()
    _mark(store, due)
    with store.write() as db:
        return _flip(store, db, before, wanted, due)


def _mark(store: Store, due: sa.Select[int]) -> None:
    """The bulk of the marks, in short writes; the flip looks again."""
    with store.read() as db:
        contact_ids = db.scalars(due).all()
    for some in chunks(sorted(contact_ids), _MARKS_A_WRITE):
        with store.write() as db:
            _set_pending(store, db, some, _DUE)


def _flip(store: Store, db: sa.Connection, before: Basis | None, wanted: Basis, due: sa.Select[int]) -> bool:
    # PostgreSQL: whoever is writing figures holds this row; wait for them, or they would clear marks made below.
    db.execute(sa.select(fact.c.name).where(fact.c.name == "profiles_as_of").with_for_update())
    if stored(db).basis != before:
        return False
    drawn_by = {"zone": wanted.zone.key, "language": wanted.language}
    _keep(store, db, {"profiles_as_of": wanted.at.isoformat(), "profiles_drawn_by": drawn_by})
    lost = sa.and_(profile.c.pending.is_(None), profile.c.contact_id.in_(due))
    db.execute(profile.update().where(lost).values(pending=_DUE))
    return True


def _set_pending(store: Store, db: sa.Connection, contact_ids: Sequence[int], token: str) -> None:
    marks = store.insert(profile).values(pending=token)
    marks = marks.on_conflict_do_update(index_elements=["contact_id"], set_={"pending": token})
    db.execute(marks, [{"contact_id": one} for one in contact_ids])


def _keep(store: Store, db: sa.Connection, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        kept = store.insert(fact).values(name=name, value=value)
        db.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"value": kept.excluded.value}))


def _marked(after: int) -> sa.CompoundSelect[int]:
    """The marked contacts beyond an id; both marks have an index of their own."""
    # Bare, as the index says it: SQLite finds none for the `changed = 1` that a Boolean becomes there.
    is_changed = sa.literal_column("contact.changed", sa.Integer)
    changed = sa.select(contact.c.id).where(is_changed, contact.c.id > after)
    pending = sa.select(profile.c.contact_id).where(profile.c.pending.is_not(None), profile.c.contact_id > after)
    return sa.union(changed, pending)


def _work_off(store: Store, progress: Progress | None) -> int:
    """Compute every marked contact once, by ascending id."""
    token, catalogue, done, last = uuid.uuid4().hex, Catalogue(), 0, 0
    with store.read() as db:
        total = db.scalar(sa.select(sa.func.count()).select_from(_marked(0).subquery())) or 0
    while some := _take_up(store, token, last):
        with store.read() as db:
            basis = stored(db).basis
            assert basis is not None  # `_move` came first
            drawn = figures(db, some, basis, catalogue)
        if not _write(store, drawn, token, basis):
            continue
        done, last = done + len(some), some[-1]
        if progress:
            progress(done, max(total, done))
    return done


def _take_up(store: Store, token: str, after: int) -> Sequence[int]:
    """The next chunk, now ours."""
    with store.write() as db:
        some = db.scalars(_marked(after).order_by("id").limit(_CONTACTS_A_CHUNK)).all()
        if some:
            # Rows that an import holds at this moment (PostgreSQL) stay changed, and are done when it has committed.
            free = sa.select(contact.c.id).where(among(contact.c.id, some), contact.c.changed).order_by(contact.c.id)
            ours = db.scalars(free.with_for_update(skip_locked=True)).all()
            db.execute(contact.update().where(among(contact.c.id, ours)).values(changed=False))
            _set_pending(store, db, some, token)
    return some


def _write(store: Store, drawn: Mapping[int, Figures], token: str, basis: Basis) -> bool:
    """Store what is still ours; False when the profiles have meanwhile become those of another moment."""
    names = list(Figures.__dataclass_fields__)
    figures_in = (
        profile.update()
        .where(profile.c.contact_id == sa.bindparam("whose"), profile.c.pending == token)
        .values(**{name: sa.bindparam(f"new_{name}") for name in names}, pending=None)
    )
    rows = [{"whose": one, **{f"new_{name}": getattr(made, name) for name in names}} for one, made in drawn.items()]
    with store.write() as db:
        db.execute(sa.select(fact.c.name).where(fact.c.name == "profiles_as_of").with_for_update(read=True))
        if stored(db).basis != basis:
            return False
        # With the figures, not before: who looks at her from now on sees the new ones. Contacts are locked first.
        ledger.touch(db, store, among(contact.c.id, list(drawn)))
        db.execute(figures_in, rows)
        return True
