"""API keys: which ones a server accepts, and whether a presented one is among them. Pure.

The worker and the live gateway share this file, so both accept and refuse the same keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.core.errors import Unauthorized
from app.core.options import Tier

KEY_RULE = "a key must consist of printable ASCII characters, because HTTP headers carry no others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An accepted key, without the key itself.

    Attributes:
        digest: SHA-256 of the key, 32 bytes.
        name: its name in the keys file; empty for a key of API_KEYS, which has no limits.
        tiers: those that it may use; None = all.
        requests_per_minute: requests that may begin in one minute of the clock; None = no limit.
        concurrent: requests, or live streams of one gateway, at the same time; None = no limit.
        audio_seconds_per_day: seconds of audio in one day (UTC); None = no limit.
    """

    digest: bytes = field(repr=False)
    name: str = ""
    tiers: frozenset[Tier] | None = None
    requests_per_minute: int | None = None
    concurrent: int | None = None
    audio_seconds_per_day: float | None = None

    @property
    def id(self) -> str:
        """A short fingerprint, for logs and for counting its streams: 8 hexadecimal digits."""
        return self.digest.hex()[:8]

    def allows(self, tier: Tier) -> bool:
        """May it use this tier?"""
        return self.tiers is None or tier in self.tiers


class KeyRing:
    """The accepted keys, found by their hashes. Without keys and without a keys file the server is open to everyone.

    The hash is looked up, not compared key by key: how long that takes tells nothing about a key.
    """

    def __init__(self, keys: Iterable[str], *, named: Iterable[Key] | None = None) -> None:
        """`keys` have no limits; `named` are those of the keys file, None if there is no file."""
        self._fixed = {digest: Key(digest=digest) for digest in map(digest_of, keys)}
        self._named: dict[bytes, Key] = {}
        self._is_open = named is None and not self._fixed
        self.replace_named(named or ())

    @property
    def is_open(self) -> bool:
        """No key is required."""
        return self._is_open

    def replace_named(self, keys: Iterable[Key]) -> None:
        """Accept these keys of the keys file from now on, instead of those before."""
        self._named = {key.digest: key for key in keys}

    def find(self, presented: str) -> Key | None:
        """The key that was presented, None if it is not accepted. One of both sources has the limits of the file."""
        digest = digest_of(presented)
        return self._named.get(digest) or self._fixed.get(digest)

    def check(self, headers: Mapping[str, str]) -> Key | None:
        """Check `Authorization: Bearer <key>` or `X-API-Key: <key>`.

        Returns:
            The key; None on an open server.

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
        key = self.find(presented)
        if key is None:
            raise Unauthorized("Incorrect API key. It is not one of the server's keys.", presented=True)
        return key


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


def digest_of(key: str) -> bytes:
    """SHA-256 of a key, 32 bytes."""
    # "surrogatepass": header bytes beyond ASCII may arrive as lone surrogates. No accepted key has any.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
