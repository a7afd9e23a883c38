"""The load tester: its measures are correct, and its JSON has the keys of the original load tester."""

import json
from typing import Any

import numpy as np
import pytest

from app.live.session.connection import SessionLimits
from bench.live import plot, report, score
from bench.live.client import ClientRecord
from bench.live.material import Material, Sentence, load, repeated
from tests import load_test_client
from tests.live import real, stock, tones
from tests.live.backend import Backend, HttpServer


def segment(text, start, end, *, completed):
    """A segment as it is sent."""
    return {"text": f" {text}", "start": f"{start:.3f}", "end": f"{end:.3f}", "completed": completed}


def record(messages, *, reference="we all gaze and thou", ended_s=108.0):
    """A client that began at 100 s and sent two sentences."""
    sentences = (Sentence(1.0, 3.0), Sentence(4.0, 6.0))
    material = Material("a.wav", "en", np.zeros(8 * 16_000, np.int16), reference, sentences)
    return ClientRecord(
        "u", material, started_s=100.0, ended_s=ended_s, closed_s=110.0, close_code=1000, messages=messages
    )


def test_latencies_are_measured_against_the_sentence_times():
    """First text counts from a sentence's first sample, final text from its last, the end lag from END_OF_AUDIO."""
    messages = [
        (102.5, {"segments": [segment("we all", 1.1, 2.0, completed=False)]}),
        (104.2, {"segments": [segment("we all gaze", 1.0, 2.9, completed=True)]}),
        (
            106.0,
            {"segments": [segment("we all gaze", 1.0, 2.9, completed=True), segment("and", 4, 5, completed=False)]},
        ),
        (109.5, {"segments": [segment("and thou", 4.0, 5.9, completed=True)]}),
    ]
    judged = score.score(record(messages), speed=1.0)
    assert judged.first_partial_s == pytest.approx([1.5, 2.0])
    assert judged.commit_s == pytest.approx([1.2, 3.5])
    assert judged.eos_lag_s == pytest.approx(1.5)
    assert judged.transcript == "we all gaze and thou"
    assert judged.wer == judged.cer == 0


def test_errors_losses_and_refusals_are_counted():
    """Word errors against the reference; seconds lost and refusals from the server's statistics."""
    messages = [
        (104.0, {"segments": [segment("we fall gaze and", 1.0, 6, completed=True)]}),
        (105.0, {"status": "WARNING", "message": "2.5 s of audio were lost"}),
        (109.0, {"stats": {"dropped_s": 2.5, "busy": 7, "calls": 9}}),
    ]
    judged = score.score(record(messages), speed=1.0)
    assert judged.wer == pytest.approx(2 / 5)
    assert (judged.dropped_s, judged.http_503, judged.calls) == (2.5, 7, 9)
    assert judged.warnings == ["2.5 s of audio were lost"]


def test_losses_nobody_told_are_unknown():
    """Without the server's statistics the seconds lost are unknown, not zero, for the whole level."""
    known = score.score(record([(109.0, {"stats": {"dropped_s": 2.5}})]), speed=1.0)
    unknown = score.score(record([]), speed=1.0)
    assert unknown.dropped_s is None
    assert report.summary([record([])], [known], 1.0)["dropped_s"] == 2.5
    level = report.summary([record([]), record([])], [known, unknown], 1.0)
    assert level["dropped_s"] is None
    assert "lost - s" in report.line(level)


def test_silent_server_has_no_latency_rather_than_a_good_one():
    """If nothing is received, nothing is measured, and every word is an error."""
    judged = score.score(record([]), speed=1.0)
    assert (judged.first_partial_s, judged.commit_s, judged.eos_lag_s) == ([], [], None)
    assert judged.wer == 1.0


@pytest.mark.parametrize(
    ("text", "plain"),
    [("Hello, World!", "hello world"), ("Don’t  stop", "don't stop"), ("ÜBER – straße", "über straße"), ("a_b", "a b")],
)
def test_normalisation(text, plain):
    """Case, punctuation and spaces are not errors."""
    assert score.normalise(text) == plain


def test_spread_has_the_known_keys():
    """min, max, mean, median and p95; empty without values."""
    assert score.spread([]) == {}
    assert score.spread([float(i) for i in range(1, 101)]) == {
        "min": 1,
        "max": 100,
        "mean": 50.5,
        "median": 50.5,
        "p95": 95,
    }


