"""The store's four tables, the same for every database.

A new store is made from this, and `migrations/` brings older ones here; a test holds the two against each
other. A number that is not finite is NULL. Times are UTC.
"""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from sweeper.store.text import AnyName, AnyText


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A moment in UTC. SQLite keeps no offset, so it is taken off on the way in and put on on the way out."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """To the database: UTC, without an offset where the database keeps none."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """From the database: aware, in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", AnyName(100), nullable=False, unique=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("experiment", sa.JSON, nullable=False, comment="the file with every default resolved"),
    sa.Column("experiment_text", AnyText, nullable=False, comment="the file as it was written"),
    sa.Column("facts", sa.JSON, nullable=False, comment="versions, hardware and data that results depend on"),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("owner_host", AnyText),
    sa.Column("owner_pid", sa.Integer),
    sa.Column("owner_started", sa.Double, comment="Unix time at which the owner's process started"),
    sa.Column("owner_since", UtcDateTime, comment="when the owner took the lease"),
    sa.Column("lease_token", sa.Integer, nullable=False, comment="only grows; fences older coordinators"),
    sa.Column("lease_expires", sa.Double, comment="Unix time by the database's clock; NULL: released"),
    sa.Column("version", sa.Integer, nullable=False, comment="grows with every write transaction"),
    sa.Column("stop_token", sa.Integer, comment="the lease's whose coordinator is asked to stop"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sweep_id", sa.Integer, sa.ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    sa.Column("optimizer", AnyName(100), nullable=False),
    sa.Column("phase", sa.String(20), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("origin", sa.String(20), nullable=False),
    sa.Column("independent", sa.Boolean, nullable=False),
    sa.Column("setting", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("proposal", sa.JSON, nullable=False, comment="the numbers that Optuna saw"),
    sa.Column("params", sa.JSON, nullable=False, comment="what the rule got"),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False, comment="the latest; 0 before the first"),
    sa.Column("epochs", sa.Integer, nullable=False, comment="epochs recorded by the latest attempt"),
    sa.Column("samples", sa.BigInteger, nullable=False),
    sa.Column("grad_evals", sa.BigInteger, nullable=False),
    sa.Column("train_loss", sa.Double),
    sa.Column("val_loss", sa.Double),
    sa.Column("val_accuracy", sa.Double),
    sa.Column("test_loss", sa.Double),
    sa.Column("test_accuracy", sa.Double),
    sa.Column("setup_s", sa.Double),
    sa.Column("train_s", sa.Double),
    sa.Column("eval_s", sa.Double),
    sa.Column("queued_at", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime, comment="of the latest attempt"),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("error", AnyText),
    sa.Column("checkpoint_attempt", sa.Integer, comment="which attempt saved the checkpoint that counts"),
    sa.Column("checkpoint_epoch", sa.Integer, comment="after which epoch; NULL: there is none"),
    sa.UniqueConstraint("sweep_id", "optimizer", "phase", "number"),
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("worker", AnyText, nullable=False),
    sa.Column("node", AnyText, nullable=False),
    sa.Column("device", AnyText, nullable=False),
    sa.Column("first_epoch", sa.Integer, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    sa.Column("why", AnyText, comment="complete, diverged, interrupted, or what was lost"),
    sa.Column("strike", sa.Boolean, nullable=False, comment="whether it ended by the trial's possible fault"),
)

epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("trial_id", sa.Integer, sa.ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("epoch", sa.Integer, primary_key=True),
    sa.Column("samples", sa.BigInteger, nullable=False),
    sa.Column("steps", sa.BigInteger, nullable=False),
    sa.Column("grad_evals", sa.BigInteger, nullable=False),
    sa.Column("train_loss", sa.Double),
    sa.Column("val_loss", sa.Double),
    sa.Column("val_accuracy", sa.Double),
    sa.Column("lr", sa.Double),
    sa.Column("train_s", sa.Double, nullable=False),
    sa.Column("eval_s", sa.Double, nullable=False),
    sa.Column("recorded_at", UtcDateTime, nullable=False),
)
