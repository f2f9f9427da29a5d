"""Plans, messages, what is handed over and what comes back: only engine.ledger writes these."""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from engine.store.columns import BigId, Day, Json, UtcTime
from engine.store.tables.schema import metadata

campaign = Table(
    "campaign",
    metadata,
    Column("name", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", UtcTime, nullable=False),
)

# How a campaign came to stand as it does: every change of `campaign`, with the operator's words.
campaign_history = Table(
    "campaign_history",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", UtcTime, nullable=False),
    Index("ix_campaign_history_campaign", "campaign", "id"),
)

template_version = Table(
    "template_version",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("compiled", LargeBinary, nullable=False),  # message.CompiledTemplate, as compressed JSON
)

plan = Table(
    "plan",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("occurrence", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column(
        "frozen", Boolean, nullable=False, server_default=false()
    ),  # false while its entries are still being written
    Column("at", UtcTime, nullable=False),  # the moment the audience was seen as of
    Column("definition", Json, nullable=False),  # the campaign file as it stood
    Column("summary", Json, nullable=False),  # audience, messages, holdout, skipped, variants, detectable ...
    Column("hash", Text, nullable=False),  # over every entry, in order
    Column("released_at", UtcTime),
    Column("priority", Integer, nullable=False, server_default=text("0")),  # whose batches are claimed first
    Column("brake_base", Json),  # what the brake had counted when somebody last took it off; NULL: nothing
)

plan_entry = Table(
    "plan_entry",
    metadata,
    Column("plan_id", BigId, ForeignKey("plan.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("variant", Text, nullable=False, server_default=""),
    Column("language", Text, nullable=False, server_default=""),
    Column("template_hash", Text, nullable=False, server_default=""),
    Column("send_at", UtcTime),
    Column("tracked", Boolean, nullable=False, server_default=false()),
    Column("context", LargeBinary),  # compressed canonical JSON; NULL after erasure or when the window is over
    Column("digest", Text, nullable=False, server_default=""),  # of the mail the dry run showed
    UniqueConstraint("plan_id", "contact_id"),
)

# The winner of the race to release an occurrence: one row, one plan.
release = Table(
    "release",
    metadata,
    Column("campaign", Text, primary_key=True),
    Column("occurrence", Text, primary_key=True),
    Column("plan_id", BigId, ForeignKey("plan.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("ready", Boolean, nullable=False, server_default=false()),  # false while messages are still being written
)

message = Table(
    "message",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("campaign", Text, nullable=False),
    Column("occurrence", Text, nullable=False),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("plan_id", BigId, ForeignKey("plan.id"), nullable=False),
    Column("n", Integer, nullable=False),  # of its plan entry
    Column("delivery_id", Text, nullable=False, unique=True),
    Column("variant", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("send_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime),
    Column("digest", Text, nullable=False, server_default=""),  # of the mail that went out
    Column("proven_at", UtcTime),  # something came back of it before its outcome was known: it did go out
    Column("retry_at", UtcTime),  # deferred: when it is offered again; NULL when somebody must ask for it
    Column("turn_at", UtcTime),  # it got one of the few messages its contact may have, from this moment on
    UniqueConstraint("campaign", "occurrence", "contact_id"),
    Index("ix_message_contact_sent", "contact_id", "sent_at"),
    Index("ix_message_plan_state", "plan_id", "state"),
)
Index(
    "ix_message_plan_retry",
    message.c.plan_id,
    message.c.retry_at,
    sqlite_where=text("retry_at IS NOT NULL"),
    postgresql_where=text("retry_at IS NOT NULL"),
)

# One claim for up to 500 messages. `hi` is the write-ahead intent: ord < hi may have been handed over, others not.
batch = Table(
    "batch",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("plan_id", BigId, ForeignKey("plan.id"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", Text, nullable=False),  # ready | leased | done
    Column("not_before", UtcTime, nullable=False),
    Column("hi", Integer, nullable=False, server_default=text("0")),
    Column("fence", Integer, nullable=False, server_default=text("0")),
    Column("owner", Text, nullable=False, server_default=""),
    Column("lease_until", Float, nullable=False, server_default=text("0")),  # the database's clock, epoch seconds
    Column("destination", Text, nullable=False, server_default=""),  # the recipients' mail system; empty: mixed
    Column("waits_for", Text, nullable=False, server_default=""),  # quiet | capped | outranked: who was postponed
    Column("open", Integer),  # items without an outcome when nobody held it last; NULL: all from `hi` on
    Index("ix_batch_state_not_before", "state", "not_before"),
    Index("ix_batch_state_plan", "state", "plan_id", "not_before"),
)

batch_item = Table(
    "batch_item",
    metadata,
    Column("batch_id", BigId, ForeignKey("batch.id"), primary_key=True),
    Column("ord", Integer, primary_key=True),
    Column("message_id", BigId, ForeignKey("message.id"), nullable=False),
    Column("attempt", Integer, nullable=False),  # n+1 exists only after a certain non-delivery
    UniqueConstraint("message_id", "attempt"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("message_id", BigId, ForeignKey("message.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("batch_id", BigId, ForeignKey("batch.id"), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("transport", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("stage", Text, nullable=False, server_default=""),
    Column("reply", Text, nullable=False, server_default=""),
    Column("at", UtcTime, nullable=False),
)

# How much may go out over a transport, or over it to one destination: a token bucket by the database's clock.
bucket = Table(
    "bucket",
    metadata,
    Column("scope", Text, primary_key=True),  # transport, or transport/destination
    Column("rate", Float, nullable=False, server_default=text("0")),  # messages a second before `factor`; 0: no limit
    Column("factor", Float, nullable=False, server_default=text("1")),  # halved by every throttle, grows back slowly
    Column("tokens", Float, nullable=False, server_default=text("0")),
    Column("at", Float, nullable=False, server_default=text("0")),  # when `tokens` was true; epoch seconds, as all here
    Column("grown_at", Float, nullable=False, server_default=text("0")),  # when `factor` changed last
    Column("recent", Float, nullable=False, server_default=text("0")),  # tokens given lately, fading within a minute
    Column("held_until", Float, nullable=False, server_default=text("0")),
    Column("why", Text, nullable=False, server_default=""),  # of the hold, or of the last throttle
    Column("day", Day),  # the shop's day that `day_count` counts
    Column("day_count", Integer, nullable=False, server_default=text("0")),
    Column("daily", Integer),  # the cap as it was last asked with; NULL: none
    Column("day_ends", Float, nullable=False, server_default=text("0")),
)

# Does a transport get anything through? Open: no sender tries it before its time; half open: one of them tries.
breaker = Table(
    "breaker",
    metadata,
    Column("transport", Text, primary_key=True),
    Column("state", Text, nullable=False),  # closed | open | half_open
    Column("failures", Integer, nullable=False, server_default=text("0")),  # in a row
    Column("opened", Integer, nullable=False, server_default=text("0")),  # times since it last worked
    Column("open_until", Float, nullable=False, server_default=text("0")),  # the database's clock, epoch seconds
    Column("why", Text, nullable=False, server_default=""),
)

# Raw requests, kept as they came; the verdict stands beside them and can be given again.
hit = Table(
    "hit",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("spool_id", Text, nullable=False, unique=True),  # a spooled hit goes in once, however often it is drained
    Column("kind", Text, nullable=False),
    Column("message_id", BigId, ForeignKey("message.id"), nullable=False),
    Column("site", Integer, nullable=False),
    Column("occurrence", Integer, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("method", Text, nullable=False),
    Column("ip", Text, nullable=False, server_default=""),
    Column("agent", Text, nullable=False, server_default=""),
    Column("referer", Text, nullable=False, server_default=""),
    Column("accept_language", Text, nullable=False, server_default=""),
    Column("verdict", Text),
    Column("verdict_why", Text, nullable=False, server_default=""),
    Index("ix_hit_message", "message_id"),
    Index("ix_hit_at", "at"),
)

# Counts for tracking mode "aggregate": nobody can be told from them.
tally = Table(
    "tally",
    metadata,
    Column("plan_id", BigId, ForeignKey("plan.id"), primary_key=True),
    Column("variant", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("site", Integer, primary_key=True),
    Column("day", Day, primary_key=True),
    Column("count", Integer, nullable=False),
)

# Living processes of `mailer run`, `worker` and `serve`, by the database's clock.
process = Table(
    "process",
    metadata,
    Column("owner", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # run | worker | web
    Column("seen", Float, nullable=False),
    Column("trouble", Text, nullable=False, server_default=""),  # what keeps it from its work: no server answers ...
)
