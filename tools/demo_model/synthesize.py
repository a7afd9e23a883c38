"""Command `synthesize`: synthesize every sentence once, with a random voice, rate and pitch.

Speech lies in parts of 2,000 sentences, each an int16 file and a JSON index; a part that is
there is not made again, so the command goes on where it stopped.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import Pool
from pathlib import Path

import numpy as np

from tools.demo_model.espeak import Espeak, Speech
from tools.demo_model.sentences import LANGUAGES, Language
from tools.demo_model.text import Corpus
from tools.demo_model.windows import SAMPLE_RATE, Anchor, Phone

PART_SENTENCES = 2000
SEED = 7
MIN_S, MAX_S = 0.25, 9.0
# How often each training sentence is spoken: Spanish has a third of the sentences of English.
TAKES: dict[Language, int] = {"en": 1, "de": 1, "es": 2}
FLITE_SHARE = 0.22  # of the English
FLITE_VOICES = ("slt", "slt", "rms", "awb", "kal16")
# A voice that is listed twice is used twice as often.
ESPEAK_VOICES: dict[Language, tuple[str, ...]] = {
    "en": (
        *("en-us", "en-us", "en-us+f2", "en-us+m3", "en-gb"),
        *("en-gb+f3", "en-gb-x-rp", "en-us+f4", "en-us+m7"),
    ),
    "de": ("de", "de", "de+f2", "de+m3"),
    "es": ("es", "es", "es-419", "es+f2", "es+m3"),
}


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence to synthesize."""

    text: str
    language: Language


@dataclass(frozen=True, slots=True)
class Utterance:
    """A spoken sentence within a part: `n_samples` from sample `start` of its file."""

    text: str
    language: Language
    start: int
    n_samples: int
    anchors: tuple[Anchor, ...]
    phones: tuple[Phone, ...]


def speak(espeak: Espeak, line: Line, rng: random.Random) -> Speech:
    """Synthesize a line with a random voice."""
    if line.language == "en" and rng.random() < FLITE_SHARE:
        return espeak.flite(line.text, voice=rng.choice(FLITE_VOICES))
    return espeak.speak(
        line.text,
        voice=rng.choice(ESPEAK_VOICES[line.language]),
        rate_wpm=rng.randint(135, 195),
        pitch=rng.randint(30, 70),
        pitch_range=rng.randint(35, 70),
    )


def make_part(folder: Path, number: int, lines: Sequence[Line], *, name: str) -> float:
    """Synthesize one part, unless it exists; the index is written last and atomically.

    Returns:
        seconds of speech made.
    """
    index = folder / f"{name}-{number:03d}.json"
    if index.exists():
        return 0.0
    rng = random.Random(f"{SEED}/{name}/{number}")
    espeak = Espeak()
    parts, utterances, start = [], [], 0
    for line in lines:
        speech = speak(espeak, line, rng)
        loudness = rng.uniform(0.15, 0.9)
        if not MIN_S <= len(speech.pcm) / SAMPLE_RATE <= MAX_S:
            continue
        scale = loudness * 32767 / np.abs(speech.pcm).max()
        parts.append((speech.pcm * scale).astype(np.int16))
        anchors = tuple((character, round(at_s, 3)) for character, at_s in speech.anchors)
        phones = tuple((phone, round(at_s, 3)) for phone, at_s in speech.phones)
        utterances.append(Utterance(line.text, line.language, start, len(parts[-1]), anchors, phones))
        start += len(parts[-1])
    np.concatenate(parts).tofile(index.with_suffix(".i16"))
    unfinished = index.with_suffix(".tmp")
    records = [asdict(utterance) for utterance in utterances]
    unfinished.write_text(json.dumps(records, ensure_ascii=False), encoding="utf-8")
    unfinished.rename(index)
    return start / SAMPLE_RATE


def synthesize(corpus: Corpus, folder: Path, *, processes: int, takes: dict[Language, int]) -> None:
    """Synthesize the training and the held-out sentences into `folder`.

    Args:
        corpus: the sentences.
        folder: where the parts go.
        processes: number of processes that synthesize at once.
        takes: how often each language's training sentences are spoken, each time anew.
    """
    train = [Line(text, language) for language in LANGUAGES for text in corpus.train[language] * takes[language]]
    random.Random(SEED).shuffle(train)
    held_out = [Line(text, language) for language in LANGUAGES for text in corpus.held_out[language]]
    jobs = [
        (folder, number, lines[at : at + PART_SENTENCES], name)
        for name, lines in (("held-out", held_out), ("train", train))
        for number, at in enumerate(range(0, len(lines), PART_SENTENCES))
    ]
    with Pool(processes, maxtasksperchild=1) as pool:
        for made_s in pool.imap_unordered(_make_part_of, jobs, chunksize=1):
            print(f"{made_s / 3600:.2f} h of speech made", flush=True)


def _make_part_of(job: tuple[Path, int, Sequence[Line], str]) -> float:
    folder, number, lines, name = job
    return make_part(folder, number, lines, name=name)


def read_parts(folder: Path, name: str) -> list[tuple[Path, list[Utterance]]]:
    """Read the indexes of the existing parts: (int16 file, its utterances)."""
    found = []
    for index in sorted(folder.glob(f"{name}-*.json")):
        records = json.loads(index.read_text(encoding="utf-8"))
        utterances = [Utterance(**{**record, **pairs(record)}) for record in records]
        found.append((index.with_suffix(".i16"), utterances))
    return found


def pairs(record: dict[str, list[list[str | float]]]) -> dict[str, tuple[tuple[str | float, ...], ...]]:
    """Convert anchors and phones to tuples: JSON has only lists."""
    return {name: tuple(tuple(pair) for pair in record[name]) for name in ("anchors", "phones")}
