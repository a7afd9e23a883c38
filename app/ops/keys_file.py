"""Reads the keys file, and again when it has changed. Blocking.

A change is another inode, time or size of what the path leads to: so a file that is edited, one that is replaced by
a rename, and a link that is swapped, as Kubernetes does with a mounted secret, are all noticed.
"""

from __future__ import annotations

import logging
import stat
from pathlib import Path
from typing import Final

from app.core.errors import StartupError
from app.ops.keys import Key
from app.ops.keys_format import BadKeysFile, parse

log = logging.getLogger("app.keys")

MAX_BYTES: Final = 2**20  # about five thousand keys


class KeysFile:
    """One keys file, and which version of it was read last."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._version: tuple[int, ...] | None = None

    def load(self) -> tuple[Key, ...]:
        """The keys, at the start of a process.

        Raises:
            StartupError: the file is missing, unreadable or wrong; one line with the remedy.
        """
        try:
            return self._read()
        except BadKeysFile as bad:
            raise StartupError(f"API_KEYS_FILE={self._path}: {bad}") from None

    def reload(self) -> tuple[Key, ...] | None:
        """The keys if the file has changed and is right, otherwise None. Each wrong version is logged once."""
        if self._current_version() == self._version:
            return None
        try:
            keys = self._read()
        except BadKeysFile as bad:
            log.error(  # noqa: TRY400 - the message says it all
                "keys file not usable: the keys read before stay valid",
                extra={"fields": {"file": str(self._path), "reason": str(bad)}},
            )
            return None
        log.info("keys file read again", extra={"fields": {"file": str(self._path), "keys": len(keys)}})
        return keys

    def _read(self) -> tuple[Key, ...]:
        # before reading: a change meanwhile is seen the next time
        self._version = self._current_version()
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):  # opening a named pipe would wait for ever
                raise BadKeysFile("not a regular file")
            with self._path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
            if len(content) > MAX_BYTES:
                raise BadKeysFile(f"larger than {MAX_BYTES} bytes")
            return parse(content.decode("utf-8-sig"))
        except OSError as error:
            raise BadKeysFile(f"cannot be read: {error.strerror or type(error).__name__}") from None
        except UnicodeDecodeError as error:
            raise BadKeysFile(f"not UTF-8 text: byte {error.start} is invalid") from None

    def _current_version(self) -> tuple[int, ...]:
        try:
            found = self._path.stat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
