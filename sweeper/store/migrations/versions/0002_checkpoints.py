"""Which checkpoint of a trial counts, and since when a sweep's owner holds it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column(
        "sweeps",
        sa.Column("owner_since", sa.DateTime(timezone=True), comment="when the owner took the lease"),
    )
    op.add_column(
        "trials",
        sa.Column(
            "checkpoint_attempt", sa.Integer(), comment="which attempt saved the checkpoint that counts"
        ),
    )
    op.add_column(
        "trials",
        sa.Column("checkpoint_epoch", sa.Integer(), comment="after which epoch; NULL: there is none"),
    )
