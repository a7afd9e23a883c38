import json
import os

import pytest

from bench import run
from bench.accuracy.recordings import recordings_in
from bench.clips import SAMPLES, clips
from bench.http_load import run_round
from bench.identity import short_samples


@pytest.mark.parametrize(("clip_s", "expected"), [(30, 100), (15, 50), (5, 17)])
def test_a_clip_says_as_much_as_speech_would(clip_s, expected):
    """Ten tokens in three seconds."""
    assert run.n_tokens(clip_s) == expected


@pytest.mark.parametrize("clients", [1, 2, 4, 8, 16])
def test_every_client_has_something_to_send(clients):
    """No round is smaller than its number of clients."""
    assert run.FULL.n_requests(clients) >= clients
    assert run.QUICK.n_requests(clients) >= clients


def test_the_command_line_changes_the_plan():
    """Loads, lengths, rounds and requests are those that were asked for."""
    plan = run.plan_of(run.parse(["--clips", "7", "--clients", "8", "--rounds", "3", "--requests", "4"]))
    assert (plan.clips_s, plan.clients, plan.rounds, plan.n_requests(8)) == ((7,), (8,), 3, 32)


def test_workers_differ_by_encoder_and_audio_context():
    """A window of 30 s has no shorter form; OpenVINO is measured only on request, and only in its own worker."""
    assert list(run.workers_of(run.parse([]), 30)) == ["worker"]
    assert list(run.workers_of(run.parse([]), 7)) == ["worker", "worker auto"]
    workers = run.workers_of(run.parse(["--openvino", "--worker-env", "BEAM_SIZE=1"]), 30)
    assert [each["ENCODER"] for each in workers.values()] == ["ctranslate2", "openvino"]
    assert {each["BEAM_SIZE"] for each in workers.values()} == {"1"}


def test_clips_are_exact_and_differ():
    """Each is a WAV of exactly so many samples, and no two are alike."""
    made = clips(5, 8)
    assert [len(clip) for clip in made] == [44 + 5 * 16_000 * 2] * 8
    assert len(set(made)) == 8


def test_clips_of_recordings_are_cut_from_long_enough_ones(tmp_path):
    """Each clip is of one English recording; a length that none has is refused."""
    samples = sorted(SAMPLES.glob("en-*.wav"))[:3]
    entries = [{"file": each.name, "text": "words", "language": "en", "seconds": 2} for each in samples]
    for each in samples:
        (tmp_path / each.name).write_bytes(each.read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    made = clips(1, 2, tmp_path)
    assert [len(clip) for clip in made] == [44 + 16_000 * 2] * 2
    assert len(set(made)) == 2
    with pytest.raises(ValueError, match="no English recording has 60 s"):
        clips(60, 2, tmp_path)


def test_load_stays_on_this_machine():
    """A server anywhere else is refused before a byte is sent."""
    with pytest.raises(ValueError, match="on this machine"):
        run_round("http://example.org", os.getpid(), [], clients=1, n_requests=1, limit_s=1, fields={})


def test_samples_have_texts():
    """The samples of the tests serve both measurements of text; only short ones are compared word for word."""
    samples = [recording for recording in recordings_in(SAMPLES) if recording.has_speech]
    assert samples
    assert all(sample.path.is_file() for sample in samples)
    assert 0 < len(short_samples()) < len(samples)
