"""Is this key one of ours? Constant time, whatever was sent. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from app.core.errors import Unauthorized


class KeyRing:
    """The accepted keys, kept as hashes; no keys = everybody may enter."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = tuple(_digest(key.encode("utf-8", "surrogateescape")) for key in keys)

    def check(self, headers: Mapping[str, str]) -> str | None:
        """Check `Authorization: Bearer <key>` or `X-API-Key: <key>`.

        Returns:
            A short fingerprint of the key for the log; None on an open server.

        Raises:
            Unauthorized: no key, or none of ours.
        """
        if not self._digests:
            return None
        presented = presented_key(headers)
        if not presented:
            raise Unauthorized(
                "No API key was sent. Send it as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'.",
                presented=False,
            )
        digest = _digest(presented.encode("latin-1"))  # headers are bytes, shown to us as latin-1
        # Every key is compared, so the time tells nothing about which one came close.
        if not sum(hmac.compare_digest(digest, known) for known in self._digests):
            raise Unauthorized("Incorrect API key. It is not one of the server's API_KEYS.", presented=True)
        return digest.hex()[:8]


def presented_key(headers: Mapping[str, str]) -> str:
    """The key a client sent, from either header; the scheme's case does not matter."""
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key", "").strip()


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
