"""Alembic runs this file for each command; the connection, with its transaction, comes from migrate.py."""

from __future__ import annotations

from alembic import context

from app.collector.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by copying it
    transactional_ddl=True,  # the transaction is ours: all revisions or none
)
context.run_migrations()
