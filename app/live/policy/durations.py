"""What a live stream decides by: lengths of audio in seconds, never counts of repeated answers.

A pass over 2 s of audio costs a Whisper nearly what a pass over 20 s costs, and at temperature 0 a
repeat says nothing new, so every rule here is about how much audio there is. See docs/live.md.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPolicy:
    """The commit policy's lengths.

    Attributes:
        step_s: new audio that makes another pass worth its cost.
        pause_s: silence after speech that ends an utterance; one pass then commits all of it.
        hold_s: once speech has been silent for this long no pass is made until `pause_s` is reached
            or speech goes on: nothing new can be heard in between.
        preroll_s: silence kept in front of speech, so that no onset is clipped.
        idle_flush_s: no frames for this long (wall clock) ends the utterance too.
        far_s: passes further apart than this cannot agree in time, so the guard commits instead.
        guard_s: the distance from the window's end behind which one far pass is trusted.
        edge_s: words ending this close to an open window's end may be cut short: never committed.
        max_wait_s: words this far from the end are committed even while passes disagree.
        trim_s: a longer window loses its committed front.
        max_window_s: no window is longer, whatever the backlog.
        full_s: a window this long commits at its last segment boundary.
        max_segment_s: a segment that finds no sentence end is completed at this length.
        gap_s: silence between two words that ends a segment.
        context_s: silence after which the prompt is dropped: a new subject, and old loops end.
        prompt_chars: committed text sent along as context; off, for a small model repeats it and loops.
        empty_backoff_s: the step doubles up to this while passes hear nothing in noise.
    """

    step_s: float = 1.0
    pause_s: float = 0.6
    hold_s: float = 0.2
    preroll_s: float = 0.4
    idle_flush_s: float = 1.2
    far_s: float = 2.5
    guard_s: float = 2.0
    edge_s: float = 0.4
    max_wait_s: float = 6.0
    trim_s: float = 10.0
    max_window_s: float = 28.0
    full_s: float = 25.0
    max_segment_s: float = 10.0
    gap_s: float = 0.8
    context_s: float = 5.0
    prompt_chars: int = 0
    empty_backoff_s: float = 4.0
