"""Write many rows with one statement.

PostgreSQL takes one array for each column (`unnest`), so that the statement is short and the same for any number of
rows: thousands of parameters would cost more than the rows. SQLite runs a short statement for each row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import JSON, Column, Table, Text, TextClause, bindparam, insert, text, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

_POSTGRES: Final[Any] = postgresql.dialect()  # type: ignore[no-untyped-call]
Rows = Sequence[dict[str, Any]]  # all with the same keys: names of columns


async def insert_rows(connection: AsyncConnection, table: Table, rows: Rows, *returning: str) -> Sequence[Any]:
    """Insert rows; return these columns of each, in any order."""
    if not rows:
        return ()
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        found = await connection.execute(_postgres_insert(table, names, returning), _arrays(table, names, rows))
    elif returning:
        found = await connection.execute(insert(table).returning(*(table.c[name] for name in returning)), rows)
    else:
        found = await connection.execute(insert(table), rows)
    return found.all() if returning else ()


async def update_rows(connection: AsyncConnection, table: Table, rows: Rows, *, key: tuple[str, ...] = ("id",)) -> None:
    """Set the given columns of rows that are known by `key`."""
    if not rows:
        return
    names = tuple(rows[0])
    if connection.dialect.name == "postgresql":
        await connection.execute(_postgres_update(table, names, key), _arrays(table, names, rows))
    else:
        bound = [{f"b_{name}": value for name, value in row.items()} for row in rows]
        await connection.execute(_sqlite_update(table, names, key), bound)


@cache
def _postgres_insert(table: Table, names: tuple[str, ...], returning: tuple[str, ...]) -> TextClause:
    columns = ", ".join(names)
    back = f" RETURNING {', '.join(returning)}" if returning else ""
    rows = f"SELECT {_casts(table, names)} FROM {_unnest(table, names)}"  # noqa: S608 - names of our own tables
    return text(f"INSERT INTO {table.name} ({columns}) {rows}{back}")


@cache
def _postgres_update(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> TextClause:
    changes = ", ".join(f"{name} = {_cast(table.c[name])}" for name in names if name not in key)
    same = " AND ".join(f"{table.name}.{name} = new.{name}" for name in key)
    return text(f"UPDATE {table.name} SET {changes} FROM {_unnest(table, names)} WHERE {same}")  # noqa: S608 - names of our own tables


@cache
def _sqlite_update(table: Table, names: tuple[str, ...], key: tuple[str, ...]) -> Any:
    changes: dict[str, Any] = {name: bindparam(f"b_{name}") for name in names if name not in key}
    return update(table).where(*(table.c[name] == bindparam(f"b_{name}") for name in key)).values(changes)


def _unnest(table: Table, names: tuple[str, ...]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {_array_type(table.c[name])}[])" for name in names)
    return f"unnest({arrays}) AS new ({', '.join(names)})"


def _casts(table: Table, names: tuple[str, ...]) -> str:
    return ", ".join(_cast(table.c[name]) for name in names)


def _cast(column: Column[Any]) -> str:
    return f"CAST(new.{column.name} AS json)" if isinstance(column.type, JSON) else f"new.{column.name}"


def _array_type(column: Column[Any]) -> str:
    return "text" if isinstance(column.type, JSON | Text) else column.type.compile(_POSTGRES)


def _arrays(table: Table, names: tuple[str, ...], rows: Rows) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {}
    for name in names:
        values = [row[name] for row in rows]
        if isinstance(table.c[name].type, JSON):
            values = [None if value is None else json.dumps(value) for value in values]
        columns[name] = values
    return columns
