"""Which coordinator of a sweep is asked to stop."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "sweeps",
        sa.Column("stop_token", sa.Integer(), comment="the lease's whose coordinator is asked to stop"),
    )
