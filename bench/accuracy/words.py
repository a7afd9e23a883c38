"""Count wrong words in two ways: after Whisper's own normaliser, and by a plain comparison. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import jiwer
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

ANNOTATION = re.compile(r"<[^>]*>|\[[^\]]*\]")
DIGIT = re.compile(r"\d")
LONE_ONE = re.compile(r"\bone\b")  # the normaliser spells a 1 that stands alone, so that "one day" stays
# Languages written without spaces: their normaliser puts one between letters, so that each counts as a word.
WITHOUT_SPACES = frozenset({"ja", "ko", "lo", "my", "th", "yue", "zh"})


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Substituted, deleted and inserted words, and the words of the reference."""

    errors: int = 0
    words: int = 0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(self.errors + other.errors, self.words + other.words)

    @property
    def rate(self) -> float | None:
        """Word error rate; None without reference words."""
        return self.errors / self.words if self.words else None


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Compare two normalised texts.

    Args:
        reference: words separated by spaces; may be empty.
        hypothesis: the same.
    """
    n_words = len(reference.split())
    if n_words == 0:
        return WordErrors(errors=len(hypothesis.split()))  # jiwer needs a reference
    found = jiwer.process_words(reference, hypothesis)
    return WordErrors(found.substitutions + found.deletions + found.insertions, n_words)


def changes(reference: str, hypothesis: str) -> list[str]:
    """What was read wrongly, `reference words > words of the hypothesis`, in order; `-` stands for none."""
    if not reference.split():
        return [f"- > {hypothesis}"] if hypothesis.split() else []
    found = jiwer.process_words(reference, hypothesis)
    expected, written = found.references[0], found.hypotheses[0]
    return [
        f"{' '.join(expected[each.ref_start_idx : each.ref_end_idx]) or '-'} > "
        f"{' '.join(written[each.hyp_start_idx : each.hyp_end_idx]) or '-'}"
        for each in found.alignments[0]
        if each.type != "equal"
    ]


def normalised(text: str, language: str = "en", *, split_digits: bool = False) -> str:
    """Text after Whisper's normaliser (PyPI `whisper-normalizer`): numbers, contractions and spelling in one form.

    Args:
        text: as it was written.
        language: ISO 639-1 code.
        split_digits: make each digit a word; the normaliser turns "one six two" into the single word 162.
    """
    written = str(_normaliser(language)(text))
    if split_digits:
        written = DIGIT.sub(r" \g<0> ", LONE_ONE.sub("1", written))
    return " ".join(written.split())


def plain(text: str) -> str:
    """Text in lower case without annotations and punctuation; numbers stay as they are written."""
    text = ANNOTATION.sub(" ", unicodedata.normalize("NFKC", text).lower())
    return " ".join("".join(_plain(each) for each in text).split())


def n_letters(text: str) -> int:
    """Letters of any script."""
    return sum(each.isalpha() for each in text)


def _plain(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Pd":  # dashes separate words, all other punctuation joins them: it's -> its
        return " "
    return "" if category.startswith("P") else character


@cache
def _normaliser(language: str) -> EnglishTextNormalizer | BasicTextNormalizer:
    if language == "en":
        return EnglishTextNormalizer()
    return BasicTextNormalizer(split_letters=language in WITHOUT_SPACES)
