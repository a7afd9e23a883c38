"""Make a test file: the given speech samples with pauses between them, or tones, as 16 kHz mono 16-bit WAV.

    python tests/generate_test_audio.py                      writes tests/test_audio.wav and its text
    python tests/generate_test_audio.py --tone 440 --seconds 3 --output tone.wav

The speech comes from tests/audio, so every word of the result is known: it is written beside it as .txt.
"""

from __future__ import annotations

import argparse
import array
import json
import math
import sys
import wave
from pathlib import Path

TESTS = Path(__file__).resolve().parent
RATE_HZ = 16_000
AMPLITUDE = 6000
DEFAULT_SPEECH = ("en-00.wav", "en-02.wav")


def main(argv: list[str] | None = None) -> int:
    """Write the file; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.tone:
            samples, text = tone(arguments.tone, arguments.seconds), ""
        else:
            samples, text = speech(arguments.speech, arguments.pause)
    except (OSError, ValueError, KeyError, wave.Error) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    write(arguments.output, samples)
    if text:
        arguments.output.with_suffix(".txt").write_text(text + "\n", encoding="utf-8")
    print(f"{arguments.output}: {len(samples) / RATE_HZ:.2f} s{': ' + text if text else ''}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make a test audio file.")
    parser.add_argument("--output", type=Path, default=TESTS / "test_audio.wav")
    parser.add_argument("--speech", nargs="+", default=list(DEFAULT_SPEECH), help="samples of tests/audio, in order")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds of silence around each sample")
    parser.add_argument("--tone", type=float, default=0.0, help="a sine of that many hertz instead of speech")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of the tone")
    return parser


def speech(names: list[str], pause_s: float) -> tuple[array.array[int], str]:
    """Return the samples joined with pauses, and what is said in them.

    Raises:
        KeyError: a file that the manifest does not know.
    """
    manifest = json.loads((TESTS / "audio" / "manifest.json").read_text(encoding="utf-8"))
    texts = {entry["file"]: entry["text"] for entry in manifest}
    pause = array.array("h", bytes(2 * round(pause_s * RATE_HZ)))
    samples = array.array("h", pause)
    for name in names:
        with wave.open(str(TESTS / "audio" / name), "rb") as source:
            samples.frombytes(source.readframes(source.getnframes()))
        samples.extend(pause)
    return samples, " ".join(texts[name] for name in names)


def tone(frequency_hz: float, seconds: float) -> array.array[int]:
    """Return a sine.

    Raises:
        ValueError: above half the sample rate, or no length.
    """
    if not 0 < frequency_hz < RATE_HZ / 2 or seconds <= 0:
        raise ValueError(f"{frequency_hz:g} Hz for {seconds:g} s: choose 0 to {RATE_HZ // 2} Hz, and a length above 0")
    step = 2 * math.pi * frequency_hz / RATE_HZ
    return array.array("h", (round(AMPLITUDE * math.sin(step * n)) for n in range(round(seconds * RATE_HZ))))


def write(path: Path, samples: array.array[int]) -> None:
    """Write a WAV file."""
    if sys.byteorder == "big":
        samples.byteswap()
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes(samples.tobytes())


if __name__ == "__main__":
    sys.exit(main())
