"""What keeps a shop's mail going? A parent that ticks, and starts web and senders again when they die.

The only package that knows APScheduler: a clock that ticks, nothing else. What is due lies in the ledger's tables, so a
tick that is late, doubled or lost changes nothing; stop and start at any moment.

Every child has a pipe as its standard input, whose other end the parent holds. However the parent ends, also by
kill -9, the system closes that end: the child reads it and ends in order.

Entry: `supervise(folder)`, and `end_with_parent()` for the children.
"""

from engine.scheduler.children import Child, end_with_parent
from engine.scheduler.rounds import Rounds
from engine.scheduler.supervising import supervise

__all__ = ["Child", "Rounds", "end_with_parent", "supervise"]
