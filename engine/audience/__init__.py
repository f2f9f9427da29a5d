"""WHO: what the shop knows of its people, who of them is meant, and what each may be sent.

Import and consent: `import_contacts`, `import_products`, `import_orders`, `import_events` take a file and
`ImportOptions`, and give an `ImportResult`; `address`; `find`, `add`, `card`, `export`, `erase`, `scrub`; `opt_out`,
`opt_in`, `suppress`, `give_up`, `set_consent`, `standings`, `gate`. Knows nothing of campaigns or transports.
"""

# ---------------------------------------------------------------- import, contacts, consent

from engine.audience.address import Address, address
from engine.audience.consent import give_up, opt_in, opt_out, set_consent, standings, suppress
from engine.audience.contacts import add, card, export, find
from engine.audience.erasure import erase, scrub
from engine.audience.gate import Gate, gate
from engine.audience.import_contacts import import_contacts
from engine.audience.import_events import import_events
from engine.audience.import_orders import import_orders
from engine.audience.import_products import import_products
from engine.audience.import_run import ImportOptions, ImportResult

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
]

# ---------------------------------------------------------------- profiles, segments, who is meant, what they bought
# `refresh`, `refresh_changed`; `profiles`, `candidates` (through a `View`); `load_segments`; `select`, `count`,
# `contacts_count`, `members`, `why`; `purchases`, `goals_reached`, `first_events`, `orders_until`;
# `rebuild_recommendations` (the two lists of every contact, at night), `backtest` (would they have been right?).

from engine.audience.attribution import Purchase, first_events, goals_reached, orders_until, purchases
from engine.audience.backtest import backtest
from engine.audience.people import View, candidates, profiles
from engine.audience.recommend import rebuild_recommendations
from engine.audience.refresh import refresh, refresh_changed
from engine.audience.segments import Segment, load_segments
from engine.audience.selection import contacts_count, count, members, select, why

__all__ += [
    "Purchase",
    "Segment",
    "View",
    "backtest",
    "candidates",
    "contacts_count",
    "count",
    "first_events",
    "goals_reached",
    "load_segments",
    "members",
    "orders_until",
    "profiles",
    "purchases",
    "rebuild_recommendations",
    "refresh",
    "refresh_changed",
    "select",
    "why",
]
