"""Decide which sentences fill a training window, where, and what pads it.

Most windows are short, because an encoder second costs the same wherever it is; a short window
may be placed anywhere in the 30 s positions, so that late positions and times are learnt cheaply.
Pure: every choice comes from the `Random` handed in, so a step's windows follow from its number
and a resumed run sees what an uninterrupted one would have seen.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tools.demo_model.sentences import Language

SAMPLE_RATE = 16000
FRAMES_PER_S = 100  # mel columns; an encoder position is two of them
POSITIONS_PER_S = 50
TICK_SAMPLES = 320  # 0.02 s: one encoder position, one timestamp token
WINDOW_S = 30.0
SHARES: dict[Language, float] = {"en": 0.66, "de": 0.17, "es": 0.17}

Anchor = tuple[int, float]  # (character of the text, seconds from the start of the speech)
Phone = tuple[str, float]  # (name, seconds from the start of the speech at which it begins)
Kind = Literal["clip", "long", "padded", "empty"]


@dataclass(frozen=True, slots=True)
class Placed:
    """Utterance `index` begins at sample `start`; it may run over the window's end."""

    index: int
    start: int


@dataclass(frozen=True, slots=True)
class Window:
    """One training window.

    Attributes:
        kind: what it was made for.
        language: of all its sentences.
        placed: sentences in order of time.
        n_samples: audio, a whole number of ticks; what follows is padding.
        n_frames: mel frames the encoder is given, even; those past the audio are zeros.
        offset: encoder position at which the window begins, 0 to 1499.
        previous: sentences given as the prompt.
    """

    kind: Kind
    language: Language
    placed: tuple[Placed, ...]
    n_samples: int
    n_frames: int
    offset: int
    previous: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the audio seconds given to each kind of window; the rest are clips."""

    long: float
    padded: float
    empty: float


class Planner:
    """Draws windows from utterances known by their language and length."""

    def __init__(self, lengths: Mapping[Language, Sequence[tuple[int, int]]]) -> None:
        """Take (index, n_samples) of every utterance, by language."""
        self._lengths = lengths

    def step(self, rng: random.Random, mix: Mix, *, seconds: float) -> list[Window]:
        """Draw about `seconds` of encoder input, in windows of every kind."""
        drawn: list[Window] = []
        budgets: dict[Kind, float] = {
            "long": mix.long * seconds,
            "padded": mix.padded * seconds,
            "empty": mix.empty * seconds,
        }
        budgets["clip"] = seconds - sum(budgets.values())
        for kind, budget_s in budgets.items():
            left_s = budget_s
            while left_s > 0:
                window = self.window(rng, kind)
                window_s = window.n_frames / FRAMES_PER_S
                # The last window of a kind is drawn with the chance that its share has left.
                if window_s > left_s and rng.random() > left_s / window_s:
                    break
                drawn.append(window)
                left_s -= window_s
        return drawn

    def window(self, rng: random.Random, kind: Kind) -> Window:
        """Draw one window of a kind."""
        language = rng.choices(list(SHARES), list(SHARES.values()))[0]
        if kind == "empty":
            return self._empty(rng, language)
        if kind == "long":
            return self._long(rng, language)
        return self._clip(rng, language, padded=kind == "padded")

    def _utterance(self, rng: random.Random, language: Language) -> tuple[int, int]:
        return rng.choice(self._lengths[language])

    def _previous(self, rng: random.Random, language: Language, *, most: int, share: float) -> tuple[int, ...]:
        if rng.random() > share:
            return ()
        count = rng.randint(1, most)
        return tuple(self._utterance(rng, language)[0] for _ in range(count))

    def _offset(self, rng: random.Random, n_frames: int) -> int:
        spare = 1500 - n_frames // 2
        return rng.randint(0, spare) if spare > 0 and rng.random() < 0.4 else 0

    def _clip(self, rng: random.Random, language: Language, *, padded: bool) -> Window:
        at = samples(rng.choice((0.0, 0.0, rng.uniform(0, 1.0))))
        placed: list[Placed] = []
        for _ in range(rng.choices((1, 2, 3), (55, 30, 15))[0]):
            index, length = self._utterance(rng, language)
            if placed and at + length > 9 * SAMPLE_RATE:
                break
            placed.append(Placed(index, at))
            end = whole_ticks(at + length)
            at = end + samples(rng.uniform(0.1, 0.8))
        at = end + samples(rng.choice((0.0, 0.0, rng.uniform(0, 1.0))))
        pad_s = rng.choice((0.0, 0.0, rng.uniform(0, 2.0)))
        n_frames = even(at // 160 + round(pad_s * FRAMES_PER_S))
        if padded:
            n_frames = 3000 if rng.random() < 0.7 else even(rng.randint(n_frames, 3000))
        offset = self._offset(rng, n_frames)
        previous = self._previous(rng, language, most=2, share=0.15)
        kind: Kind = "padded" if padded else "clip"
        return Window(kind, language, tuple(placed), at, n_frames, offset, previous)

    def _long(self, rng: random.Random, language: Language) -> Window:
        # Half are shorter: attention over 30 s costs twice as much per second.
        limit = samples(WINDOW_S if rng.random() < 0.5 else rng.uniform(7, 16))
        at = samples(rng.choice((0.0, rng.uniform(0, 0.6), rng.uniform(0, 1.6))))
        cut = rng.random() < 0.6
        widest_s = rng.choice((0.6, 1.6))
        placed: list[Placed] = []
        while True:
            index, length = self._utterance(rng, language)
            if at + length > limit:
                if cut and at + SAMPLE_RATE // 2 < limit:
                    placed.append(Placed(index, at))
                break
            placed.append(Placed(index, at))
            at = whole_ticks(at + length) + samples(rng.uniform(0.1, widest_s))
        n_frames = even(limit // 160)
        offset = self._offset(rng, n_frames)
        previous = self._previous(rng, language, most=16, share=0.5)  # decoders prompt a file's later windows
        return Window("long", language, tuple(placed), limit, n_frames, offset, previous)

    def _empty(self, rng: random.Random, language: Language) -> Window:
        audio = samples(rng.uniform(0.5, 8.0) if rng.random() < 0.9 else WINDOW_S)
        pad_s = rng.choice((0.0, rng.uniform(0, 4.0)))
        n_frames = min(3000, even(audio // 160 + round(pad_s * FRAMES_PER_S)))
        return Window("empty", language, (), audio, n_frames, 0, ())


def samples(seconds: float) -> int:
    """Seconds in samples, a whole number of ticks."""
    return round(seconds * POSITIONS_PER_S) * TICK_SAMPLES


def whole_ticks(n_samples: int) -> int:
    """Round up to a whole number of ticks."""
    return -(-n_samples // TICK_SAMPLES) * TICK_SAMPLES


def even(n_frames: int) -> int:
    """Round up to an even number of frames: the encoder halves them."""
    return n_frames + n_frames % 2


def pack(windows: Sequence[Window], *, max_frames: int) -> list[list[Window]]:
    """Group windows of like length, each group within `max_frames` once padded to its longest.

    A longer window is a separate group.
    """
    groups: list[list[Window]] = []
    for window in sorted(windows, key=lambda window: -window.n_frames):
        if groups and (len(groups[-1]) + 1) * groups[-1][0].n_frames <= max_frames:
            groups[-1].append(window)
        else:
            groups.append([window])
    return groups
