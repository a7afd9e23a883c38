"""Keys of the read API. Only their SHA-256 is stored."""

from __future__ import annotations

from typing import Final

from sqlalchemy import or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.collector.rows import ApiKey
from app.collector.store.bulk import insert_rows
from app.collector.store.tables import API_TOKENS

LAST_USED_EVERY_MS: Final = 60_000  # writing it at each request would cost more than the request
_K = API_TOKENS.c
_ADD_OWNER: Final = text(
    "INSERT INTO owners (id, name, created_ms) VALUES (:id, :name, :created_ms) ON CONFLICT (id) DO NOTHING"
)


async def add_owner(connection: AsyncConnection, owner_id: int, *, name: str, now_ms: int) -> None:
    """Add an owner of meetings; a known one stays as it is."""
    await connection.execute(_ADD_OWNER, {"id": owner_id, "name": name, "created_ms": now_ms})


async def create_key(
    connection: AsyncConnection,
    owner_id: int,
    sha256: str,
    *,
    prefix: str,
    name: str,
    scopes: frozenset[str],
    expires_ms: int | None,
    now_ms: int,
) -> None:
    """Add a key, and its owner if there is none."""
    await add_owner(connection, owner_id, name=str(owner_id), now_ms=now_ms)
    row = {
        "owner_id": owner_id,
        "hash": sha256,
        "prefix": prefix,
        "name": name,
        "scopes": " ".join(sorted(scopes)),
        "expires_ms": expires_ms,
        "created_ms": now_ms,
    }
    await insert_rows(connection, API_TOKENS, [row])


async def find_key(connection: AsyncConnection, sha256: str, *, now_ms: int) -> tuple[ApiKey, bool] | None:
    """The key with this hash unless it has expired, and whether its last use should be written down."""
    statement = select(_K.owner_id, _K.scopes, _K.expires_ms, _K.last_used_ms).where(_K.hash == sha256)
    row = (await connection.execute(statement)).one_or_none()
    if row is None or (row.expires_ms is not None and row.expires_ms <= now_ms):
        return None
    is_stale = row.last_used_ms is None or row.last_used_ms <= now_ms - LAST_USED_EVERY_MS
    return ApiKey(row.owner_id, frozenset(row.scopes.split())), is_stale


async def has_keys(connection: AsyncConnection, *, now_ms: int) -> bool:
    """Is there a key that has not expired?"""
    valid = or_(_K.expires_ms.is_(None), _K.expires_ms > now_ms)
    return (await connection.execute(select(_K.id).where(valid).limit(1))).scalar() is not None


async def note_use(connection: AsyncConnection, sha256: str, *, now_ms: int) -> None:
    """Write down when a key was used, at most once a minute."""
    is_stale = or_(_K.last_used_ms.is_(None), _K.last_used_ms <= now_ms - LAST_USED_EVERY_MS)
    await connection.execute(update(API_TOKENS).where(_K.hash == sha256, is_stale).values(last_used_ms=now_ms))
