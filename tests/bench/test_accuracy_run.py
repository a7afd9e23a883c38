import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from bench.accuracy import run
from bench.accuracy.child import answers
from bench.accuracy.contenders import HttpContender
from bench.accuracy.listener import listener
from bench.accuracy.model import VARIABLE, real_model
from bench.accuracy.transcribers import LocalTranscriber
from bench.accuracy.transcription import Transcription
from bench.clips import SAMPLES
from bench.processes import ROOT
from tests.bench.accuracy_run import NOISE, READ, RECORDINGS, made
from tests.transcripts import SEGMENT

DEMO = ROOT / "models" / "demo"


class Recorder:
    """A contender that notes the order of its calls in a common list."""

    def __init__(self, name: str, calls: list[tuple[str, str]]) -> None:
        self._name, self._calls = name, calls

    def transcribe(self, recording) -> Transcription:
        """Say that everything was read well."""
        self._calls.append((recording.path.stem, self._name))
        return made(recording.text)


def test_recordings_go_through_all_settings_in_turn(capsys):
    """Every setting transcribes a recording before the next one; none is always the first."""
    calls: list[tuple[str, str]] = []
    found = run.transcribe_all(RECORDINGS[:2], {name: Recorder(name, calls) for name in ("a", "b")})
    assert calls == [("read", "a"), ("read", "b"), ("digits", "b"), ("digits", "a")]
    assert [each.errors.errors for each in found["a"]] == [0, 0]
    assert "2/2 digits.flac: a 0, b 0" in capsys.readouterr().err


def test_english_models_skip_other_languages():
    """Speech in other languages is left out; recordings without speech stay; a limit cuts the rest."""
    names = [each.path.stem for each in run.selected(RECORDINGS, multilingual=False, limit=None)]
    assert names == ["read", "digits", "noise"]
    assert len(run.selected(RECORDINGS, multilingual=True, limit=None)) == 4
    assert len(run.selected(RECORDINGS, multilingual=True, limit=1)) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--set"),
        (["--set", "x", "--settings", "fast"], "begin with one of"),
        (["--set", "x", "--settings", "server"], "--url"),
        (["--set", "x", "--model", "nowhere"], "no model.bin"),
    ],
)
def test_wrong_arguments_are_explained(arguments, message, capsys):
    """The command line ends with a message that names what is wrong."""
    with pytest.raises(SystemExit):
        run.parse(arguments)
    assert message in capsys.readouterr().err


def test_settings_follow_the_arguments():
    """The engine by default; a server alone with --url; both with both."""
    base = ["--set", "x", "--model", str(DEMO)]
    names = [[each.name for each in run.parse([*base, *more]).chosen] for more in ([], ["--url", "u"])]
    assert "full" in names[0]
    assert names[1] == ["stock", "stock+vad", "server"]


def test_a_child_answers_line_by_line():
    """First what was loaded, then a transcription for each request, with windows counted by their seek."""
    retried = replace(SEGMENT, seek=9, temperature=0.2)
    transcriber = LocalTranscriber(lambda *_: [SEGMENT, SEGMENT, retried], multilingual=True, close=lambda: None)
    loaded, answer = answers(transcriber, ['{"path": "a.flac", "language": "de"}'])
    assert json.loads(loaded) == {"multilingual": True}
    found = Transcription(**json.loads(answer))
    assert (found.n_windows, found.n_fallbacks) == (2, 1)
    assert found.text.startswith("Grüß Gott")
    assert found.cpu_s is not None


def test_a_server_is_asked_for_segments(tmp_path):
    """The file, its language and the setting's fields are sent; a busy server is asked again."""
    path = tmp_path / "a.flac"
    path.write_bytes(b"audio")
    bodies: list[bytes] = []
    segments = [{"text": " Hello", "seek": 0, "temperature": 0.0}, {"text": " you.", "seek": 5, "temperature": 0.4}]

    def serve(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        if len(bodies) == 1:
            return httpx.Response(503, headers={"Retry-After": "0"})
        return httpx.Response(200, json={"segments": segments})

    with httpx.Client(transport=httpx.MockTransport(serve), base_url="http://server") as client:
        contender = HttpContender(client, {"vad_filter": "false"}, pid=os.getpid())
        found = contender.transcribe(replace(READ, path=path))
    assert (found.text, found.n_windows, found.n_fallbacks) == ("Hello you.", 2, 1)
    assert found.cpu_s is not None
    assert len(bodies) == 2
    assert b"verbose_json" in bodies[1]
    assert b'name="vad_filter"' in bodies[1]


def test_a_server_elsewhere_has_no_known_cpu_time(tmp_path):
    """Without a process id the CPU time is none, and no language is sent where there is no speech."""
    path = tmp_path / "noise.flac"
    path.write_bytes(b"audio")
    bodies: list[bytes] = []

    def serve(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        return httpx.Response(200, json={"segments": []})

    with httpx.Client(transport=httpx.MockTransport(serve), base_url="http://server") as client:
        found = HttpContender(client, {}, pid=None).transcribe(replace(NOISE, path=path))
    assert (found.text, found.cpu_s) == ("", None)
    assert b'name="language"' not in bodies[0]


def test_the_listener_of_a_port_is_found():
    """The process that listens is named; nobody listens on a port that was closed."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert listener(port) == os.getpid()
    assert listener(port) is None


def test_a_model_can_be_named_by_the_environment(monkeypatch, tmp_path):
    """The variable wins if the directory holds weights."""
    (tmp_path / "model.bin").touch()
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert real_model() == tmp_path
    monkeypatch.setenv(VARIABLE, str(tmp_path / "missing"))
    assert real_model() != tmp_path / "missing"


@pytest.mark.slow
def test_a_whole_run_on_the_demo_model(tmp_path):
    """Two settings over one sample: tables on the terminal, JSON, plot and the worst texts in files."""
    command = [
        sys.executable, "-m", "bench.accuracy", "--set", str(SAMPLES), "--model", str(DEMO), "--limit", "1",
        "--settings", "stock,full", "--out", str(tmp_path), "--name", "one", "--worst", str(tmp_path / "worst.md"),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| full |" in done.stdout
    written = json.loads((tmp_path / "one-accuracy.json").read_text(encoding="utf-8"))
    assert [each["setting"] for each in written["settings"]] == ["stock", "full"]
    assert all(each["cpu_s"] > 0 for each in written["settings"])
    assert Path(tmp_path / "one-accuracy.png").is_file()
    assert (tmp_path / "worst.md").is_file()
