"""Metrics by the name of a key: names of the operator's file, never anything that a client sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from app.core.errors import KeyLimitReached, TierNotAllowed
from app.http.request_record import RequestRecord
from app.ops.keys import Key
from app.ops.keys_format import RESERVED

# Every name costs up to five series, in every worker.
MAX_NAMES: Final = 20


class KeyMetrics:
    """Seconds of audio and refusals by key; those beyond MAX_NAMES keys are summed up as `other`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._audio_s = Counter(
            "whisper_key_audio_seconds", "Audio transcribed, by the name of the API key", ("key",), registry=registry
        )
        self._refused = Counter(
            "whisper_key_refused",
            "Requests refused because of a limit of their API key",
            ("key", "limit"),
            registry=registry,
        )
        self._limits: dict[str, frozenset[str]] = {}

    def follow(self, keys: Iterable[Key]) -> None:
        """Count these keys from now on. Each has its series at once, at 0; those of others are removed."""
        limits = {key.name: _limits_of(key) for key in keys}
        for name in [name for name in self._limits if name not in limits and name != RESERVED]:
            self._remove(name)
        for name, has in limits.items():
            if name in self._limits or len(self._limits.keys() - {RESERVED}) < MAX_NAMES:
                self._limits[name] = self._limits.get(name, frozenset()) | has
            else:
                self._limits[RESERVED] = self._limits.get(RESERVED, frozenset()) | has
        for name, has in self._limits.items():
            self._audio_s.labels(name)
            for limit in has:
                self._refused.labels(name, limit)

    def count(self, record: RequestRecord) -> None:
        """Count an answered request, if its key has a name: its audio, or the limit because of which it was refused."""
        if record.key_name is None:
            return
        label = record.key_name if record.key_name in self._limits else RESERVED
        if record.info is not None:
            self._audio_s.labels(label).inc(record.info.duration_s)
        if isinstance(record.error, KeyLimitReached):
            self._refused.labels(label, record.error.limit).inc()
        elif isinstance(record.error, TierNotAllowed):
            self._refused.labels(label, "tier").inc()

    def _remove(self, name: str) -> None:
        self._audio_s.remove(name)
        for limit in self._limits.pop(name):
            self._refused.remove(name, limit)


def _limits_of(key: Key) -> frozenset[str]:
    """The limits because of which the key may be refused."""
    limits = {
        "requests": key.requests_per_minute,
        "concurrent": key.concurrent,
        "audio": key.audio_seconds_per_day,
        "tier": key.tiers,
    }
    return frozenset(name for name, limit in limits.items() if limit is not None)
