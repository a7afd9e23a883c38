"""Transcripts as values: one of two segments, an empty one, and many odd ones."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import replace

from app.core.transcript import AudioInfo, Segment, TokenLogprob, Transcript, Word

SEGMENT = Segment(
    id=0,
    seek=0,
    start=0.0,
    end=2.9996,
    text=" Grüß Gott, “Anna”.",
    tokens=(50364, 2606, 774, 50514),
    avg_logprob=-0.25,
    compression_ratio=0.875,
    no_speech_prob=0.0078125,
    temperature=0.0,
    words=(
        Word(0.0, 0.48, " Grüß", 0.9375),
        Word(0.48, 1.1204, " Gott,", 0.875),
        Word(1.3, 2.9996, " “Anna”.", 0.5),
    ),
    logprobs=(
        TokenLogprob(" Gr", -0.125, (32, 71, 114)),
        TokenLogprob("\ufffd", -0.5, (195,)),
        TokenLogprob("\ufffd", -0.0625, (188,)),
    ),
    speech_prob=0.90625,
)
TRANSCRIPT = Transcript(
    info=AudioInfo(language="de", language_probability=0.96875, duration_s=3671.0004),
    segments=(
        SEGMENT,
        replace(
            SEGMENT,
            id=1,
            seek=366000,
            start=3661.0,
            end=3670.5,
            text=" A & B --> <C>,\n\n 你好。",
            words=(Word(3661.0, 3661.5, " A & B --> <C>,\n\n", 0.75), Word(3661.5, 3670.5, " 你好。", 0.25)),
            logprobs=(TokenLogprob(" A", -1.5, (32, 65)),),
            speech_prob=0.125,
            suspect="silence",
        ),
    ),
)
EMPTY = Transcript(info=AudioInfo(language="en", language_probability=1.0, duration_s=2.0), segments=())


ODD_NUMBERS = [0.0, -0.0, -1.0, 1e-9, 0.0004, 0.9996, 59.9999, 3600.0, 1e12, math.nan, math.inf, -math.inf]
ODD_TEXTS = [
    "",
    " ",
    " one",
    " 你好",
    "\n\n",
    "a\n\n\nb",
    " -->",
    "\x00\x1b[0m",
    " \u2028x\u2029",
    "\r\n y\t",
    '"\\',
]


def odd_transcripts() -> Iterator[Transcript]:
    """Give transcripts that no sane model writes; the same ones in every run."""
    rng = random.Random(20)  # noqa: S311  # repeatable test data, no secret

    def number() -> float:
        return rng.choice([rng.choice(ODD_NUMBERS), rng.uniform(0, 9), rng.uniform(0, 20_000)])

    def word() -> Word:
        return Word(number(), number(), rng.choice(ODD_TEXTS), number())

    for _ in range(300):
        segments = tuple(
            Segment(
                id=i,
                seek=rng.randrange(10_000),
                start=number(),
                end=number(),
                text="".join(rng.choices(ODD_TEXTS, k=rng.randrange(4))),
                tokens=tuple(rng.choices(range(51_865), k=rng.randrange(4))),
                avg_logprob=number(),
                compression_ratio=number(),
                no_speech_prob=number(),
                speech_prob=number(),
                temperature=number(),
                words=rng.choice([None, tuple(word() for _ in range(rng.randrange(5)))]),
            )
            for i in range(rng.randrange(6))
        )
        yield Transcript(AudioInfo("en", number(), number()), segments)
