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
    assert run.n_requests(clients, quick=False) >= clients
    assert run.n_requests(clients, quick=True) >= clients


def test_clips_are_exact_and_differ():
    """Each is a WAV of exactly so many samples, and no two are alike."""
    made = clips(5, 8)
    assert [len(clip) for clip in made] == [44 + 5 * 16_000 * 2] * 8
    assert len(set(made)) == 8


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
