"""What is handed over, one mail at a time, and what comes back?"""

from collections.abc import Callable
from typing import NamedTuple

from engine.model import Mail, Outcome

BeforeDot = Callable[[], Outcome | None]


class Offer(NamedTuple):
    """One mail to hand over. `before_dot` is asked when all but the last step is done: an outcome (a skip) stops it."""

    ord: int
    mail: Mail  # its bytes go out as they are
    before_dot: BeforeDot  # asked for each try to hand over; once more if the wire was too full for its last step


Answer = tuple[int, Outcome]  # the offer's ord, and how it ended

# Reasons of DEFERRED that say: not handed over, and the transport ends here.
ENDING = ("stopped", "unavailable", "configuration", "taken_over")
