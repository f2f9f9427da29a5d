"""How do senders on several machines hear of work at once? Hints in PostgreSQL; the ledger stays the truth.

The only package that knows Procrastinate. A hint says no more than "batch 17 of plan 9 may be runnable": lost, doubled,
early or late ones change nothing, and where there are none at all workers look for themselves. On SQLite there is one
machine, and nothing here does anything.

Entries: `hint_ready(mailer, at)`, a step of the clock's tick; `run_worker(mailer, stop)`; `upgrade(folder)` of the
hints' own tables.
"""

from engine.fleet.hinting import hint_ready
from engine.fleet.schema import upgrade
from engine.fleet.working import run_worker

__all__ = ["hint_ready", "run_worker", "upgrade"]
