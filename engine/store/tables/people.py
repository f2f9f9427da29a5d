"""Whom does the shop know, what did they do, and what is computed of it?"""

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
    true,
)

from engine.store.columns import BigId, Day, Json, UtcTime
from engine.store.tables.schema import metadata

# Single facts of the workspace: key_fingerprint, profiles_as_of, yardstick, orders_until ...
fact = Table("fact", metadata, Column("name", Text, primary_key=True), Column("value", Json, nullable=False))

# ---------------------------------------------------------------- who

contact = Table(
    "contact",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("email", Text),  # as mailed: local part as given, domain in A-labels; NULL after erasure
    Column("address_key", Text),  # the mailbox, normalised: NFC, casefolded; equal for one person's spellings
    Column("external_id", Text),
    Column("given_name", Text),
    Column("family_name", Text),
    Column("full_name", Text),
    Column("honorific", Text),
    Column("gender", Text),
    Column("birth_date", Day),
    Column("language", Text),
    Column("country", Text),
    Column("region", Text),
    Column("city", Text),
    Column("postal_code", Text),
    Column("timezone", Text),
    Column("job_title", Text),
    Column("company", Text),
    Column("industry", Text),
    Column("company_size", Text),
    Column("company_size_number", Float),  # company_size, where it reads as a number
    Column("income_band", Text),
    Column("interests", Json, nullable=False, server_default=text("'[]'")),
    Column("tags", Json, nullable=False, server_default=text("'[]'")),
    Column("mailing_consent", Boolean),  # NULL: unknown, not mailed
    Column("tracking_consent", Boolean),
    Column("created_at", UtcTime, nullable=False),
    Column("changed", Boolean, nullable=False, server_default=false()),  # facts changed since the profile was computed
    # Her profile, events or clicks changed since the journeys last looked: another number each time; NULL: they did.
    Column("touched", BigId),
    UniqueConstraint("address_key"),
    UniqueConstraint("external_id"),
)
Index("ix_contact_changed", contact.c.id, sqlite_where=text("changed"), postgresql_where=text("changed"))

Index(
    "ix_contact_touched",
    contact.c.id,
    sqlite_where=text("touched IS NOT NULL"),
    postgresql_where=text("touched IS NOT NULL"),
)

# Columns beyond the known ones: `attributes.X`. `number` is the value where it reads as a number.
contact_attribute = Table(
    "contact_attribute",
    metadata,
    Column("contact_id", BigId, ForeignKey("contact.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("number", Float),
)

# Every statement of consent ever made, for proof; the latest stands in `contact` too.
consent = Table(
    "consent",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("purpose", Text, nullable=False),  # mailing | tracking
    Column("given", Boolean, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False),
    Column("wording", Text, nullable=False, server_default=""),
    UniqueConstraint("contact_id", "purpose", "at", "given"),
)

# Never mail these: by keyed hash of the address_key, so that it survives erasure and re-import.
suppression = Table(
    "suppression",
    metadata,
    Column("address_hash", Text, primary_key=True),
    Column("reason", Text, nullable=False),  # unsubscribed | bounced | complained | by_hand | erased
    Column("at", UtcTime, nullable=False),
    Column("source", Text, nullable=False, server_default=""),
)

product = Table(
    "product",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("product_id", Text, nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("category", Text),
    Column("brand", Text),
    Column("price_cents", BigId),
    Column("cost_cents", BigId),
    Column("stock", Integer),  # NULL: not counted
    Column("url", Text),
    Column("image_url", Text),
    Column("recommendable", Boolean, nullable=False, server_default=true()),
)

orders = Table(
    "orders",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("order_id", Text, nullable=False, unique=True),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("ordered_at", UtcTime, nullable=False),
    Index("ix_orders_contact_ordered", "contact_id", "ordered_at"),
    Index("ix_orders_ordered", "ordered_at"),
)

# product_id is the shop's own text: an order may name a product that the catalogue lacks.
order_line = Table(
    "order_line",
    metadata,
    Column("order_pk", BigId, ForeignKey("orders.id"), primary_key=True),
    Column("line_no", Integer, primary_key=True),
    Column("product_id", Text),
    Column("quantity", Float, nullable=False),
    Column("returned", Float, nullable=False, server_default=text("0")),
    Column("unit_price_cents", BigId, nullable=False),
    Column("discount_cents", BigId, nullable=False, server_default=text("0")),
    Column("revenue_cents", BigId, nullable=False),  # (quantity - returned) * unit price - discount, pro rata
    # Lines lie by order, and there is no index by product: with one, an import of orders wrote nine times as much.
    sqlite_with_rowid=False,
)

event = Table(
    "event",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("contact_id", BigId, ForeignKey("contact.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("properties", Json, nullable=False, server_default=text("'{}'")),
    Index("ix_event_contact_kind_at", "contact_id", "kind", "at"),
)
# What servers returned and readers complained of: few among the shop's own events, and the brake asks every 2 s.
RETURNED = "kind IN ('bounce', 'complaint')"
Index("ix_event_returned", event.c.kind, event.c.at, sqlite_where=text(RETURNED), postgresql_where=text(RETURNED))

# How far a file's import has come: the same file again goes on, or does nothing.
import_run = Table(
    "import_run",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of kind, mapping and the file's bytes
    Column("kind", Text, nullable=False),
    Column("rows_done", Integer, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("result", Json, nullable=False),
    Column("at", UtcTime, nullable=False),
)

# -------------------------------------------- the profile: dates, counts and gaps (as of fact "profiles_as_of")

profile = Table(
    "profile",
    metadata,
    Column("contact_id", BigId, ForeignKey("contact.id"), primary_key=True),
    Column("greeting", Text),
    Column("orders_count", Integer, nullable=False, server_default=text("0")),
    Column("purchase_days", Integer, nullable=False, server_default=text("0")),
    Column("revenue_cents", BigId, nullable=False, server_default=text("0")),
    Column("first_order_at", UtcTime),
    Column("last_order_at", UtcTime),
    Column("usual_gap_days", Float),
    Column("mean_gap_days", Float),
    Column("favourite_product", Text),  # product_id
    Column("favourite_category", Text),
    Column("favourite_brand", Text),
    Column("categories", Json, nullable=False, server_default=text("'[]'")),
    Column("brands", Json, nullable=False, server_default=text("'[]'")),
    Column("discount_share", Float),
    Column("pending", Text),  # NULL: the figures are in; else which refresh has yet to write them
    Index("ix_profile_last_order", "last_order_at"),
)
Index(
    "ix_profile_pending",
    profile.c.contact_id,
    sqlite_where=text("pending IS NOT NULL"),
    postgresql_where=text("pending IS NOT NULL"),
)

recommendation = Table(
    "recommendation",
    metadata,
    Column("contact_id", BigId, ForeignKey("contact.id"), primary_key=True),
    Column("list", Text, primary_key=True),  # buy_again | new_for_you
    Column("rank", Integer, primary_key=True),
    Column("product_id", Text, nullable=False),
    Column("score", Float, nullable=False),
    Column("reason", Json, nullable=False),  # {"code": ..., values}: worded in the reader's language when rendered
)
