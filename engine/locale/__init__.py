"""How is it said in the reader's own language? Greetings, money, numbers, days, reasons, and which language it is.

Entry functions: `greeting`, `money`, `number`, `day`, `reason`, `negotiate`, `canonical`, `direction`,
`language_name`, `minor_units`. Whole phrases come back, never pieces to be joined; no name is ever inflected. A
language that has no words of its own here is answered in English. Knows nothing of contacts, templates or the store.
"""

from engine.locale.figures import day, minor_units, money, number
from engine.locale.greetings import greeting
from engine.locale.languages import canonical, direction, language_name, negotiate
from engine.locale.reasons import reason

__all__ = [
    "canonical",
    "day",
    "direction",
    "greeting",
    "language_name",
    "minor_units",
    "money",
    "negotiate",
    "number",
    "reason",
]