def test_repeating_moves_the_sentences(tmp_path):
    """A repeated file repeats its reference and its sentence times."""
    recording = tones.speak([["alpha"]])
    stock.write_wav(tmp_path / "a.wav", recording.pcm)
    items = [{"file": "a.wav", "text": "alpha", "language": "en", "segments": [{"start": 0.5, "end": 0.8}]}]
    (tmp_path / "manifest.json").write_text(json.dumps(items), encoding="utf-8")
    (material,) = load(tmp_path)
    twice = repeated(material, 2 * (material.duration_s + 1))
    assert twice.reference == "alpha alpha"
    assert twice.sentences[1].start == pytest.approx(0.5 + material.duration_s + 1)
    assert twice.duration_s == pytest.approx(2 * (material.duration_s + 1))


def test_text_files_are_references_too(tmp_path):
    """Without a manifest a text of the same name is the reference; no WAV at all is an error."""
    stock.write_wav(tmp_path / "a.wav", tones.speak([["alpha"]]).pcm)
    (tmp_path / "a.txt").write_text("alpha", encoding="utf-8")
    assert load(tmp_path)[0].reference == "alpha"
    with pytest.raises(SystemExit, match="no WAV"):
        load(tmp_path, only="zzz")


def test_ramp_against_a_gateway(tmp_path, capsys):
    """Two levels against a real gateway: files with the known keys, no error, no loss, and a plot."""
    for i in range(2):
        recording = tones.chatter(4, seed=i)
        stock.write_wav(tmp_path / f"{i}.wav", recording.pcm)
        (tmp_path / f"{i}.txt").write_text(" ".join(recording.text), encoding="utf-8")
    with (
        HttpServer(Backend(delay_s=0.1)) as service,
        real.running(service.url, limits=SessionLimits(drain_grace_s=1)) as gate,
    ):
        status = load_test_client.main(
            [
                "--ramp",
                "1,3",
                "--port",
                str(gate.port),
                "--audio-dir",
                str(tmp_path),
                "--results-dir",
                str(tmp_path / "r"),
                "--language",
                "en",
                "--messages",
                "--plot",
            ]
        )
    assert status == 0
    files = sorted((tmp_path / "r").glob("run_*_clients_*.json"))
    assert [file.name.split("_")[1] for file in files] == ["1", "3"]
    result = json.loads(files[1].read_text(encoding="utf-8"))
    assert result.keys() == {"test_id", "timestamp", "test_config", "client_results", "summary"}
    assert result["test_config"].keys() >= {"num_clients", "server_url", "audio_dir"}
    for row in result["client_results"]:
        assert row["success"]
        assert row["wer"] == 0
        assert row["dropped_s"] == 0
        assert row["latency_stats"].keys() == {"min", "max", "mean", "median", "p95"}
        assert row["message_data"][0].keys() == {
            "timestamp",
            "message_num",
            "transcript_part",
            "raw_message",
            "latency",
        }
    summary = result["summary"]
    assert summary["successful_clients"] == summary["target_clients"] == 3
    assert summary.keys() >= {"total_duration", "failed_clients", "total_messages", "avg_audio_duration", "latency"}
    assert "3 clients: 3 ok" in capsys.readouterr().out
    assert next((tmp_path / "r").glob("*.svg")).read_text(encoding="utf-8").startswith("<svg")


def test_unreachable_server_is_a_failed_client_not_a_crash(tmp_path, capsys):
    """The report names the client that failed and the reason, and the exit status is 1."""
    stock.write_wav(tmp_path / "a.wav", tones.speak([["alpha"]]).pcm)
    arguments = ["--num-clients", "1", "--port", "9", "--audio-dir", str(tmp_path), "--results-dir", str(tmp_path)]
    assert load_test_client.main(arguments) == 1
    assert "client 0 (a.wav)" in capsys.readouterr().out


def test_plot_survives_missing_values():
    """A level without any latency is drawn without a point."""
    level: dict[str, Any] = {"target_clients": 1, "wer": None, "first_partial": {}, "latency": {}, "eos_lag": {}}
    assert plot.svg([level]).count("<circle") == 0
