"""When each word of a transcript was first shown, stopped changing, and became final. Pure.

All delays count from the time at which the last sample of the word was sent. The end of a word is
the one in the completed segment, so a server that sends no word times has no word delays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

BURST_S = 0.05  # messages this close together are one update: a segment is sent as partial and completed
NEAR_WORDS = 2  # a word counts as shown this many places from its final one: an earlier word may still appear

Messages = Iterable[tuple[float, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class WordDelays:
    """One final word: when it was first shown, when it was shown for good, when its segment was completed."""

    text: str
    first_shown_s: float
    stable_s: float
    done_s: float


@dataclass(frozen=True, slots=True)
class SegmentDelay:
    """One completed segment: its length, and its completion after its last sample was sent."""

    length_s: float
    done_s: float


@dataclass(frozen=True, slots=True)
class _State:
    """What a client shows after a burst of messages: the number of final words, and the words after them."""

    at_s: float
    n_final: int
    tentative: tuple[str, ...]


def segment_delays(messages: Messages, started_s: float, speed: float = 1.0) -> list[SegmentDelay]:
    """The completed segments in the order of their completion; `started_s` is when the first sample was sent."""
    return [
        SegmentDelay(float(segment["end"]) - float(segment["start"]), at_s - started_s - float(segment["end"]) / speed)
        for at_s, segment in _completions(messages)
    ]


def word_delays(messages: Messages, started_s: float, speed: float = 1.0) -> list[WordDelays]:
    """The final words in order; empty if the server sent no word times."""
    messages = list(messages)
    completions = list(_completions(messages))
    if any(not segment.get("words") for _, segment in completions):
        return []
    words = [(*word, at_s) for at_s, segment in completions for word in _timed(segment["words"])]
    texts = [text for text, _, _ in words]
    first: list[float | None] = [None] * len(words)
    stable: list[float | None] = [None] * len(words)
    for state in _states(messages):
        shown = _same(texts[state.n_final :], state.tentative)
        for index in range(min(len(words), state.n_final + len(state.tentative) + NEAR_WORDS)):
            place = index - state.n_final
            if place < 0 or texts[index] in state.tentative[max(0, place - NEAR_WORDS) : place + NEAR_WORDS + 1]:
                first[index] = state.at_s if first[index] is None else first[index]
            if place < shown:
                stable[index] = state.at_s if stable[index] is None else stable[index]
        if state.tentative:  # without them the message says nothing about later words
            stable[state.n_final + shown :] = [None] * len(stable[state.n_final + shown :])
    return [
        WordDelays(
            text,
            (done_s if shown_s is None else shown_s) - started_s - end_s / speed,
            (done_s if kept_s is None else kept_s) - started_s - end_s / speed,
            done_s - started_s - end_s / speed,
        )
        for (text, end_s, done_s), shown_s, kept_s in zip(words, first, stable, strict=True)
    ]


def _completions(messages: Messages) -> Iterator[tuple[float, dict[str, Any]]]:
    """Each completed segment once, with its arrival."""
    known = set()
    for at_s, message in messages:
        for segment in message.get("segments", ()):
            key = (segment["start"], segment["end"], segment["text"])
            if segment["completed"] and key not in known:
                known.add(key)
                yield at_s, segment


def _states(messages: Sequence[tuple[float, dict[str, Any]]]) -> Iterator[_State]:
    """The state after each burst of messages."""
    known, n_final = set(), 0
    tentative: tuple[str, ...] = ()
    transcripts = [(at_s, message["segments"]) for at_s, message in messages if message.get("segments")]
    for number, (at_s, segments) in enumerate(transcripts):
        for segment in segments:
            key = (segment["start"], segment["end"], segment["text"])
            if segment["completed"] and key not in known:
                known.add(key)
                n_final += len(segment["text"].split())
        tentative = () if segments[-1]["completed"] else tuple(_keys(segments[-1]["text"]))
        if number + 1 == len(transcripts) or transcripts[number + 1][0] - at_s > BURST_S:
            yield _State(at_s, n_final, tentative)


def _timed(words: Sequence[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    """The words between the spaces of a segment's text, each with its end in seconds of the recording."""
    parts: list[tuple[str, float]] = []
    for word in words:
        for number, part in enumerate(word["word"].split()):
            joined = parts and number == 0 and not word["word"][0].isspace()
            before = parts.pop()[0] if joined else ""
            parts.append((before + part, float(word["end"])))
    return ((key, end_s) for (_, end_s), key in zip(parts, _keys(" ".join(text for text, _ in parts)), strict=True))


def _keys(text: str) -> list[str]:
    """The words of a text as they are compared: letters and digits, or the word itself if it has none."""
    return ["".join(c for c in word.casefold() if c.isalnum()) or word for word in text.split()]


def _same(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))
