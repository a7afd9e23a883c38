"""Follow the keys file while the process runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.ops.keys import Key
from app.ops.keys_file import KeysFile

log = logging.getLogger("app.keys")

CHECK_EVERY_S = 1.0


async def watch_keys(
    file: KeysFile, on_keys: Callable[[tuple[Key, ...]], None], *, every_s: float = CHECK_EVERY_S
) -> None:
    """Call `on_keys` with the keys each time the file has changed and is right, until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            keys = await asyncio.to_thread(file.reload)  # a network file system may be slow
            if keys is not None:
                on_keys(keys)
        except Exception:
            log.exception("following the keys file failed")  # a bug; the next key that is removed must still be refused
