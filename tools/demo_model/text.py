"""Command `text`: collect the sentences to synthesize, and hold some of them out.

Debian's fortunes give everyday and literary sentences in three languages, the King James
Bible a second register of English, WordNet's examples and definitions the rest of its words,
frames the words of a first try.
The first 300 sentences of each shuffled list are never trained on.
"""

import json
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.demo_model import sentences
from tools.demo_model.frames import everyday
from tools.demo_model.sentences import LANGUAGES, Language

FORTUNES = Path("/usr/share/games/fortunes")
WORDNET = Path("/usr/share/wordnet")
N_HELD_OUT = 300
N_VERSES = 8000  # among those that are held out
N_MORE_VERSES = 12000  # English spelling is a matter of words met often enough
N_DEFINITIONS = 12000
N_EVERYDAY: dict[Language, int] = {"en": 6000, "de": 3000, "es": 3000}
# Spanish has the least text, so it gets the most recombined sentences.
N_SALAD: dict[Language, int] = {"en": 0, "de": 3000, "es": 6000}
SEED = 1


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences by language; no held-out sentence is among those for training."""

    train: dict[Language, list[str]]
    held_out: dict[Language, list[str]]

    def write(self, path: Path) -> None:
        """Write both parts as one JSON file."""
        text = json.dumps({"train": self.train, "held_out": self.held_out}, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "Corpus":
        """Read what `write` wrote."""
        parts = json.loads(path.read_text(encoding="utf-8"))
        return cls(train=parts["train"], held_out=parts["held_out"])


def fortunes(language: Language) -> list[str]:
    """All speakable sentences of one language's fortunes, in alphabetical order."""
    folder = FORTUNES if language == "en" else FORTUNES / language
    pieces: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix not in (".dat", ".u8"):
            pieces += sentences.split_fortunes(path.read_text("utf-8", errors="ignore"))
    return sentences.select(pieces, language)


def verses(rng: random.Random) -> list[str]:
    """Clauses of the King James Bible, 4 to 14 words each, shuffled."""
    command = ["bible", "-l", "100000", "gen1:1-rev22:21"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    clauses = {
        sentences.tidy(clause)
        for clause in sentences.split_verses(printed.stdout)
        if sentences.SPEAKABLE["en"].match(clause) and 4 <= len(clause.split()) <= 14
    }
    shuffled = sorted(clauses)
    rng.shuffle(shuffled)
    return shuffled


def wordnet(rng: random.Random) -> list[str]:
    """All of WordNet's example sentences and some of its definitions."""
    lines = [
        line
        for path in sorted(WORDNET.glob("data.*"))
        for line in path.read_text("utf-8").splitlines()
        if " | " in line
    ]
    glosses = [sentences.split_gloss(line.split(" | ", 1)[1]) for line in lines]
    examples = sentences.select((example for _, found in glosses for example in found), "en")
    definitions = sentences.select((text for found, _ in glosses for text in found if " " in text), "en")
    rng.shuffle(definitions)
    return examples + definitions[:N_DEFINITIONS]


def gather() -> Corpus:
    """Collect, shuffle and split; the same on every machine with the same packages."""
    rng = random.Random(SEED)
    clauses = verses(rng)
    english = fortunes("en") + clauses[:N_VERSES] + everyday("en", N_EVERYDAY["en"], rng)
    pools: dict[Language, list[str]] = {
        "en": english,
        "de": fortunes("de"),
        "es": fortunes("es"),
    }
    for pool in pools.values():
        rng.shuffle(pool)
    held_out = {language: pools[language][:N_HELD_OUT] for language in LANGUAGES}
    train: dict[Language, list[str]] = {}
    for language in LANGUAGES:
        kept = sentences.without(pools[language][N_HELD_OUT:], held_out[language])
        if language == "en":
            more = clauses[N_VERSES : N_VERSES + N_MORE_VERSES] + wordnet(random.Random(SEED))
            kept += sentences.without(more, held_out[language])
        else:
            extra = everyday(language, N_EVERYDAY[language], rng)
            extra += sentences.word_salad(kept, N_SALAD[language], rng)
            kept += sentences.without(extra, held_out[language])
        train[language] = kept
    return Corpus(train=train, held_out=held_out)
