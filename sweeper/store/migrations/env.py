"""Alembic's entry point: runs migrations on the connection that `store.engine` hands over."""

from alembic import context

from sweeper.store.schema import metadata

# The transaction is the caller's.
context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False
)
context.run_migrations()
