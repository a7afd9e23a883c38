"""How far back new speaker events change what earlier ones said. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from app.collector.facts import SpeakerEvent

EVERYTHING: Final = -(1 << 62)
NOTHING: Final = 1 << 62


def remap_from(known: Iterable[SpeakerEvent], new: Iterable[SpeakerEvent]) -> int:
    """The time of a session (ms) from which segments must be mapped again.

    Events usually come in order and about participants of whom it is known when they began to speak; then nothing
    before the event changes. Anything else may change everything, such as an end whose start is unknown.
    """
    latest_ms, names, ids, pairs = EVERYTHING, set[str](), set[str | None](), set[tuple[str | None, str]]()
    first_ms = NOTHING
    for is_new, events in ((False, known), (True, sorted(new, key=attrgetter("t_ms")))):
        for event in events:
            pair = event.participant_id, event.name
            if is_new:
                began = event.kind == "SPEAKER_START" or (event.participant_id and event.participant_id in ids)
                is_plain = pair in pairs or (event.name not in names and began)
                if event.t_ms <= latest_ms or not is_plain:
                    return EVERYTHING
                first_ms = min(first_ms, event.t_ms)
            latest_ms = max(latest_ms, event.t_ms)
            names.add(event.name)
            ids.add(event.participant_id)
            pairs.add(pair)
    return first_ms
