from __future__ import annotations

import itertools

import pytest
from faster_whisper.tokenizer import Tokenizer

from app.core.options import Options, Tier
from app.engine.whisper.decoding import (
    HOTWORD_TOKENS,
    PROMPT_BUCKETS,
    PROMPT_TOKENS,
    choose_language,
    decoding_of,
    fitted,
    plain,
    temperatures,
)
from app.engine.whisper.model import Model


@pytest.fixture(scope="module")
def tokenizer(demo: Model) -> Tokenizer:
    """English, transcribe."""
    return Tokenizer(demo.whisper.hf_tokenizer, multilingual=True, task="transcribe", language="en")


@pytest.mark.parametrize(
    ("options", "tries"),
    [
        (Options(), (0.0, 0.2, 0.4)),
        (Options(tier="deferred"), (0.0, 0.2, 0.4)),
        (Options(tier="realtime"), (0.0,)),
        (Options(tier="realtime", temperature=0.3), (0.0,)),
        (Options(temperature=0.2), (0.2, 0.4, 0.6, 0.8, 1.0)),
        (Options(temperature=0.7), (0.7, 0.9)),
        (Options(temperature=1.0), (1.0,)),
    ],
)
def test_tries(options: Options, tries: tuple[float, ...]) -> None:
    """Live text is decoded once; files have repeatable tries; above 0 the temperatures rise to 1.0."""
    assert temperatures(options) == tries


def test_a_prompt_keeps_its_end_and_meets_a_bucket() -> None:
    """The last tokens stay; prompt and hot words together have one of few lengths and fit the decoder."""
    for n_prompt, n_hotwords in itertools.product((0, 1, 7, 8, 9, 100, 222, 223, 224, 5000), (0, 1, 9, 110, 111)):
        prompt = list(range(n_prompt))
        kept = fitted(prompt, n_hotwords)
        assert list(kept) == prompt[n_prompt - len(kept) :]
        assert len(kept) + n_hotwords <= PROMPT_TOKENS
        assert bool(kept) == (n_prompt > 0), "no prompt is trimmed away whole"
        shorter_than_a_bucket = len(kept) == n_prompt
        assert len(kept) + n_hotwords in PROMPT_BUCKETS or shorter_than_a_bucket


def test_many_prompts_have_few_lengths() -> None:
    """Prompts of every length fall into a dozen decoding calls, apart from the very short ones."""
    lengths = {len(fitted(list(range(n)), 0)) for n in range(8, 1000)}
    assert lengths == set(PROMPT_BUCKETS) - {0}


FOUND = [("<|en|>", 0.5), ("<|de|>", 0.3), ("<|es|>", 0.2)]


@pytest.mark.parametrize(
    ("allowed", "language", "probability"),
    [((), "en", 0.5), (("de", "es"), "de", 0.3), (("es",), "es", 0.2), (("xx",), "en", 0.5), (("xx", "es"), "es", 0.2)],
)
def test_the_likeliest_allowed_language(allowed: tuple[str, ...], language: str, probability: float) -> None:
    """Detection chooses among what the caller allows, with its own probability; unknown codes are passed over."""
    for found in itertools.permutations(FOUND):
        assert choose_language(list(found), allowed) == (language, probability)


def test_control_tokens_are_no_text() -> None:
    """Whisper's own tokens vanish from a caller's text, the words around them stay apart."""
    assert plain("a<|endoftext|>b <|0.00|>") == "a b"
    assert plain("x < | y |> z <|") == "x < | y |> z <|"


def test_words_and_hot_words_reach_the_model(tokenizer: Tokenizer) -> None:
    """The options of one upload: what was asked for, and nothing that would tie its windows together."""
    decoding = decoding_of(
        Options(words=True, hotwords="fire", prompt="Hello there."), tokenizer, server_beam=3, audio_s=30
    )
    assert (decoding.options.word_timestamps, decoding.options.beam_size) == (True, 3)
    assert decoding.options.hotwords == "fire"
    assert decoding.options.condition_on_previous_text is False
    assert tokenizer.decode(list(decoding.prompt_tokens)).strip() == "Hello there."


@pytest.mark.parametrize(
    ("tier", "audio_s", "beam_size"),
    [("realtime", 4.0, 1), ("realtime", 3.9, 5), ("standard", 30.0, 5), ("deferred", 30.0, 5)],
)
def test_long_live_windows_are_decoded_greedily(
    tokenizer: Tokenizer, tier: Tier, audio_s: float, beam_size: int
) -> None:
    """Live windows of 4 s and more have beam width 1, all others that of the settings."""
    assert decoding_of(Options(tier=tier), tokenizer, server_beam=5, audio_s=audio_s).options.beam_size == beam_size


@pytest.mark.parametrize("tier", ["realtime", "standard", "deferred"])
def test_a_request_that_names_a_beam_width_gets_it(tokenizer: Tokenizer, tier: Tier) -> None:
    """Neither the setting nor the tier changes what the client asked for."""
    assert decoding_of(Options(tier=tier, beam_size=3), tokenizer, server_beam=5, audio_s=30).options.beam_size == 3


def test_endless_hot_words_are_trimmed(tokenizer: Tokenizer) -> None:
    """Hot words keep to their half of the room, and the prompt still has its own."""
    decoding = decoding_of(Options(hotwords="fire " * 900, prompt="word " * 900), tokenizer, server_beam=1, audio_s=30)
    hotwords = tokenizer.encode(" " + (decoding.options.hotwords or ""))
    assert 0 < len(hotwords) <= HOTWORD_TOKENS
    assert len(hotwords) + len(decoding.prompt_tokens) <= PROMPT_TOKENS
    assert len(decoding.prompt_tokens) > 50


@pytest.mark.parametrize("empty", ["", "   ", "<|en|>"])
def test_an_empty_prompt_is_no_prompt(tokenizer: Tokenizer, empty: str) -> None:
    """Nothing but blanks or control tokens leaves windows in the batch of those without a prompt."""
    decoding = decoding_of(Options(prompt=empty, hotwords=empty), tokenizer, server_beam=1, audio_s=30)
    assert (decoding.prompt_tokens, decoding.options.hotwords) == ((), None)
