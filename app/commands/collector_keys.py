"""`python -m app collector token create`: make a key of the transcript API and print it once.

The database keeps its SHA-256 only. Exit status: 0: made. 2: an argument, a setting or the database cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import secrets
import sys
from collections.abc import Sequence
from typing import Final

from app.collector.clock import SystemClock
from app.collector.errors import DatabaseAway
from app.collector.storage import Storage
from app.collector.store.store import Store
from app.core.errors import StartupError
from app.settings.collector import CollectorSettings, load_collector_settings

SCOPES: Final = ("read", "write", "delete")
PREFIX: Final = "stt_"
SHOWN_CHARS: Final = 8  # of a key, in lists of keys
DAY_MS: Final = 86_400_000


def main(argv: Sequence[str]) -> int:
    """Run `collector token create`; return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        key = asyncio.run(_run(load_collector_settings(), arguments))
    except StartupError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except DatabaseAway:
        sys.stderr.write("error: the database of DATABASE_URL does not answer\n")
        return 2
    print(key)  # noqa: T201 - the command's output
    return 0


async def create(store: Storage, *, owner_id: int, name: str, scopes: frozenset[str], days: int, now_ms: int) -> str:
    """Store a new key; return it.

    Args:
        store: where its hash is kept.
        owner_id: whose meetings it opens.
        name: for people.
        scopes: some of read, write and delete.
        days: until it expires; 0: never.
        now_ms: Unix ms.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    await store.create_key(
        owner_id,
        hashlib.sha256(key.encode()).hexdigest(),
        prefix=key[:SHOWN_CHARS],
        name=name,
        scopes=scopes,
        expires_ms=now_ms + days * DAY_MS if days else None,
        now_ms=now_ms,
    )
    return key


def read_scopes(listed: str) -> frozenset[str]:
    """Read `read,write`.

    Raises:
        ArgumentTypeError: one of them does not exist, or there is none.
    """
    scopes = frozenset(each.strip() for each in listed.split(",") if each.strip())
    if not scopes or not scopes <= set(SCOPES):
        raise argparse.ArgumentTypeError(f"{listed!r} is not a list of {', '.join(SCOPES)}")
    return scopes


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


def _days(text: str) -> int:
    days = int(text)
    if not 0 <= days <= 36_500:  # noqa: PLR2004 - a century
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 36500")
    return days


async def _run(settings: CollectorSettings, arguments: argparse.Namespace) -> str:
    store = await Store.open(settings.database_url.get_secret_value(), migrate=settings.collector_migrate)
    try:
        return await create(
            store,
            owner_id=arguments.owner,
            name=arguments.name,
            scopes=arguments.scopes,
            days=arguments.days,
            now_ms=SystemClock().now_ms(),
        )
    finally:
        await store.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app collector", description="Manage the transcript collector.")
    token = parser.add_subparsers(required=True).add_parser("token", help="keys of the transcript API")
    make = token.add_subparsers(required=True).add_parser("create", help="make a key and print it once")
    make.add_argument("--owner", type=_positive, default=1, help="number of the owner whose meetings it opens")
    make.add_argument("--name", default="", help="what the key is for")
    make.add_argument("--scopes", type=read_scopes, default=frozenset({"read"}), help="of read,write,delete")
    make.add_argument("--days", type=_days, default=90, help="until it expires (default 90); 0: never")
    return parser
