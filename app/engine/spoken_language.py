"""Which language an upload and each of its windows are in.

A file that changes its language is transcribed in each one. A file in one language must not change: a window has
another language than the upload only if the model is sure and the window is long enough to tell.
Each window is judged alone, so the answer does not depend on which window is decoded first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper import audio as fw_audio

from app.core.options import Options
from app.engine.whisper.decoding import choose_language

Features = npt.NDArray[np.float32]

# Whisper names a wrong language for single words and names.
LEAST_WINDOW_S = 4.0
SURE = 0.9


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """A language as it was found.

    Attributes:
        code: ISO 639-1.
        probability: 1 if the request or the model left no choice.
        encoded: the encoder's output if it was needed.
    """

    code: str
    probability: float
    encoded: Any = None


class LanguageFinder:
    """Finds the languages of one upload; blocks in the model's calls.

    Args:
        whisper: over the request's view of the model.
        options: may name the language, or those to choose from.
        multilingual: False for `.en` models.
    """

    def __init__(self, whisper: WhisperModel, options: Options, *, multilingual: bool) -> None:
        self._whisper = whisper
        self._allowed = options.languages
        self._given = options.language or (None if multilingual else "en")

    def of_upload(self, features: Features) -> SpokenLanguage:
        """The language of the first window, [n_mels, n_frames], which is that of the upload."""
        if self._given is not None:
            return SpokenLanguage(self._given, 1.0)
        found, encoded = self._detect(features)
        return SpokenLanguage(*choose_language(found, self._allowed), encoded)

    def of_window(self, features: Features, *, window_s: float, upload: SpokenLanguage) -> SpokenLanguage:
        """The language of a later window."""
        if self._given is not None or window_s < LEAST_WINDOW_S:
            return SpokenLanguage(upload.code, upload.probability)
        found, encoded = self._detect(features)
        code, probability = choose_language(found, self._allowed)
        return SpokenLanguage(code if probability >= SURE else upload.code, probability, encoded)

    def _detect(self, features: Features) -> tuple[list[tuple[str, float]], Any]:
        n_frames = self._whisper.feature_extractor.nb_max_frames
        # faster-whisper leaves the last frame out too: the text is the same with the language given or found
        content = features[:, : min(n_frames, features.shape[-1] - 1)]
        encoded = self._whisper.encode(fw_audio.pad_or_trim(content))
        return self._whisper.model.detect_language(encoded)[0], encoded
