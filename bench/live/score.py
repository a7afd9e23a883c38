"""Scores of a client: latencies relative to the sentence times, WER, CER, losses.

first partial   the first text that reaches into a sentence, minus the time its first sample was sent
commit          the first final text that covers a sentence's end, minus the time its last sample was sent
end lag         the last new final text, minus the time END_OF_AUDIO was sent
words, segments the delays of each final word and segment, see `words`
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from dataclasses import dataclass

import jiwer

from bench.live.client import ClientRecord
from bench.live.words import SegmentDelay, WordDelays, segment_delays, word_delays

INTO_S = 0.2  # text that ends at least this far into a sentence belongs to it
SHORT_OF_S = 0.6  # models end a sentence slightly early


@dataclass(frozen=True)
class Score:
    """One client's scores; None if a value is unknown."""

    transcript: str
    first_partial_s: list[float]
    commit_s: list[float]
    eos_lag_s: float | None
    dropped_s: float | None
    http_503: int
    calls: int
    wer: float | None
    cer: float | None
    finals: int
    warnings: list[str]
    words: list[WordDelays]
    segments: list[SegmentDelay]


def score(record: ClientRecord, speed: float) -> Score:
    """Score one client."""
    finals: dict[tuple[str, str, str], float] = {}
    reach: list[tuple[float, float, bool]] = []  # arrival, how far the text reaches, final
    warnings: list[str] = []
    stats: dict[str, float] = {}
    for at, message in record.messages:
        for segment in message.get("segments", ()):
            if segment["completed"]:
                finals.setdefault((segment["start"], segment["end"], segment["text"]), at)
            reach.append((at, float(segment["end"]), segment["completed"]))
        if message.get("status") == "WARNING":
            warnings.append(message["message"])
        stats = message.get("stats", stats)
    transcript = "".join(text for _, _, text in finals).strip()
    first, commit = [], []
    for sentence in record.material.sentences:
        shown = [at for at, end, _ in reach if end >= sentence.start + INTO_S]
        final = [at for at, end, done in reach if done and end >= sentence.end - SHORT_OF_S]
        if shown:
            first.append(shown[0] - record.started_s - sentence.start / speed)
        if final:
            commit.append(final[0] - record.started_s - sentence.end / speed)
    word_errors = character_errors = None
    if record.material.reference:
        reference, hypothesis = normalise(record.material.reference), normalise(transcript)
        word_errors, character_errors = jiwer.wer(reference, hypothesis), jiwer.cer(reference, hypothesis)
    return Score(
        transcript=transcript,
        first_partial_s=first,
        commit_s=commit,
        eos_lag_s=max(finals.values()) - record.ended_s if finals and record.ended_s else None,
        dropped_s=stats.get("dropped_s"),
        http_503=int(stats.get("busy", 0)),
        calls=int(stats.get("calls", 0)),
        wer=word_errors,
        cer=character_errors,
        finals=len(finals),
        warnings=warnings,
        words=word_delays(record.messages, record.started_s, speed),
        segments=segment_delays(record.messages, record.started_s, speed),
    )


def normalise(text: str) -> str:
    """Lower case, no punctuation, single spaces; apostrophes within words stay."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'")
    return " ".join(re.sub(r"[^\w' ]", " ", text).replace("_", " ").split())


def spread(values: list[float]) -> dict[str, float]:
    """min, max, mean, median and p95, with the keys of the original load tester; empty for no values."""
    if not values:
        return {}
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": statistics.fmean(ordered),
        "median": statistics.median(ordered),
        "p95": ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))],
    }
