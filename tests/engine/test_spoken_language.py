from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from faster_whisper import WhisperModel

from app.core.options import Options
from app.engine.spoken_language import LanguageFinder, SpokenLanguage

FEATURES = np.zeros((80, 1001), np.float32)
ENGLISH = SpokenLanguage("en", 0.99)


class FakeWhisper:
    """Finds these languages, and counts how often it was asked."""

    def __init__(self, found: list[tuple[str, float]]) -> None:
        self.found = found
        self.n_encoded = 0
        self.feature_extractor = self
        self.nb_max_frames = 3000
        self.model = self

    def encode(self, features: Any) -> str:
        """The content's frames, padded to 30 s."""
        assert features.shape == (80, 3000)
        self.n_encoded += 1
        return "encoded"

    def detect_language(self, encoded: Any) -> list[list[tuple[str, float]]]:
        """What it was made with."""
        assert encoded == "encoded"
        return [self.found]


def finder(whisper: FakeWhisper, *, multilingual: bool = True, **options: Any) -> LanguageFinder:
    """A finder over the fake."""
    return LanguageFinder(cast("WhisperModel", whisper), Options(**options), multilingual=multilingual)


def test_the_language_of_the_upload_is_the_likeliest() -> None:
    """Whatever its probability; the encoder's output is kept for the decoder."""
    whisper = FakeWhisper([("<|de|>", 0.5), ("<|en|>", 0.4)])
    assert finder(whisper).of_upload(FEATURES) == SpokenLanguage("de", 0.5, "encoded")
    assert finder(whisper, languages=("en", "es")).of_upload(FEATURES) == SpokenLanguage("en", 0.4, "encoded")


def test_a_language_that_is_given_is_not_looked_for() -> None:
    """By the request, or by a model that knows only English."""
    whisper = FakeWhisper([("<|de|>", 0.99)])
    for found in (finder(whisper, language="es"), finder(whisper, multilingual=False)):
        upload = found.of_upload(FEATURES)
        assert upload.code in ("es", "en")
        assert found.of_window(FEATURES, window_s=20.0, upload=upload) == SpokenLanguage(upload.code, 1.0)
    assert whisper.n_encoded == 0


@pytest.mark.parametrize(("probability", "expected"), [(0.97, "de"), (0.9, "de"), (0.85, "en")])
def test_a_window_has_another_language_only_if_it_is_sure(probability: float, expected: str) -> None:
    """German in an English upload: from 0.9 on; less keeps the upload's language."""
    whisper = FakeWhisper([("<|de|>", probability), ("<|en|>", 1 - probability)])
    found = finder(whisper).of_window(FEATURES, window_s=12.0, upload=ENGLISH)
    assert (found.code, found.encoded) == (expected, "encoded")


def test_a_short_window_is_not_looked_at() -> None:
    """Below four seconds it has the upload's language, and costs no call."""
    whisper = FakeWhisper([("<|de|>", 0.99)])
    assert finder(whisper).of_window(FEATURES, window_s=3.9, upload=ENGLISH).code == "en"
    assert whisper.n_encoded == 0


def test_only_allowed_languages_are_chosen() -> None:
    """A request that names languages gets no other one."""
    whisper = FakeWhisper([("<|de|>", 0.97), ("<|es|>", 0.02), ("<|en|>", 0.01)])
    for allowed, expected in ((("en", "es"), "en"), (("en", "de"), "de")):
        found = finder(whisper, languages=allowed).of_window(FEATURES, window_s=12.0, upload=ENGLISH)
        assert found.code == expected
