"""Bring a database to the tables of this version. Blocking: the collector runs it in a thread before it starts.

Revisions stand in `migrations/versions` beside this file, so they are found when the package is installed too. They
only add, so that a collector of the version before still runs beside a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from app.collector.errors import DatabaseAway
from app.collector.store.database import engine_url, prepare_sqlite
from app.core.errors import StartupError

Mode = Literal["auto", "check", "off"]

_FOLDER: Final = Path(__file__).parent / "migrations"
_LOCK: Final = 7_031_904_871_225  # of PostgreSQL's advisory locks: one collector migrates, the others wait


def migrate(url: str, mode: Mode = "auto") -> None:
    """Check the tables of a database, and with `auto` upgrade them.

    Raises:
        StartupError: the database is newer than this program, or older and `mode` is check.
        DatabaseAway: the database does not answer.
    """
    if mode == "off":
        return
    with_connection(url, _upgrade if mode == "auto" else _check)


def downgrade(url: str, revision: str) -> None:
    """Go back to an earlier revision, or to `base`: no tables. For tests and for people."""
    with_connection(url, lambda connection: command.downgrade(_config(connection), revision))


def head() -> str:
    """The newest revision that this program knows."""
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


def with_connection(url: str, work: Callable[[Connection], None]) -> None:
    """Run `work` in one transaction that excludes every other migration.

    Raises:
        DatabaseAway: the database does not answer.
    """
    address = engine_url(url)
    engine = create_engine(address, poolclass=NullPool)
    is_sqlite = engine.dialect.name == "sqlite"
    if is_sqlite:
        prepare_sqlite(engine, begin="BEGIN EXCLUSIVE")
    try:
        with engine.begin() as connection:
            if not is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            work(connection)
    except OperationalError as error:
        raise DatabaseAway(f"the database does not answer: {' '.join(str(error.orig).split())[:200]}") from error
    finally:
        engine.dispose()


def _upgrade(connection: Connection) -> None:
    if _current(connection) != head():
        command.upgrade(_config(connection), "head")


def _check(connection: Connection) -> None:
    current = _current(connection)
    if current != head():
        raise StartupError(
            f"The database is at revision {current or 'none'}, this version needs {head()}; "
            "start the collector once with COLLECTOR_MIGRATE=auto"
        )


def _current(connection: Connection) -> str | None:
    """The database's revision, None if it is empty."""
    current = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    if current is not None and current not in known:
        raise StartupError(
            f"The database is at revision {current}, which is newer than this version of the collector "
            f"(it knows up to {head()}); install the newer version again, or restore a backup from before the upgrade"
        )
    return current


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
