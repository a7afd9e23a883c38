"""Build the decoder's target for a window, and the time at which each token is spoken.

The times supervise the decoder's cross-attention: without that it stays a language model that
does not listen. A sentence cut off by the window's end gives its start time only, as in Whisper,
so that the next window begins there.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.demo_model.sentences import Language
from tools.demo_model.windows import POSITIONS_PER_S, SAMPLE_RATE, Anchor, Window, whole_ticks

NO_LABEL = -100  # what torch's cross-entropy ignores
NO_TIME = -1.0
MAX_TOKENS = 448
MAX_FIRST_TICK = 50  # decoders allow a first timestamp of at most 1 s


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of the tokens that are not text; `timestamp` is that of 0.00 s."""

    end: int
    start: int
    languages: dict[Language, int]
    transcribe: int
    previous: int
    no_speech: int
    no_timestamps: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence as the decoder sees it.

    Attributes:
        tokens: its text tokens.
        times_s: the middle of each, from the start of the speech.
        n_samples: how long the speech is.
    """

    tokens: tuple[int, ...]
    times_s: tuple[float, ...]
    n_samples: int


@dataclass(frozen=True, slots=True)
class Target:
    """Decoder input and what it predicts, all [n_tokens].

    Attributes:
        inputs: token ids fed in.
        labels: token ids to predict, or `NO_LABEL`.
        times_s: when the label is spoken, from encoder position 0, or `NO_TIME`.
    """

    inputs: list[int]
    labels: list[int]
    times_s: list[float]


def middle_times(spans: Sequence[tuple[int, int]], anchors: Sequence[Anchor]) -> tuple[float, ...]:
    """Middle of each token in seconds, letters taken as even between the known words.

    Args:
        spans: (first, past last) character of each token.
        anchors: at least the text's two ends.
    """
    times = []
    at = 0
    for first, past in spans:
        middle = (first + past) / 2
        while at + 2 < len(anchors) and anchors[at + 1][0] <= middle:
            at += 1
        (from_c, from_s), (to_c, to_s) = anchors[at], anchors[at + 1]
        share = min(1.0, max(0.0, (middle - from_c) / max(1, to_c - from_c)))
        times.append(from_s + share * (to_s - from_s))
    return tuple(times)


def write(
    window: Window,
    spoken: Callable[[int], Spoken],
    special: Special,
    rng: random.Random,
) -> Target:
    """Build the target of a window; usually with timestamps, always if a sentence is cut."""
    if not window.placed:
        return _nothing(special, window.language, rng)
    last = window.placed[-1]
    cut = last.start + spoken(last.index).n_samples > window.n_samples
    timed = cut or rng.random() < 0.75
    ids: list[int] = []
    times: list[float] = []
    if window.previous:
        prompt = _prompt(window, spoken, special, timed=rng.random() < 0.5)
        ids += prompt
        times += [NO_TIME] * len(prompt)
    unlabelled = len(ids)
    ids += [special.start, special.languages[window.language], special.transcribe]
    times += [NO_TIME] * 3
    if not timed:
        ids.append(special.no_timestamps)
        times.append(NO_TIME)
    offset_s = window.offset / POSITIONS_PER_S
    first_tick = MAX_FIRST_TICK if window.offset == 0 else 10**6
    for number, placed in enumerate(window.placed):
        sentence = spoken(placed.index)
        start_s = offset_s + placed.start / SAMPLE_RATE
        end_s = offset_s + whole_ticks(placed.start + sentence.n_samples) / SAMPLE_RATE
        tick = round(start_s * POSITIONS_PER_S)
        if timed:
            ids.append(special.timestamp + (min(tick, first_tick) if number == 0 else tick))
            times.append(start_s)
        if cut and placed is last:
            break
        ids += sentence.tokens
        times += [start_s + time_s for time_s in sentence.times_s]
        if timed:
            ids.append(special.timestamp + round(end_s * POSITIONS_PER_S))
            times.append(end_s)
    ids.append(special.end)
    times.append(NO_TIME)
    labels = [NO_LABEL] * unlabelled + ids[unlabelled + 1 :]
    return Target(ids[:-1][:MAX_TOKENS], labels[:MAX_TOKENS], times[1:][:MAX_TOKENS])


def _prompt(window: Window, spoken: Callable[[int], Spoken], special: Special, *, timed: bool) -> list[int]:
    """Earlier text, with or without its timestamps, cut on the left as decoders cut it."""
    ids: list[int] = []
    tick = 0
    for index in window.previous:
        sentence = spoken(index)
        length = round(sentence.n_samples / SAMPLE_RATE * POSITIONS_PER_S)
        if timed:
            ids.append(special.timestamp + min(1500, tick))
        ids += sentence.tokens
        if timed:
            ids.append(special.timestamp + min(1500, tick + length))
        tick += length + 25
    return [special.previous, *ids[-(MAX_TOKENS // 2 - 1) :]]


def _nothing(special: Special, language: Language, rng: random.Random) -> Target:
    """Target for no speech: its token at the first position, and the end of text if the decoder continues."""
    after = special.timestamp if rng.random() < 0.6 else special.no_timestamps
    inputs = [special.start, special.languages[language], special.transcribe, after]
    first = after if after == special.timestamp else NO_LABEL
    labels = [special.no_speech, NO_LABEL, first, special.end]
    return Target(inputs, labels, [NO_TIME] * 4)
