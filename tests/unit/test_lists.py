"""A list of identifiers as one value: what `IN` finds, on both databases."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from engine.model import SkipReason
from engine.store import Store, among, pg_array
from engine.store.tables import fact

MOST = 2**63 - 1
AWKWARD = ["", "'", '"', "\\", "{", "}", "NULL", "null", ",", "ä", "\U0001f600", "%s", ":ids", "\u2028"]
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize("wanted", [[1], [MOST, -MOST - 1], range(600)])
def test_numbers_are_found_and_others_are_not(store: Store, wanted: Sequence[int]) -> None:
    with store.read() as db:
        for one, is_there in ((wanted[-1], True), (-5, False)):
            assert is_there == db.scalar(sa.select(among(sa.literal(one, sa.BigInteger), wanted)))
        assert not db.scalar(sa.select(among(sa.literal(1, sa.BigInteger), [])))


def test_every_kind_of_value_comes_back_from_an_array_as_it_was(store: Store) -> None:
    if store.is_sqlite:
        pytest.skip("SQLite has no arrays")
    rows = [
        (1, 2.5e-7, True, SkipReason.SUPPRESSED, b'\0\\"\xff'),
        (MOST, 1e300, False, 'a"b\\c,{}', b""),
        (None, None, None, None, None),
        (0, 0.0, False, "NULL", b"x"),
    ]
    with store.read() as db:
        kinds = "%s::bigint[], %s::double precision[], %s::boolean[], %s::text[], %s::bytea[]"
        found = db.exec_driver_sql(
            f"SELECT * FROM unnest({kinds})", tuple(map(pg_array, zip(*rows, strict=True)))
        ).all()
    assert rows == [tuple(row) for row in found]
    with pytest.raises(TypeError, match="object"):
        pg_array([object()])


def test_sqlite_looks_them_up_and_not_at_every_row(sqlite_store: Store) -> None:
    found = among(fact.c.name, ["a", "b"])
    for which, how in ((found, "SEARCH"), (sa.and_(found, fact.c.value != ""), "SEARCH"), (~found, "SCAN")):
        wanted = sa.select(fact.c.value).where(which).compile(dialect=sqlite.dialect())
        with sqlite_store.read() as db:
            plan = db.exec_driver_sql(f"EXPLAIN QUERY PLAN {wanted}", tuple('["a"]' for _ in wanted.params)).all()
        assert plan[0][3].startswith(how), plan


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.sampled_from(AWKWARD) | TEXTS))
def test_texts_are_found_as_by_in(store: Store, wanted: list[str]) -> None:
    rows = [{"name": name, "value": ""} for name in {*AWKWARD, *wanted}]
    with store.write() as db:
        db.execute(sa.delete(fact))
        db.execute(sa.insert(fact), rows)
        assert set(wanted) == set(db.scalars(sa.select(fact.c.name).where(among(fact.c.name, wanted))))
        assert set(AWKWARD) - set(wanted) == set(db.scalars(sa.select(fact.c.name).where(~among(fact.c.name, wanted))))
