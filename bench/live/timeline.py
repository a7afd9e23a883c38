"""Draw how the policy handles a few sentences: `python -m bench.live.timeline docs/live-timeline.svg`.

The picture is a replay: the real Stream is fed sound where words are spoken, a fake service recognises
the words inside each window, and for some seconds it refuses every request.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.hypothesis import Hypothesis, Word
from app.live.policy.stream import Stream
from app.live.policy.stream_policy import StreamPolicy
from app.live.policy.windows import LiveWindow

SENTENCES = (
    (0.8, "We all gaze at the stars."),
    (4.2, "And thou shalt be a captain over Israel, for the people asked for one and would not wait."),
    (13.0, "Tonight you pay."),
)
WORD_S, PACE_S, ANSWER_S, STEP_S = 0.34, 0.42, 0.6, 0.05
BUSY = (6.0, 9.0)  # the service refuses requests in this time
LENGTH_S = 17.0
SHOWN_WORDS = 6
SCALE, LEFT, ROW = 62, 96, 20
COLOURS = {"step": "#9ec5ea", "pause": "#2a6db0", "end": "#2a6db0", "refused": "#d98c8c"}


@dataclass(frozen=True)
class RequestRow:
    """One request: its window, when it was sent and answered, and its outcome."""

    window: LiveWindow
    sent_s: float
    answered_s: float
    outcome: str
    final: str
    partial: str


def spoken() -> list[Word]:
    """The words of the script, each with its time."""
    words = []
    for start, text in SENTENCES:
        for index, word in enumerate(text.split()):
            begin = start + index * PACE_S
            words.append(Word(begin, begin + WORD_S, f" {word}"))
    return words


def replay(words: list[Word]) -> list[RequestRow]:
    """Feed the script in real time, by a simulated clock, and record every request."""
    pcm = np.zeros(round(LENGTH_S * SAMPLE_RATE_HZ), dtype=np.int16)
    noise = np.random.default_rng(0).normal(0, 3000, len(pcm)).astype(np.int16)
    for word in words:
        piece = slice(round(word.start * SAMPLE_RATE_HZ), round(word.end * SAMPLE_RATE_HZ))
        pcm[piece] = noise[piece]
    stream, rows = Stream(StreamPolicy(), language="en"), []
    pending: tuple[LiveWindow, float] | None = None
    for tick in range(round(LENGTH_S / STEP_S)):
        now_s = (tick + 1) * STEP_S
        stream.feed(pcm[round(tick * STEP_S * SAMPLE_RATE_HZ) : round(now_s * SAMPLE_RATE_HZ)], now_s)
        if pending and now_s >= pending[1] + ANSWER_S:
            window, sent_s = pending
            update = stream.apply(window, hear(words, window), now_s)
            final = "".join(segment.text for segment in update.completed)
            partial = update.partial.text if update.partial else ""
            rows.append(RequestRow(window, sent_s, now_s, window.reason, final, partial))
            pending = None
        window_due = None if pending else stream.next_window(now_s)
        if window_due is not None and BUSY[0] <= now_s < BUSY[1]:
            stream.refused(window_due, now_s + 1.0)
            rows.append(RequestRow(window_due, now_s, now_s, "refused", "", ""))
        elif window_due is not None:
            pending = (window_due, now_s)
    return rows


def hear(words: list[Word], window: LiveWindow) -> Hypothesis:
    """The words that are completely inside the window."""
    start, end = window.start / SAMPLE_RATE_HZ, window.end / SAMPLE_RATE_HZ
    inside = [word for word in words if word.start >= start - 0.01 and word.end <= end + 0.01]
    return Hypothesis(tuple(word.shifted(-start) for word in inside))


def svg(words: list[Word], rows: list[RequestRow]) -> str:
    """One row of speech and one row per request, newest last; text is drawn at the time of its answer."""
    height = 90 + ROW * (len(rows) + 1)

    def x(seconds: float) -> float:
        return LEFT + seconds * SCALE

    width = x(LENGTH_S) + 190
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}">',
        "<style>text{font:11px sans-serif} .s{fill:#666} .w{font-size:8.5px}</style>",
        f'<rect width="{width:.0f}" height="{height}" fill="white"/>',
        f'<rect x="{x(BUSY[0])}" y="20" width="{(BUSY[1] - BUSY[0]) * SCALE}" height="{height - 50}" fill="#fbeeee"/>',
        f'<text x="{x(BUSY[0]) + 6}" y="16" fill="#a33">the service answers 503</text>',
        '<text x="8" y="44">speech</text>',
    ]
    parts += [
        f'<rect x="{x(word.start):.1f}" y="30" width="{WORD_S * SCALE:.1f}" height="20" rx="3" fill="#ddd"/>'
        f'<text class="w" x="{x(word.start) + 1:.1f}" y="43" textLength="{WORD_S * SCALE - 2:.0f}" '
        f'lengthAdjust="spacingAndGlyphs">{word.text.strip()}</text>'
        for word in words
    ]
    for index, row in enumerate(rows):
        y = 62 + ROW * index
        start, end = row.window.start / SAMPLE_RATE_HZ, row.window.end / SAMPLE_RATE_HZ
        parts.append(f'<text x="8" y="{y + 11}" class="s">{row.sent_s:.1f} s {row.outcome}</text>')
        parts.append(
            f'<rect x="{x(start):.1f}" y="{y}" width="{(end - start) * SCALE:.1f}" height="14" rx="3" '
            f'fill="{COLOURS[row.outcome]}"/>'
        )
        parts.append(
            f'<line x1="{x(row.sent_s):.1f}" x2="{x(row.answered_s):.1f}" y1="{y + 7}" y2="{y + 7}" stroke="#888"/>'
        )
        if row.final:
            words_shown = row.final.split()
            short = " ".join(words_shown[:SHOWN_WORDS]) + (" ..." if len(words_shown) > SHOWN_WORDS else "")
            parts.append(f'<text x="{x(row.answered_s) + 5:.1f}" y="{y + 11}" font-weight="bold">{short}</text>')
        elif row.partial:
            newest = " ".join(row.partial.split()[-5:])
            parts.append(f'<text x="{x(row.answered_s) + 5:.1f}" y="{y + 11}" fill="#999">{newest}</text>')
    parts += [
        f'<text x="{x(second):.1f}" y="{height - 12}" text-anchor="middle" class="s">{second} s</text>'
        for second in range(0, int(LENGTH_S) + 1, 2)
    ]
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    script = spoken()
    Path(sys.argv[1]).write_text(svg(script, replay(script)), encoding="utf-8")
