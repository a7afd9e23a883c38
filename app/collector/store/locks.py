"""Advisory locks of PostgreSQL: held until the transaction ends, taken in ascending order before any row's lock.

SQLite needs none: it has one writer.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from sqlalchemy import ARRAY, BigInteger, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.facts import NO_SESSION

_LOCK: Final = text("SELECT count(pg_advisory_xact_lock(key)) FROM unnest(:keys) AS key").bindparams(
    bindparam("keys", type_=ARRAY(BigInteger))
)


def room_lock(name: str | int | None) -> str:
    """The lock of a room: by the hash of its name, or by the number of its meeting."""
    return f"room:{name}"


def session_locks(uids: Iterable[str | None]) -> set[str]:
    """The locks of sessions by their keys and uids, which speaker events name; those without a name need none."""
    return {f"uid:{uid}" for uid in uids if uid and uid != NO_SESSION}


async def lock_names(connection: AsyncConnection, names: Iterable[str]) -> None:
    """Wait for the locks of rooms, meetings and sessions that may not exist yet."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_LOCK, {"keys": sorted(lock_key(name) for name in set(names))})


def lock_key(name: str) -> int:
    """A name as PostgreSQL wants it: a signed integer of 64 bits."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
