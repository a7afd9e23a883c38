from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import pytest
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from app.core.options import Options, Tier
from app.engine.whisper.decoding import decoding_of
from app.engine.whisper.fallbacks import reporting_fallbacks
from app.engine.whisper.model import Model

LIKELY, UNLIKELY = -0.2, -2.0


class ScriptedModel:
    """Gives one result after the other, each a text with its log-probability and its doubt that anybody speaks."""

    def __init__(self, tokenizer: Tokenizer, *results: tuple[str, float, float]) -> None:
        self._tokenizer = tokenizer
        self._results = list(results)

    def generate(self, _encoded: object, _prompts: object, **_options: Any) -> list[Any]:
        """One try."""
        text, score, no_speech_prob = self._results.pop(0)
        tokens = self._tokenizer.encode(text)
        return [SimpleNamespace(sequences_ids=[tokens], scores=[score], no_speech_prob=no_speech_prob)]


@pytest.mark.parametrize(
    ("results", "tier", "expected", "text"),
    [
        ([(" Good morning.", LIKELY, 0.0)], "standard", [], " Good morning."),
        ([(" la" * 100, LIKELY, 0.0), (" Good.", LIKELY, 0.0)], "standard", ["repetition"], " Good."),
        ([(" Gut.", UNLIKELY, 0.0), (" Good.", LIKELY, 0.0)], "standard", ["temperature"], " Good."),
        (
            [(" la" * 100, LIKELY, 0.0), (" Gut.", UNLIKELY, 0.0), (" Good.", UNLIKELY, 0.0)],
            "standard",
            ["repetition", "temperature"],
            " Gut.",
        ),
        ([(" Thanks.", UNLIKELY, 0.9)], "standard", ["silence"], " Thanks."),
        ([(" la" * 100, LIKELY, 0.0)], "realtime", [], " la" * 100),
    ],
    ids=["good", "repetitive", "unlikely", "never good", "silence", "live text has one try"],
)
def test_each_try_after_the_first_has_its_reason(
    demo: Model, results: list[tuple[str, float, float]], tier: Tier, expected: list[str], text: str
) -> None:
    """faster-whisper's own loop decides; a try that is not followed by another one is no fallback."""
    tokenizer = Tokenizer(demo.whisper.hf_tokenizer, multilingual=True, task="transcribe", language="en")
    whisper = WhisperModel.__new__(WhisperModel)
    whisper.model = ScriptedModel(tokenizer, *results)
    whisper.max_length, whisper.time_precision, whisper.logger = 448, 0.02, logging.getLogger("test")
    options = decoding_of(Options(tier=tier), tokenizer, server_beam=5, audio_s=30).options
    told: list[str] = []
    chosen = reporting_fallbacks(whisper, told.append)(None, [1, 2], tokenizer, options)
    assert told == expected
    assert tokenizer.decode(chosen[0].sequences_ids[0]) == text
