"""Word error rates of AUDIO_CONTEXT=auto and full, on the demo model and speech with known texts.

    python -m bench.wer [FOLDER]

FOLDER holds WAV files and a `manifest.json`: a list of {file, language, text}. Without it the
samples of the tests are used, which are short and clean: measure your own audio as well.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer

from app.audio.decode import decode_audio
from app.core.options import Options
from app.core.transcript import Segment
from app.engine.build import load_model, transcriber_of
from app.engine.transcriber import Transcriber
from app.ops import tuning
from app.settings.worker import load_settings
from bench.clips import SAMPLES

CONTEXTS = ("full", "auto")
MAX_AUDIO_S = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A file and its reference text."""

    path: Path
    language: str
    text: str


def samples_in(folder: Path) -> list[Sample]:
    """Return the samples of the manifest that contain speech."""
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [Sample(folder / each["file"], each["language"], each["text"]) for each in listed if each["text"]]


def plain(text: str) -> str:
    """Normalize a text for the word error rate: lower case, letters and apostrophes only, single spaces."""
    return " ".join(re.sub(r"[^\w' ]+", " ", text.lower()).split())


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Return the number of wrong words divided by the number of spoken words."""
    return float(jiwer.wer([plain(text) for text in references], [plain(text) for text in hypotheses]))


def transcribe(transcriber: Transcriber, sample: Sample) -> str:
    """Return the text of a sample whose language is known."""
    with sample.path.open("rb") as source:
        pcm = decode_audio(source, max_audio_s=MAX_AUDIO_S)
    events = transcriber.events(pcm, Options(language=sample.language), cancelled=lambda: False)
    return "".join(event.text for event in events if isinstance(event, Segment))


def measure(samples: Sequence[Sample], *, model: str, context: str) -> dict[str, object]:
    """Return the error rates per language and in total, and the wall-clock time."""
    settings = load_settings(model_size=model, audio_context=context, device="cpu")
    transcriber = transcriber_of(load_model(settings), settings)
    started_s = time.perf_counter()
    texts = [transcribe(transcriber, sample) for sample in samples]
    wall_s = time.perf_counter() - started_s
    pairs = list(zip(samples, texts, strict=True))
    languages = sorted({sample.language for sample in samples})
    by_language = {
        language: [(sample.text, text) for sample, text in pairs if sample.language == language]
        for language in languages
    }
    return {
        "samples": len(samples),
        "wer": round(word_error_rate([sample.text for sample in samples], texts), 4),
        "wer_by_language": {
            language: round(word_error_rate(*map(list, zip(*both, strict=True))), 4)
            for language, both in by_language.items()
        },
        "wall_s": round(wall_s, 2),
    }


def main() -> None:
    """Print the results of both settings as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.wer", description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=SAMPLES)
    parser.add_argument("--model", default="demo", help="as MODEL_SIZE")
    args = parser.parse_args()
    tuning.apply(enabled=load_settings().cpu_tuning)
    samples = samples_in(args.folder)
    print(json.dumps({c: measure(samples, model=args.model, context=c) for c in CONTEXTS}, indent=2))


if __name__ == "__main__":
    main()
