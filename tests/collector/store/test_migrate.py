from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from app.collector.store.migrate import downgrade, head, migrate, with_connection
from app.collector.store.store import Store
from app.collector.store.tables import METADATA
from app.core.errors import StartupError
from tests.collector.store.entries import final
from tests.collector.store.reading import texts


async def test_a_filled_database_goes_down_and_up(database_url: str):
    """Going back to nothing removes everything, also when there are rows; the way up works again."""
    store = await Store.open(database_url)
    await store.apply([final(1000, "a", 0, 900, "hello")])
    await store.close()
    downgrade(database_url, "base")
    with pytest.raises(StartupError, match="at revision none, this version needs"):
        migrate(database_url, "check")
    store = await Store.open(database_url)
    await store.apply([final(1000, "a", 0, 900, "again")])
    assert await texts(store) == ["again"]
    await store.close()
    migrate(database_url, "check")
    migrate(database_url, "off")


def test_rows_outlive_an_upgrade(database_url: str):
    """Upgrading a database that is up to date changes nothing."""
    migrate(database_url)
    with_connection(database_url, lambda connection: _run(connection, "INSERT INTO owners VALUES (7, 'x', 0)"))
    migrate(database_url)
    names: list[str] = []
    with_connection(database_url, lambda connection: names.extend(connection.scalars(text("SELECT name FROM owners"))))
    assert names == ["x"]


@pytest.mark.parametrize("mode", ["auto", "check"])
def test_a_newer_database_is_refused(database_url: str, mode):
    """An older program must not write into tables that it does not know."""
    migrate(database_url)
    with_connection(
        database_url, lambda connection: _run(connection, "UPDATE alembic_version SET version_num = '9999'")
    )
    with pytest.raises(StartupError, match=f"9999, which is newer .* up to {head()}"):
        migrate(database_url, mode)


def test_migrations_make_the_tables_that_the_code_expects(database_url: str):
    """A column that only one of both has would fail in production first."""
    migrate(database_url)
    differences: list[object] = []

    def compare(connection: Connection) -> None:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in METADATA.tables}
        context = MigrationContext.configure(connection, opts=options)
        differences.extend(compare_metadata(context, METADATA))

    with_connection(database_url, compare)
    accepted = ("'search'", "ix_transcriptions_search")  # of PostgreSQL only: the code names them in search.py
    assert [each for each in differences if not any(name in str(each) for name in accepted)] == []


def _run(connection: Connection, statement: str) -> None:
    connection.execute(text(statement))
