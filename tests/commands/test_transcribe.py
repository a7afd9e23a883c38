from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from app.commands import transcribe as cli
from app.commands.transcribe import output_path, transcribe, transcribe_files
from app.core.options import Options
from app.core.pcm import Pcm
from app.core.transcript import AudioInfo, Progress, Segment
from app.engine.transcriber import EngineEvent, Transcriber
from app.engine.whisper import model as models
from tests.clients import tone_wav

ROOT = Path(__file__).resolve().parents[2]


class HalfAndHalf:
    """Returns one word for each half of the audio."""

    def events(self, pcm: Pcm, options: Options, cancelled: Callable[[], bool]) -> Iterator[EngineEvent]:
        """Implement the method of `Transcriber`."""
        total_s = len(pcm) / 16_000
        yield AudioInfo(options.language or "en", 1.0, total_s)
        for half in range(2):
            start, end = total_s / 2 * half, total_s / 2 * (half + 1)
            yield Segment(half, 0, start, end, f" half{half}", (1,), -0.1, 1.0, 0.0, 0.0)
            yield Progress(end, total_s)


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the model; its name is set, so that nothing depends on what this machine has downloaded."""
    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(cli, "load_model", lambda _: None)
    monkeypatch.setattr(cli, "transcriber_of", lambda *_: HalfAndHalf())


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Four seconds of sound."""
    file = tmp_path / "talk.wav"
    file.write_bytes(tone_wav(4.0))
    return file


def test_a_terminal_shows_seconds_done_speed_and_time_left(speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar counts seconds of audio up to the file's length and shows speed and time left."""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    transcript = transcribe(speech, cast("Transcriber", HalfAndHalf()), Options(), max_audio_s=60)
    assert transcript.text == "half0 half1"
    shown = screen.getvalue()
    assert "talk.wav: 100%" in shown
    assert "4/4 s of audio" in shown
    assert re.search(r"[0-9.]+x, [0-9:]+ left", shown)


def test_text_goes_to_standard_output(engine: None, speech: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Without a directory the text is printed, and nothing else."""
    assert transcribe_files([str(speech)], file_format="txt") == 0
    assert capfdbinary.readouterr().out == b"half0 half1\n"


@pytest.mark.parametrize(
    ("file_format", "begin"), [("txt", "half0"), ("srt", "1\n00:"), ("vtt", "WEBVTT"), ("json", "{")]
)
def test_every_format_is_written(
    engine: None, speech: Path, tmp_path: Path, file_format: cli.FileFormat, begin: str
) -> None:
    """The output file has the stem of the input and the format's suffix; the directory is created."""
    target = tmp_path / "new" / "place"
    assert transcribe_files([str(speech)], file_format=file_format, output_dir=str(target)) == 0
    assert (target / f"talk.{file_format}").read_text(encoding="utf-8").startswith(begin)


def test_a_bad_file_is_one_line_and_the_others_are_done(
    engine: None, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing, empty and undecodable files and a directory: one line each, exit code 1, the others are written."""
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("hello", encoding="utf-8")
    bad = [str(tmp_path / name) for name in ("missing.wav", "empty.wav", "text.mp3", "")]
    assert transcribe_files([*bad, str(speech)], file_format="txt", output_dir=str(tmp_path / "out")) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(bad) == len(lines)
    assert all(file in line for file, line in zip(bad, lines, strict=True))
    assert (tmp_path / "out" / "talk.txt").exists()


def test_a_lost_device_is_one_line(
    speech: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the engine is reported with the file and the remedy, without a traceback."""

    class Lost(HalfAndHalf):
        def events(self, pcm: Pcm, options: Options, cancelled: Callable[[], bool]) -> Iterator[EngineEvent]:
            yield next(super().events(pcm, options, cancelled))
            raise RuntimeError("CUDA failed with error unspecified launch failure")

    monkeypatch.setenv("MODEL_SIZE", "demo")
    monkeypatch.setattr(cli, "load_model", lambda _: None)
    monkeypatch.setattr(cli, "transcriber_of", lambda *_: Lost())
    assert transcribe_files([str(speech)], file_format="txt") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(speech) in line
    assert "unspecified launch failure" in line
    assert "doctor" in line


def test_a_text_that_cannot_be_written_is_one_line_and_the_others_are_done(
    engine: None, speech: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line gives the source, the path and the reason; exit code 1; the next file is written."""
    other = tmp_path / "other.wav"
    other.write_bytes(speech.read_bytes())
    blocked = tmp_path / "out" / "talk.txt"
    blocked.mkdir(parents=True)
    assert transcribe_files([str(speech), str(other)], file_format="txt", output_dir=str(tmp_path / "out")) == 1
    assert capsys.readouterr().err == f"error: {speech}: {blocked}: Is a directory\n"
    assert (tmp_path / "out" / "other.txt").read_text(encoding="utf-8").startswith("half0")


def test_a_full_standard_output_is_one_line(speech: Path) -> None:
    """The first text that cannot be printed ends the run: the others would be lost, too."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "app", "transcribe", str(speech), str(speech)],
            env={"PATH": os.environ["PATH"], "MODEL_SIZE": "demo", "DEVICE": "cpu"},
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120, check=False, cwd=ROOT,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "error: standard output: No space left on device\n")


def test_an_unknown_language_fails_before_the_work(
    engine: None, speech: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An invalid --language is reported once, not once per file."""
    assert transcribe_files([str(speech)], file_format="txt", language="klingon") == 1
    assert "klingon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("device", "local", "expected"),
    [
        ("cpu", "tiny.en", "tiny.en"),
        ("cpu", "small", "small"),
        ("cpu", "medium", "auto"),
        ("cpu", "demo", "auto"),
        ("cuda", "tiny.en", "auto"),
    ],
)
def test_without_model_size_a_cpu_uses_what_this_machine_has(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str, local: str, expected: str
) -> None:
    """A model for human speech that needs no download is used and announced; a GPU, or a machine without one: auto."""
    monkeypatch.setattr(models, "choose_device", lambda _: device)
    monkeypatch.setattr(models, "choose_local", lambda _: local)
    assert cli._load_settings(None).model_size == expected
    announced = capsys.readouterr().err
    assert announced.startswith(f"MODEL_SIZE is not set: using {local}") == (expected != "auto")


@pytest.mark.parametrize("setting", ["auto", "base"])
def test_model_size_is_used_as_it_is_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    """MODEL_SIZE=auto is the production choice, whatever this machine has; nothing is announced."""
    monkeypatch.setattr(models, "choose_local", lambda _: "tiny.en")
    monkeypatch.setenv("MODEL_SIZE", setting)
    assert cli._load_settings(None).model_size == setting
    assert capsys.readouterr().err == ""


def test_the_model_option_wins(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """--model is used as given, and nothing is announced."""
    monkeypatch.setattr(models, "choose_local", lambda _: "tiny.en")
    assert cli._load_settings("demo").model_size == "demo"
    assert capsys.readouterr().err == ""


def test_files_of_the_same_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    """talk.wav, talk.mp3 and another talk.wav become three files."""
    written: set[Path] = set()
    for file in ("a/talk.wav", "a/talk.mp3", "b/talk.wav", "c/talk.wav", "d/talk.wav"):
        name = output_path(tmp_path, Path(file), "srt", written)
        assert name not in written
        written.add(name)
    assert tmp_path / "talk.srt" in written
