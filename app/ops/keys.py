"""API keys: which ones a server accepts, and whether a presented one is among them. Pure.

The worker and the live gateway share this file, so both accept and refuse the same keys.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from app.core.errors import Unauthorized

KEY_RULE = "a key must consist of printable ASCII characters, because HTTP headers carry no others"


class KeyRing:
    """The accepted keys, stored as hashes. Without keys the server is open to everyone."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(_digest(key) for key in keys)

    @property
    def is_open(self) -> bool:
        """No key is required."""
        return not self._digests

    def fingerprint(self, presented: str) -> str | None:
        """A short fingerprint of an accepted key, for logs and limits; None if the key is not accepted.

        Every accepted key is compared in constant time, so the duration reveals nothing about them.
        """
        digest = _digest(presented)
        known = sum(hmac.compare_digest(digest, each) for each in self._digests)
        return digest.hex()[:8] if known else None

    def check(self, headers: Mapping[str, str]) -> str | None:
        """Check `Authorization: Bearer <key>` or `X-API-Key: <key>`.

        Returns:
            The key's fingerprint; None on an open server.

        Raises:
            Unauthorized: no key was sent, or it is not accepted.
        """
        if self.is_open:
            return None
        presented = presented_key(headers)
        if not presented:
            raise Unauthorized(
                "No API key was sent. Send it as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                presented=False,
            )
        fingerprint = self.fingerprint(presented)
        if fingerprint is None:
            raise Unauthorized("Incorrect API key. It is not one of the server's API_KEYS.", presented=True)
        return fingerprint


def presented_key(headers: Mapping[str, str]) -> str:
    """The key in a request's headers, empty if there is none; `Bearer` is read in any case.

    Args:
        headers: by lower-case name.
    """
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key", "").strip()


def split_keys(*lists: str) -> tuple[str, ...]:
    """The keys of comma-separated lists, each once, without the white space around them."""
    return tuple(dict.fromkeys(key.strip() for listed in lists for key in listed.split(",") if key.strip()))


def require_sendable(keys: Iterable[str]) -> None:
    """Check that a client can send these keys in a header.

    Raises:
        ValueError: one of them has a character that no header carries.
    """
    if not all(key.isascii() and key.isprintable() for key in keys):
        raise ValueError(KEY_RULE)


def _digest(key: str) -> bytes:
    # "surrogatepass": header bytes beyond ASCII may arrive as lone surrogates. No accepted key has any.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
