"""Pick speakable sentences out of raw text, and write everyday ones from frames.

Pure: no files, no network, every choice from the `Random` handed in.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

Language = Literal["en", "de", "es"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

SPEAKABLE: dict[Language, re.Pattern[str]] = {
    "en": re.compile(r"^[A-Za-z][A-Za-z ,'?!.\-]*$"),
    "de": re.compile(r"^[A-Za-zÄÖÜäöüß][A-Za-zÄÖÜäöüß ,'?!.\-]*$"),
    "es": re.compile(r"^[¿¡A-Za-zÁÉÍÓÚÜÑáéíóúüñ][A-Za-zÁÉÍÓÚÜÑáéíóúüñ ,'?!.¿¡\-]*$"),
}
MAX_WORD_LETTERS = 16  # longer ones are mostly file names and sound effects


def split_fortunes(raw: str) -> Iterator[str]:
    """Cut a fortunes file into sentence-like pieces, without attributions and quotes."""
    raw = re.sub(r"\x1b\[[0-9;]*m", "", raw)
    for item in re.split(r"\n%\n", raw):
        quote = re.split(r"\n\s*--", item)[0]
        quote = re.sub(r"\s+", " ", quote)
        for piece in re.split(r"(?<=[.!?;:])\s+|\s+--+\s+|\(|\)|\"", quote):
            yield piece.strip(" -*_'`,;:.").strip()


def split_verses(raw: str) -> Iterator[str]:
    """Cut numbered verses into clauses."""
    for line in raw.splitlines():
        verse = re.sub(r"^\S*\s*\d+\s+", "", line)
        for clause in re.split(r"[.;:?!,]\s+", verse):
            yield clause.strip()


def split_gloss(gloss: str) -> tuple[list[str], list[str]]:
    """Part a WordNet gloss into (definitions, example sentences)."""
    gloss = gloss.replace("`", "'")
    examples = [example.strip(" '") for example in re.findall(r'"([^"]+)"', gloss)]
    rest = re.sub(r'"[^"]*"|\([^)]*\)', "", gloss)
    definitions = [re.sub(r"\s+", " ", text).strip(" ,:") for text in rest.split(";")]
    return [text for text in definitions if text], examples


def tidy(sentence: str) -> str:
    """Write a sentence as the model shall: one capital, one closing mark, no dashes."""
    sentence = re.sub(r"[¿¡]", "", sentence)
    sentence = re.sub(r"\s*-+\s+", " ", sentence)
    sentence = re.sub(r"\.{2,}", ".", sentence)
    sentence = re.sub(r"[!?.,]+([!?.])", r"\1", sentence)
    sentence = sentence.strip(" ,-'")
    if not sentence:
        return sentence
    if sentence[-1] not in ".?!":
        sentence += "."
    return sentence[0].upper() + sentence[1:]


def is_speakable(piece: str, language: Language) -> bool:
    """Whether a piece is plain words, 2 to 16 of them, without acronyms or spelt letters."""
    words = piece.split()
    if not SPEAKABLE[language].match(piece) or not 2 <= len(words) <= 16:
        return False
    if max(map(len, words)) > MAX_WORD_LETTERS:
        return False
    if any(word.isupper() and len(word) > 1 for word in words):
        return False
    return sum(len(word) == 1 for word in words) <= len(words) / 3


def select(pieces: Iterable[str], language: Language) -> list[str]:
    """Keep what is speakable, tidied, once each, in alphabetical order."""
    return sorted({tidy(piece) for piece in pieces if is_speakable(piece, language)})


def key(sentence: str) -> str:
    """What makes two sentences the same: their words, whatever the case and the marks."""
    return " ".join(re.findall(r"\w+", sentence.lower()))


def without(sentences: Iterable[str], held_out: Iterable[str]) -> list[str]:
    """Drop every sentence whose words are those of a held-out one."""
    taken = {key(sentence) for sentence in held_out}
    return [sentence for sentence in sentences if key(sentence) not in taken]


def word_salad(sentences: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """Write sentences of words drawn from others, 3 to 9 each.

    No grammar helps with these, so that the model must listen instead of recite.
    """
    bag = [word for sentence in sentences for word in re.findall(r"[^\W\d_]{2,}", sentence)]
    salads = []
    for _ in range(count):
        words = [rng.choice(bag) for _ in range(rng.randint(3, 9))]
        salads.append(tidy(" ".join(words)))
    return salads
