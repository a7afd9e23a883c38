from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import pytest

from tests.load.sounds import cut, load, pcm_of, word_errors

AUDIO = Path(__file__).resolve().parents[1] / "audio"


def test_the_length_is_the_files_own():
    """It comes from the header, not from the service."""
    with wave.open(str(AUDIO / "en-00.wav"), "rb") as header:
        expected_s = header.getnframes() / 16_000
    assert load(AUDIO / "en-00.wav").audio_s == expected_s


def test_the_text_is_found_beside_the_file_or_in_the_manifest(tmp_path):
    """A .txt of the same name wins; else manifest.json; else there is none."""
    data = (AUDIO / "en-00.wav").read_bytes()
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.wav").write_bytes(data)
    (tmp_path / "a.txt").write_text("said beside\n")
    entry = {"file": "b.wav", "text": "said in the list", "language": "de"}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    found = [load(tmp_path / f"{name}.wav") for name in ("a", "b", "c")]
    assert [(sound.text, sound.language) for sound in found] == [
        ("said beside", ""),
        ("said in the list", "de"),
        ("", ""),
    ]


def test_other_files_are_refused_with_the_remedy(tmp_path):
    """A file that is not WAV, or has another rate, gives one line with a remedy."""
    (tmp_path / "x.wav").write_bytes(b"not audio")
    with pytest.raises(ValueError, match="not a WAV"):
        load(tmp_path / "x.wav")
    with wave.open(str(tmp_path / "y.wav"), "wb") as other:
        other.setparams((2, 2, 44_100, 0, "NONE", ""))
        other.writeframes(bytes(400))
    with pytest.raises(ValueError, match="ffmpeg"):
        load(tmp_path / "y.wav")


def test_live_windows_are_cut_from_endless_audio():
    """A window beyond the end continues at the beginning, sample by sample."""
    pcm = bytes(range(256)) * 250  # 2 s
    with wave.open(io.BytesIO(cut(pcm, 1.0, 5.0)), "rb") as window:
        samples = window.readframes(window.getnframes())
    assert samples == (pcm * 4)[32_000:160_000]


def test_sounds_are_joined():
    """The samples of all files, in order."""
    sounds = [load(AUDIO / "en-00.wav"), load(AUDIO / "en-02.wav")]
    assert len(pcm_of(sounds)) == sum(round(sound.audio_s * 16_000) * 2 for sound in sounds)


def test_word_errors_ignore_case_and_punctuation():
    """Only words count: one substitution, one deletion, an empty text, an empty reference."""
    assert word_errors("It's easy, to get burned.", "it's easy to get burned") == (0, 5)
    assert word_errors("one two three", "one too") == (2, 3)
    assert word_errors("one two", "") == (2, 2)
    assert word_errors("", "anything") == (0, 0)
