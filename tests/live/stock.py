"""The real `whisper-live` client from PyPI, on a machine without PortAudio.

Installed with `pip install --no-deps whisper-live==0.10.0`; its microphone library is the only thing
replaced, by one that has no devices.
"""

from __future__ import annotations

import importlib
import sys
import types
import wave
from pathlib import Path
from typing import Any

import numpy as np


class _NoDevices:
    """PyAudio on a machine without a sound card."""

    def open(self, **kwargs):
        raise OSError("no audio device")

    def get_format_from_width(self, width):
        return 8

    def terminate(self):
        pass


def client_module():
    """The module `whisper_live.client`, importable without PortAudio."""
    if "pyaudio" not in sys.modules:
        fake: Any = types.ModuleType("pyaudio")
        fake.paInt16 = 8
        fake.PyAudio = _NoDevices
        sys.modules["pyaudio"] = fake
    return importlib.import_module("whisper_live.client")


def write_wav(path: Path, pcm: np.ndarray) -> Path:
    """[n] float32 as a 16 kHz mono 16-bit file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def read_srt(path: Path) -> list[tuple[str, str]]:
    """(times, text) of each entry."""
    blocks = path.read_text(encoding="utf-8").strip().split("\n\n")
    return [(block.splitlines()[1], block.splitlines()[2]) for block in blocks if block.strip()]
