"""Command `evaluate`: measure models side by side on the same sets.

Clips, windows and long samples go through faster-whisper with its defaults, as a user's would.
The short encoder context goes through CTranslate2 itself, once with the full 30 s and once with
the clip's own length and a margin, all else alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from numpy.typing import NDArray

from tools.demo_model.samples import Sample, Sets
from tools.demo_model.scoring import (
    Span,
    boundary_errors_s,
    in_seconds,
    median_or_none,
    percent,
    table,
    word_error_rate,
)
from tools.demo_model.sentences import LANGUAGES, Language
from tools.demo_model.vocabulary import load_tokenizer

MARGIN_FRAMES = 200  # 2 s
FULL_FRAMES = 3000
BEAM = 5
N_CONTEXT = 60  # held-out sentences per language for the comparison of encoder contexts


@dataclass(frozen=True, slots=True)
class Transcription:
    """The output of a model for a sample."""

    text: str
    language: str
    segments: tuple[Span, ...]


class Model:
    """A CTranslate2 folder, decoded on one thread in INT8."""

    def __init__(self, folder: Path) -> None:
        self._whisper = WhisperModel(
            str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )
        self._tokenizer = load_tokenizer(folder / "tokenizer.json")

    def transcribe(self, sample: Sample) -> Transcription:
        """Transcribe with faster-whisper's defaults; the language is detected."""
        segments, info = self._whisper.transcribe(sample.pcm, beam_size=BEAM)
        found = list(segments)
        return Transcription(
            "".join(segment.text for segment in found),
            info.language,
            tuple(Span(segment.start, segment.end) for segment in found),
        )

    def hear_within(self, sample: Sample, *, short: bool) -> str:
        """Transcribe one clip, its language given, with a full or a short encoder context."""
        features = self._whisper.feature_extractor(sample.pcm)  # [80, n_frames]
        limit = features.shape[-1] + MARGIN_FRAMES if short else FULL_FRAMES
        limit = min(FULL_FRAMES, limit + limit % 2)
        padded: NDArray[np.float32] = np.zeros((1, features.shape[0], limit), np.float32)
        padded[0, :, : features.shape[-1]] = features[:, :limit]
        prompt = ["<|startoftranscript|>", f"<|{sample.language}|>", "<|transcribe|>"]
        ids = [self._tokenizer.token_to_id(name) for name in prompt]
        storage = ctranslate2.StorageView.from_array(padded)
        result = self._whisper.model.generate(storage, [ids], beam_size=BEAM)[0]
        text: str = self._tokenizer.decode(result.sequences_ids[0], skip_special_tokens=True)
        return text


def error_rate(samples: Sequence[Sample], texts: Sequence[str], language: Language) -> str:
    """WER of one language's samples, as printed."""
    pairs = [(sample.text, text) for sample, text in zip(samples, texts, strict=True) if sample.language == language]
    return percent(word_error_rate(pairs)) if pairs else "-"


def measure(model: Model, sets: Sets, note: Callable[[str], None]) -> list[tuple[str, str]]:
    """All figures of one model, as (measure, printed value)."""
    rows: list[tuple[str, str]] = []
    named = (
        ("sample clips", sets.clips),
        ("held-out sentences", sets.held_out),
        ("full 30 s windows", sets.windows),
        ("long samples", sets.long),
    )
    right: list[bool] = []
    for name, samples in named:
        note(name)
        transcriptions = [model.transcribe(sample) for sample in samples]
        for language in LANGUAGES:
            if any(sample.language == language for sample in samples):
                rate = error_rate(samples, [h.text for h in transcriptions], language)
                rows.append((f"WER, {name}, {language}", rate))
        pairs = list(zip(samples, transcriptions, strict=True))
        right += [h.language == sample.language for sample, h in pairs]
        if any(sample.sentences for sample in samples):
            errors = [e for s, h in pairs for e in boundary_errors_s(s.sentences, h.segments)]
            rows.append((f"sentence times, median error, {name}", in_seconds(median_or_none(errors))))
    rows.append(("language right", percent(sum(right) / len(right))))
    note("silence and noise")
    n_letters = sum(len(model.transcribe(sample).text.strip()) for sample in sets.quiet)
    rows.append(("letters output on silence and noise", str(n_letters)))
    compared = [
        sample for language in LANGUAGES for sample in [s for s in sets.held_out if s.language == language][:N_CONTEXT]
    ]
    for short in (False, True):
        context = "the clip and 2 s" if short else "30 s"
        note(f"encoder context of {context}")
        texts = [model.hear_within(sample, short=short) for sample in compared]
        for language in LANGUAGES:
            rate = error_rate(compared, texts, language)
            rows.append((f"WER, encoder context of {context}, {language}", rate))
    return rows


def evaluate(folders: Sequence[Path], sets: Sets) -> str:
    """The table of all models, in Markdown."""
    columns: list[list[tuple[str, str]]] = []
    for folder in folders:
        print(f"measuring {folder}", flush=True)
        size = (folder / "model.bin").stat().st_size
        rows = measure(Model(folder), sets, lambda name: print(f"  {name}", flush=True))
        columns.append([*rows, ("model.bin", f"{size / 1e6:.1f} MB")])
    merged = [(cells[0][0], [value for _, value in cells]) for cells in zip(*columns, strict=True)]
    return table([folder.name for folder in folders], merged)
