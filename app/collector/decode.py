"""Read an entry of either stream."""

from __future__ import annotations

from collections.abc import Callable

from app.collector.facts import Entry
from app.collector.redis_io.entries import RawEntry
from app.collector.wire.errors import Unusable
from app.collector.wire.segments_entry import read_segments_entry
from app.collector.wire.speaker_entry import read_speaker_entry
from app.contracts.collector import PAYLOAD_FIELD


def decoder(*, speaker_stream: str, secret: str) -> Callable[[RawEntry], Entry]:
    """A function that reads entries.

    Args:
        speaker_stream: its entries are speaker events, those of every other stream segments.
        secret: key of the meeting tokens; empty: tokens are not checked.

    Returns:
        A function that raises Unusable if nothing of an entry can be used.
    """

    def decode(raw: RawEntry) -> Entry:
        if raw.stream == speaker_stream:
            return read_speaker_entry(raw.stream, raw.id, raw.fields)
        payload = raw.fields.get(PAYLOAD_FIELD)
        if payload is None:
            raise Unusable(f"{PAYLOAD_FIELD} is missing")
        return read_segments_entry(raw.stream, raw.id, payload, secret=secret)

    return decode
