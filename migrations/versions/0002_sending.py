"""Pace, retries by class, destinations, and what comes back by mailbox and webhook."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "breaker",
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("opened", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("open_until", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("transport", name=op.f("pk_breaker")),
    )
    op.create_table(
        "bucket",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("rate", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("factor", sa.Float(), server_default=sa.text("1"), nullable=False),
        sa.Column("tokens", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("at", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("grown_at", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("recent", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_until", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("day", sa.Integer(), nullable=True),
        sa.Column("day_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("daily", sa.Integer(), nullable=True),
        sa.Column("day_ends", sa.Float(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("scope", name=op.f("pk_bucket")),
    )
    op.create_table(
        "campaign_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("campaign", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaign_history")),
    )
    with op.batch_alter_table("campaign_history", schema=None) as batch_op:
        batch_op.create_index("ix_campaign_history_campaign", ["campaign", "id"], unique=False)

    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.add_column(sa.Column("destination", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("open", sa.Integer(), nullable=True))
        batch_op.create_index("ix_batch_state_plan", ["state", "plan_id", "not_before"], unique=False)

    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_returned",
            ["kind", "at"],
            unique=False,
            sqlite_where=sa.text("kind IN ('bounce', 'complaint')"),
            postgresql_where=sa.text("kind IN ('bounce', 'complaint')"),
        )

    with op.batch_alter_table("message", schema=None) as batch_op:
        batch_op.add_column(sa.Column("proven_at", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("retry_at", sa.BigInteger(), nullable=True))
        batch_op.create_index(
            "ix_message_plan_retry",
            ["plan_id", "retry_at"],
            unique=False,
            sqlite_where=sa.text("retry_at IS NOT NULL"),
            postgresql_where=sa.text("retry_at IS NOT NULL"),
        )

    with op.batch_alter_table("plan", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("brake_base", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
        )
