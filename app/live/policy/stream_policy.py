"""The durations that the commit policy of a live stream uses. Pure.

A request with 2 s of audio costs a Whisper model nearly as much as one with 20 s, and at temperature
0 a repeated request brings nothing new. So every rule depends on how much audio there is, never on
the number of requests. docs/live.md explains the rules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPolicy:
    """The commit policy's durations, in seconds of audio unless stated.

    Attributes:
        step_s: new audio that is worth another request.
        pause_s: silence after speech that ends an utterance; one request then commits all of it.
        hold_s: after this much silence no request is sent until `pause_s` is reached or speech
            continues: silence adds no words.
        preroll_s: silence kept before speech, so that no onset is clipped.
        idle_flush_s: if no frames arrive for this long (wall clock), the utterance ends too.
        far_s: if requests are further apart than this, `guard_s` commits instead of agreement.
        guard_s: words that end this long before the end of a single window are trusted.
        edge_s: words that end this close to an open window's end may be cut off: never committed.
        max_wait_s: words this far from the end are committed even while hypotheses disagree.
        trim_s: a longer window loses the audio of its committed words.
        max_window_s: the longest window, whatever the backlog.
        full_s: a window this long commits up to its last segment boundary.
        max_segment_s: a segment without a sentence end is completed at this length.
        complete_after_s: a long sentence is completed in parts when its first word that is not completed ended
            this long before the end of the newest window; at a clause or a short break after half of it.
        gap_s: silence between two words that ends a segment.
        wordless_s: audio without a word after the last committed one that ends an utterance, as a pause does.
        context_s: silence after which the prompt is dropped: the subject may be new, and a loop ends.
        prompt_chars: committed text sent as a prompt; 0, because a small model may repeat it endlessly.
        empty_backoff_s: the step doubles up to this while requests find no words in noise.
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
    complete_after_s: float = 3.0
    gap_s: float = 0.8
    wordless_s: float = 2.5
    context_s: float = 5.0
    prompt_chars: int = 0
    empty_backoff_s: float = 4.0
