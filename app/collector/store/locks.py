"""Advisory locks of PostgreSQL: held until the transaction ends, taken in ascending order before any row's lock.

SQLite needs none: it has one writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

_LOCK: Final = text("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(:keys) AS key").bindparams(
    bindparam("keys", type_=ARRAY(BigInteger))
)


async def lock_names(connection: AsyncConnection, names: Iterable[str]) -> None:
    """Wait for the locks of rooms, meetings and sessions that may not exist yet."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK, {"keys": sorted(lock_key(name) for name in set(names))})


def lock_key(name: str) -> int:
    """A name as PostgreSQL wants it: a signed integer of 64 bits."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
