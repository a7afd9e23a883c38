"""Synthetic speech in which each word is a tone, so that a lost, doubled or invented word is visible exactly.

`speak` turns a script into audio, and `hear` recognises its words and answers like a Whisper model: with
times, a leading space, sentence ends at silences, and words cut off at the edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

RATE = 16_000
FRAME = 320  # 20 ms: bins of 50 Hz, words on even ones
WORDS = (
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf",
    "hotel", "india", "juliet", "kilo", "lima", "mike", "november",
    "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform",
    "victor", "whiskey", "xray", "yankee", "zulu",
)  # fmt: skip
FIRST_HZ, STEP_HZ = 400, 100
WORD_S = 0.3
GAP_S = 0.1
HEARD_S = 0.12  # a shorter tone is not recognised
SENTENCE_GAP_S = 0.4


@dataclass(frozen=True)
class Spoken:
    """A word of the script, in seconds of the recording."""

    text: str
    start: float
    end: float


@dataclass(frozen=True)
class Recording:
    """[n] float32 at 16 kHz and its words."""

    pcm: np.ndarray
    words: tuple[Spoken, ...]

    @property
    def text(self):
        """The words alone."""
        return [word.text for word in self.words]

    @property
    def duration_s(self):
        """Length in seconds."""
        return len(self.pcm) / RATE


def speak(
    sentences: Sequence[Sequence[str]], *, pause_s=0.8, lead_s=0.5, tail_s=1.0, level=0.2, noise=0.0, seed=0
) -> Recording:
    """Audio of the sentences with silence around them; `noise` is the level of a steady hiss."""
    parts, words, at = [np.zeros(round(lead_s * RATE))], [], lead_s
    for sentence in sentences:
        for index, word in enumerate(sentence):
            if index:
                parts.append(np.zeros(round(GAP_S * RATE)))
                at += GAP_S
            parts.append(_tone(word, level))
            words.append(Spoken(word, at, at + WORD_S))
            at += WORD_S
        parts.append(np.zeros(round(pause_s * RATE)))
        at += pause_s
    parts.append(np.zeros(round(tail_s * RATE)))
    pcm = np.concatenate(parts)
    pcm += np.random.default_rng(seed).normal(0, noise, len(pcm)) if noise else 0
    return Recording(pcm.astype(np.float32), tuple(words))


def chatter(seconds: float, *, seed: int, words_per_sentence=(3, 8), pause_s=0.8, noise=0.0) -> Recording:
    """Random sentences of at least this length in all."""
    random = Random(seed)  # noqa: S311  random speech guards nothing
    sentences: list[list[str]] = []
    length = 0.0
    while length < seconds:
        sentence = [random.choice(WORDS) for _ in range(random.randint(*words_per_sentence))]
        sentences.append(sentence)
        length += len(sentence) * (WORD_S + GAP_S) - GAP_S + pause_s
    return speak(sentences, pause_s=pause_s, noise=noise, seed=seed)


def _tone(word: str, level: float) -> np.ndarray:
    t = np.arange(round(WORD_S * RATE)) / RATE
    ramp = np.minimum(1, np.minimum(t, t[::-1]) / 0.005)
    return level * ramp * np.sin(2 * np.pi * (FIRST_HZ + STEP_HZ * WORDS.index(word)) * t)


def hear(pcm: np.ndarray, *, jitter_s=0.0, seed=0) -> list[dict[str, Any]]:
    """The segments of a verbose_json answer about [n] float32 audio."""
    random = Random(seed)  # noqa: S311  random speech guards nothing
    words = []
    for text, start, end in _runs(pcm):
        if end - start >= HEARD_S:
            shift = random.uniform(-jitter_s, jitter_s)
            words.append({"word": " " + text, "start": max(0.0, start + shift), "end": end + shift, "probability": 0.9})
    return _segments(words)


def _runs(pcm: np.ndarray):
    """(word, start, end) of each stretch of one tone."""
    count = len(pcm) // FRAME
    spectrum = np.abs(np.fft.rfft(pcm[: count * FRAME].reshape(count, FRAME), axis=1))  # [count, 161]
    bins = spectrum[:, 2:].argmax(axis=1) + 2
    loud = spectrum.max(axis=1) > 0.5
    indices = (bins * 50 - FIRST_HZ) / STEP_HZ
    names = [
        WORDS[round(index)] if recognised and 0 <= round(index) < len(WORDS) else None
        for index, recognised in zip(indices, loud, strict=True)
    ]
    start = 0
    for frame in range(1, count + 1):
        if frame == count or names[frame] != names[start]:
            if names[start] is not None:
                yield names[start], start * FRAME / RATE, frame * FRAME / RATE
            start = frame


def _segments(words: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: list[list[dict[str, Any]]] = []
    for word in words:
        if not groups or word["start"] - groups[-1][-1]["end"] >= SENTENCE_GAP_S:
            if groups:
                groups[-1][-1]["word"] += "."
            groups.append([])
        groups[-1].append(word)
    return [
        {
            "id": index,
            "start": group[0]["start"],
            "end": group[-1]["end"],
            "text": "".join(word["word"] for word in group),
            "avg_logprob": -0.2,
            "no_speech_prob": 0.01,
            "compression_ratio": 1.1,
            "words": group,
        }
        for index, group in enumerate(groups)
    ]


def plain(text: str) -> list[str]:
    """The words of a transcript, without punctuation."""
    return text.replace(".", " ").replace(",", " ").lower().split()
