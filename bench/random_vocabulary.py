"""A vocabulary of Whisper's size and layout, made of invented words.

Ids follow Whisper's: 50257 text tokens, then the control tokens, then 1501 timestamps. The first 256
text tokens are single bytes, so any prompt can be encoded; the others are words of one or two
syllables, so that a token of output is about as long as a real one.
Source: openai/whisper `whisper/tokenizer.py`; CTranslate2 `src/models/whisper.cc` reads what it
needs to know of a model from the vocabulary.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

N_TEXT_TOKENS = 50_257
N_TIMESTAMPS = 1501
# The byte-level alphabet writes a space as this letter.
SPACE = "\u0120"
ONSETS = "bcdfghjklmnpqrstvwxz"
VOWELS = "aeiou"
CODAS = "bdfgklmnprstvxz"

END_OF_TEXT = "<|endoftext|>"
# The order of the ids is free but for English, which the model "detects": tokens are found by name.
LANGUAGES = (
    "en af am ar as az ba be bg bn bo br bs ca cs cy da de el es et eu fa fi fo fr gl gu ha haw he hi hr ht hu "
    "hy id is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt "
    "ro ru sa sd si sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh yue"
).split()
CONTROLS_AFTER_LANGUAGES = (
    "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every token in the order of its id, and what the decoder must know of some of them."""

    tokens: tuple[str, ...]
    languages: tuple[str, ...]
    controls: tuple[str, ...]

    def id_of(self, token: str) -> int:
        """The id of a token that exists."""
        return self.tokens.index(token)

    @property
    def words(self) -> range:
        """Ids of the invented words: text tokens that are not single bytes."""
        return range(256, N_TEXT_TOKENS - 1)

    @property
    def first_timestamp(self) -> int:
        """Id of <|0.00|>."""
        return len(self.tokens) - N_TIMESTAMPS

    def tokenizer(self) -> Tokenizer:
        """A byte-level tokenizer with these ids; text is encoded byte by byte, ids decode to words."""
        ids = {token: number for number, token in enumerate(self.tokens[:N_TEXT_TOKENS])}
        tokenizer = Tokenizer(models.BPE(vocab=ids, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(
            [AddedToken(token, special=True, normalized=False) for token in self.tokens[N_TEXT_TOKENS:]]
        )
        return tokenizer


def build_vocabulary(n_languages: int) -> Vocabulary:
    """The tokens of a model that knows 99 languages (up to large-v2) or 100 (from large-v3 on)."""
    # The empty token stands last: CTranslate2 takes a vocabulary without it for an English-only model.
    text = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *_words(N_TEXT_TOKENS - 257), ""]
    languages = tuple(f"<|{code}|>" for code in LANGUAGES[:n_languages])
    controls = tuple(f"<|{name}|>" for name in CONTROLS_AFTER_LANGUAGES)
    timestamps = [f"<|{index * 0.02:.2f}|>" for index in range(N_TIMESTAMPS)]
    return Vocabulary(
        tokens=(*text, END_OF_TEXT, "<|startoftranscript|>", *languages, *controls, *timestamps),
        languages=languages,
        controls=controls,
    )


def _words(n_words: int) -> list[str]:
    """Invented words with a leading space: one closed syllable each, then two, evenly over the alphabet."""
    syllables = ["".join(letters) for letters in itertools.product(ONSETS, VOWELS, CODAS)]
    pairs = len(syllables) ** 2
    longer = n_words - len(syllables)
    spread = [divmod(index * pairs // longer, len(syllables)) for index in range(longer)]
    words = syllables + [syllables[first] + syllables[second] for first, second in spread]
    return [SPACE + word for word in words]
