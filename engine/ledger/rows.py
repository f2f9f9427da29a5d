"""What do queries give? Rows of any columns: names for the type checker."""

from typing import Any, TypeAlias

import sqlalchemy as sa

Row: TypeAlias = sa.Row[*tuple[Any, ...]]
Query: TypeAlias = sa.Select[*tuple[Any, ...]]
