import pytest

from bench.accuracy import transcribers
from bench.accuracy.model import real_model
from bench.accuracy.recordings import Recording, recordings_in
from bench.accuracy.scores import Scored, scored, summaries
from bench.clips import SAMPLES
from bench.processes import ROOT

pytestmark = pytest.mark.slow

HUMAN = ROOT.parent / "shared" / "audio" / "human"
DEMO = ROOT / "models" / "demo"
# A command, a number, read speech in good and bad conditions, accents, a podcast and a call; 70 s in all.
CLIPS = (
    "cheetah_norm_en.flac",
    "leopard_en.flac",
    "long_pyannote_sample_phone.flac",
    "ls_1688-142285-0003.flac",
    "mfa_podcast_us_5.flac",
    "s2p_what_s_the_weather_like_in_new_york.flac",
    "vctk_p225_011.flac",
    "wenet_librispeech-1995-1837-0001.flac",
)
QUIET = ("ns_silence.flac", "ns_noise2.flac")
# Measured: 6.2 % and 10.3 %.
MOST_WER_REAL, MOST_WER_DEMO = 0.10, 0.20
N_DEMO = 12


def transcribed(model: str, recordings: list[Recording]) -> list[Scored]:
    """Every recording through the engine as the environment configures it."""
    transcriber = transcribers.engine(model)
    try:
        return [scored(each, transcriber.transcribe(each.path, each.language)) for each in recordings]
    finally:
        transcriber.close()


def chosen() -> tuple[str, list[Recording], float]:
    """A real model and recordings of people where both are here, else the demo model and its samples."""
    model = real_model()
    if model is not None and (HUMAN / "manifest.json").is_file():
        return str(model), [each for each in recordings_in(HUMAN) if each.path.name in CLIPS + QUIET], MOST_WER_REAL
    spoken = [each for each in recordings_in(SAMPLES) if each.counts][:N_DEMO]
    quiet = [each for each in recordings_in(SAMPLES) if not each.has_speech]
    return str(DEMO), spoken + quiet, MOST_WER_DEMO


def test_speech_is_transcribed_and_silence_is_not():
    """The word error rate stays under a bound with margin, and recordings without speech give no text."""
    model, recordings, most_wer = chosen()
    (summary,) = summaries({"engine": transcribed(model, recordings)}, baseline=None, reference=None)
    assert summary.errors.words > 40, f"{len(recordings)} recordings found"
    assert summary.errors.rate is not None
    assert summary.errors.rate <= most_wer, summary
    assert summary.non_speech_files == ()
