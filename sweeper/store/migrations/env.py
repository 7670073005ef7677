"""Alembic's entry point: runs migrations on the connection that `store.engine` hands over."""

from alembic import context

from sweeper.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
