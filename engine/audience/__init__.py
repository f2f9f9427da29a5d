"""WHO: what the shop knows of its people, who of them is meant, and what each may be sent.

Import and consent: `import_contacts`, `import_products`, `import_orders`, `import_events` take a file and
`ImportOptions`, and give an `ImportResult`; `address`; `find`, `add`, `card`, `export`, `erase`, `scrub`; `opt_out`,
`opt_in`, `suppress`, `give_up`, `set_consent`, `standings`, `gate`. Knows nothing of campaigns or transports.
"""

# ---------------------------------------------------------------- import, contacts, consent

from engine.audience.address import Address, address
from engine.audience.consent import (
    give_up,
    opt_in,
    opt_out,
    set_consent,
    standings,
    suppress,
    suppressions_by_reason,
)
from engine.audience.contacts import add, card, export, find
from engine.audience.erasure import erase, scrub
from engine.audience.gate import Gate, gate
from engine.audience.import_contacts import import_contacts
from engine.audience.import_events import import_events
from engine.audience.import_orders import import_orders
from engine.audience.import_products import import_products
from engine.audience.import_run import ImportOptions, ImportResult
from engine.audience.live import import_body

__all__ = [
    "Address",
    "Gate",
    "ImportOptions",
    "ImportResult",
    "add",
    "address",
    "card",
    "erase",
    "export",
    "find",
    "gate",
    "give_up",
    "import_body",
    "import_contacts",
    "import_events",
    "import_orders",
    "import_products",
    "opt_in",
    "opt_out",
    "scrub",
    "set_consent",
    "standings",
    "suppress",
    "suppressions_by_reason",
]

# ---------------------------------------------------------------- profiles, segments, who is meant, what they bought
# `refresh`, `refresh_changed`; `profiles`, `candidates` (through a `View`); `load_segments`; `select`, `count`,
# `contacts_count`, `members`, `why`; `purchases`, `goals_reached`, `first_events`, `orders_until`;
# `look`, `rank`, `stage`, `turning_days`, `next_birthday` (what the simulator needs to draw profiles by itself);
# `foreseen` (profiles, and when what they show changes by itself), `birth_dates`, `attributes_of`;
# `last_acts`, `everybodys_acts`, `places` (who does what at which hour, and where);
# `rebuild_recommendations` (the two lists of every contact, at night), `backtest` (would they have been right?).

from engine.audience.asof import Lens, look
from engine.audience.attribution import Purchase, first_events, goals_reached, latest, orders_until, purchases
from engine.audience.backtest import backtest
from engine.audience.hours import Place, everybodys_acts, last_acts, places
from engine.audience.lifecycle import stage, turning_days
from engine.audience.people import View, candidates, profiles
from engine.audience.recommend import rebuild_recommendations
from engine.audience.refresh import refresh, refresh_changed
from engine.audience.segments import Segment, load_segments
from engine.audience.selection import contacts_count, count, members, select, why
from engine.audience.turning import (
    SENT_FIELDS,
    YARDSTICK_FIELDS,
    Foreseen,
    attributes_of,
    birth_dates,
    foreseen,
    next_birthday,
    yardstick_moment,
)
from engine.audience.yardstick import rank

__all__ += [
    "SENT_FIELDS",
    "YARDSTICK_FIELDS",
    "Foreseen",
    "Lens",
    "Place",
    "Purchase",
    "Segment",
    "View",
    "attributes_of",
    "backtest",
    "birth_dates",
    "candidates",
    "contacts_count",
    "count",
    "everybodys_acts",
    "first_events",
    "foreseen",
    "goals_reached",
    "last_acts",
    "latest",
    "load_segments",
    "look",
    "members",
    "next_birthday",
    "orders_until",
    "places",
    "profiles",
    "purchases",
    "rank",
    "rebuild_recommendations",
    "refresh",
    "refresh_changed",
    "select",
    "stage",
    "turning_days",
    "why",
    "yardstick_moment",
]
