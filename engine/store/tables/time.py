"""Schedules, journeys and their timers: only engine.ledger writes these."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from engine.store.columns import BigId, Json, UtcTime
from engine.store.tables.schema import metadata

# A campaign with `repeat` that somebody armed. Its occurrences are named by local wall time.
schedule = Table(
    "schedule",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("repeat", Text, nullable=False),
    Column("armed_at", UtcTime, nullable=False),
    Column("seen_until", UtcTime, nullable=False),  # every occurrence due up to here was run or is in `missed`
    Column("next_due_at", UtcTime),
    Column("trouble", Text, nullable=False, server_default=""),  # why the last try to run one failed
)

# What should have happened and did not, never silently.
missed = Table(
    "missed",
    metadata,
    Column("name", Text, primary_key=True),  # a campaign, or a journey
    Column("occurrence", Text, primary_key=True),
    Column("due_at", UtcTime, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("why", Text, nullable=False),
)

journey = Table(
    "journey",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),  # as a campaign's
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", UtcTime, nullable=False),  # of the state
    Column("version", Integer, nullable=False),  # the one that newcomers start on
    Column("pauses", Integer, nullable=False, server_default=text("0")),  # finished ones: waits are shifted by each
    Column("base_seen", BigId, nullable=False, server_default=text("0")),  # the last contact looked at when published
    Column("base_done", Boolean, nullable=False, server_default=false()),
    Column("base_of", Text, nullable=False, server_default=""),  # which start and rules the base was looked at by
    Column("base_at", UtcTime),  # when the version was published whose start that is: older events bring nobody in
    Column("base_until", BigId),  # the last contact that was there by then: whoever came later is no part of the base
    Column("yardstick_at", UtcTime),  # of which yardstick the watches are; NULL: the rules don't ask for it
    Column("reads_sent", Boolean, nullable=False, server_default=false()),  # whether its start asks what was sent
)

journey_version = Table(
    "journey_version",
    metadata,
    Column("journey", Text, ForeignKey("journey.name"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("definition", Json, nullable=False),
    Column("hash", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
)

journey_pause = Table(
    "journey_pause",
    metadata,
    Column("journey", Text, ForeignKey("journey.name"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("began_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
)

# Whether a contact stood inside a journey's start segment when last seen, and when she must be looked at again
# though nothing happens to her: a rule's span runs out, a birthday comes.
watch = Table(
    "watch",
    metadata,
    Column("journey", Text, ForeignKey("journey.name"), primary_key=True),
    Column("contact_id", BigId, ForeignKey("contact.id"), primary_key=True),
    Column("inside", Boolean, nullable=False),
    Column("look_at", UtcTime),
    Column("mark", BigId),  # the last event or order (id) or day (yyyymmdd) of hers that was looked at
    Column("seq", Integer, nullable=False, server_default=text("0")),  # a look is written only over the one it saw
)
Index(
    "ix_watch_look",
    watch.c.journey,
    watch.c.look_at,
    sqlite_where=text("look_at IS NOT NULL"),
    postgresql_where=text("look_at IS NOT NULL"),
)

# One contact's way through a journey.
enrolment = Table(
    "enrolment",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("journey", Text, ForeignKey("journey.name"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("n", Integer, nullable=False),  # which time for this contact, from 1
    Column("cause", Text, nullable=False, server_default=""),  # the event, order or day that brought her in
    Column("held_out", Boolean, nullable=False, server_default=false()),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("step", Text, nullable=False),
    Column("visit", Integer, nullable=False, server_default=text("0")),
    Column("waiting", Boolean, nullable=False, server_default=false()),
    Column("entered_at", UtcTime, nullable=False),
    Column("step_at", UtcTime, nullable=False),
    Column("rings_at", UtcTime, nullable=False),  # when this step's timer rings, or the step came up
    Column("due_at", UtcTime),  # when it is looked at next: the timer, or at once since something happened; NULL: over
    Column("ended_at", UtcTime),
    Column("seq", Integer, nullable=False, server_default=text("0")),  # a move is written only on the one it saw
    Column("pauses", Integer, nullable=False, server_default=text("0")),  # of the journey's that rings_at is shifted by
    UniqueConstraint("journey", "contact_id", "n"),
    Index("ix_enrolment_contact", "contact_id", "journey"),
)
# By journey, so that what waits in a paused one stands in no other's way.
Index(
    "ix_enrolment_due",
    enrolment.c.journey,
    enrolment.c.due_at,
    sqlite_where=text("due_at IS NOT NULL"),
    postgresql_where=text("due_at IS NOT NULL"),
)
# Who is inside and held by a fault: `reason` tells which.
Index(
    "ix_enrolment_held",
    enrolment.c.journey,
    sqlite_where=text("state = 'waiting' AND reason <> ''"),
    postgresql_where=text("state = 'waiting' AND reason <> ''"),
)
# Nobody is in the same journey twice at once.
Index(
    "uq_enrolment_inside",
    enrolment.c.journey,
    enrolment.c.contact_id,
    unique=True,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)

# Somebody is at these enrolments. Apart from them: those lie all over their table, and a claim of 500 would write as
# many pages; these lie together, and there are few of them.
enrolment_hold = Table(
    "enrolment_hold",
    metadata,
    Column("enrolment_id", BigId, primary_key=True, autoincrement=False),
    Column("held_until", Float, nullable=False),  # the database's clock, epoch seconds
)

# Every step that was ever done: what came of it, and where it led.
enrolment_step = Table(
    "enrolment_step",
    metadata,
    Column("enrolment_id", BigId, ForeignKey("enrolment.id"), primary_key=True),
    Column("visit", Integer, primary_key=True),
    Column("journey", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("leads_to", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_enrolment_step_edge", "journey", "step", "result", "leads_to"),
)

# Webhooks that journeys call: at least once, under the same key each time.
call = Table(
    "call",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # enrolment and visit
    Column("url", Text, nullable=False),
    Column("body", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("due_at", UtcTime),  # NULL: answered, or given up
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("trouble", Text, nullable=False, server_default=""),
)
Index(
    "ix_call_due", call.c.due_at, sqlite_where=text("due_at IS NOT NULL"), postgresql_where=text("due_at IS NOT NULL")
)
Index("ix_call_trouble", call.c.at, sqlite_where=text("trouble <> ''"), postgresql_where=text("trouble <> ''"))

# What a person was told of by [alerts], once per cause.
alert = Table(
    "alert",
    metadata,
    Column("cause", Text, primary_key=True),
    Column("text", Text, nullable=False),
    Column("began_at", UtcTime, nullable=False),
    Column("told_at", UtcTime),
    Column("over_at", UtcTime),
    Column("held_until", Float, nullable=False, server_default=text("0")),  # somebody is telling it; epoch seconds
)
