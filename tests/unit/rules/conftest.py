"""A table of people on both databases, for rules."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from four_evaluators import Databases, people


@pytest.fixture(scope="module")
def databases(postgres_url: str) -> Iterator[Databases]:
    """A table of people on each database, empty before every example."""
    lite = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    post = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://", 1), poolclass=sa.NullPool)
    with lite.connect() as one, post.connect() as other:
        for connection in (one, other):
            people.create(connection)
            connection.commit()
        yield Databases(sqlite=one, postgresql=other)
    lite.dispose()
