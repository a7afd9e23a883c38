from __future__ import annotations

from prometheus_client import CollectorRegistry

from app.core.errors import KeyLimitReached, Overloaded, TierNotAllowed, TranscriptionError
from app.core.transcript import AudioInfo
from app.http.key_limits.metrics import MAX_NAMES, KeyMetrics
from app.http.request_record import RequestRecord
from app.ops.keys import Key

AUDIO, REFUSED = "whisper_key_audio_seconds_total", "whisper_key_refused_total"


def key(name: str, **limits: int) -> Key:
    """A key with these limits."""
    return Key(digest=name.encode(), name=name, **limits)  # type: ignore[arg-type]  # whole numbers


def values(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Every series: its metric and labels, and its value."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in registry.collect()
        for sample in metric.samples
    }


def done(name: str | None, *, audio_s: float = 0, error: TranscriptionError | None = None) -> RequestRecord:
    """A request of a key that was answered."""
    return RequestRecord("r", key_name=name, info=AudioInfo("en", 1, audio_s) if audio_s else None, error=error)


def test_each_key_has_its_series_from_the_start():
    """At 0, for its audio and for each limit that it has; keys without a name have none."""
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    assert values(registry) == {}
    metrics.follow([key("alice", concurrent=1, requests_per_minute=2), key("bob")])
    metrics.count(done(None, audio_s=3))
    assert values(registry) == {
        (AUDIO, "alice"): 0,
        (AUDIO, "bob"): 0,
        (REFUSED, "alice", "concurrent"): 0,
        (REFUSED, "alice", "requests"): 0,
    }


def test_audio_and_refusals_are_counted():
    """Of a busy server nobody's key is at fault."""
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    metrics.follow([key("alice", concurrent=1)])
    for record in (
        done("alice", audio_s=2.5),
        done("alice", error=KeyLimitReached("m", limit="concurrent", retry_after_s=1)),
        done("alice", error=TierNotAllowed("m")),
        done("alice", error=Overloaded("m", retry_after_s=1)),
    ):
        metrics.count(record)
    assert values(registry) == {
        (AUDIO, "alice"): 2.5,
        (REFUSED, "alice", "concurrent"): 1,
        (REFUSED, "alice", "tier"): 1,
    }


def test_many_keys_share_a_series():
    """Those beyond the first twenty are summed up, however many there are."""
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    metrics.follow([key(f"k{number}", concurrent=1) for number in range(500)])
    metrics.count(done("k0", audio_s=1))
    metrics.count(done("k100", audio_s=1))
    metrics.count(done("k200", audio_s=1))
    found = values(registry)
    assert len(found) == 2 * (MAX_NAMES + 1)
    assert (found[AUDIO, "k0"], found[AUDIO, "other"]) == (1, 2)


def test_a_removed_key_makes_room():
    """Its series end; a key that was summed up with others gets its own, and what remains keeps its value."""
    registry = CollectorRegistry()
    metrics = KeyMetrics(registry)
    keys = [key(f"k{number}") for number in range(MAX_NAMES + 1)]
    metrics.follow(keys)
    metrics.count(done("k1", audio_s=4))
    metrics.follow(keys[1:])
    metrics.count(done("k0", audio_s=1))  # it was still running
    found = values(registry)
    assert (AUDIO, "k0") not in found
    assert (found[AUDIO, "k1"], found[AUDIO, f"k{MAX_NAMES}"], found[AUDIO, "other"]) == (4, 0, 1)
