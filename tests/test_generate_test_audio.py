from __future__ import annotations

import itertools
import wave
from pathlib import Path

from tests.generate_test_audio import main

TESTS = Path(__file__).resolve().parent


def test_the_committed_file_is_what_the_script_makes(tmp_path):
    """tests/test_audio.wav and its text come out of the script byte for byte."""
    assert main(["--output", str(tmp_path / "again.wav")]) == 0
    assert (tmp_path / "again.wav").read_bytes() == (TESTS / "test_audio.wav").read_bytes()
    assert (tmp_path / "again.txt").read_text() == (TESTS / "test_audio.txt").read_text()


def test_a_tone_has_its_length_and_no_text(tmp_path):
    """A second of 440 Hz: 16,000 samples that cross zero 880 times, give or take one."""
    assert main(["--tone", "440", "--output", str(tmp_path / "tone.wav")]) == 0
    with wave.open(str(tmp_path / "tone.wav"), "rb") as tone:
        assert (tone.getframerate(), tone.getnchannels(), tone.getnframes()) == (16_000, 1, 16_000)
        samples = memoryview(tone.readframes(16_000)).cast("h")
    signs = [sample >= 0 for sample in samples]
    crossings = sum(before != after for before, after in itertools.pairwise(signs))
    assert abs(crossings - 880) <= 1
    assert not (tmp_path / "tone.txt").exists()


def test_what_cannot_be_made_is_one_line(tmp_path, capsys):
    """An unknown sample or an impossible tone: exit code 1 and a reason, no traceback."""
    assert main(["--speech", "nobody.wav", "--output", str(tmp_path / "x.wav")]) == 1
    assert main(["--tone", "9000", "--output", str(tmp_path / "x.wav")]) == 1
    assert capsys.readouterr().err.count("error: ") == 2
    assert not (tmp_path / "x.wav").exists()
