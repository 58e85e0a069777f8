"""The script that Alembic runs: the migrations, on the connection that ``upgrade`` opened and will commit."""

from __future__ import annotations

from alembic import context

from pagefault.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=True
)
context.run_migrations()
