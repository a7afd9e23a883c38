import io

import ctranslate2
import pytest
from faster_whisper import WhisperModel

from bench.clips import clips
from bench.random_model import write_model
from bench.random_vocabulary import N_TEXT_TOKENS, build_vocabulary

N_TOKENS = 12


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A random tiny model."""
    path = tmp_path_factory.mktemp("model")
    write_model("tiny", path, n_tokens=N_TOKENS)
    return path


@pytest.mark.parametrize("clip_s", [2, 30])
def test_says_as_much_as_it_was_made_to(directory, clip_s):
    """Every window gets one segment of exactly so many words, at temperature 0, whatever the audio."""
    whisper = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    segments, info = whisper.transcribe(io.BytesIO(clips(clip_s, 1)[0]))
    (segment,) = segments
    assert info.language == "en"
    assert len(segment.text.split()) == N_TOKENS
    assert segment.temperature == 0.0
    assert segment.compression_ratio < 2.4
    assert segment.avg_logprob > -1.0


def test_has_the_real_dimensions(directory):
    """It counts as multilingual, with 80 mel bands, as the real tiny does."""
    model = ctranslate2.models.Whisper(str(directory), device="cpu")
    assert model.is_multilingual
    assert model.n_mels == 80


def test_is_deterministic(directory, tmp_path):
    """The same arguments give the same bytes; another seed gives others."""
    write_model("tiny", tmp_path / "same", n_tokens=N_TOKENS)
    write_model("tiny", tmp_path / "other", n_tokens=N_TOKENS, seed=1)
    weights = (directory / "model.bin").read_bytes()
    assert (tmp_path / "same" / "model.bin").read_bytes() == weights
    assert (tmp_path / "other" / "model.bin").read_bytes() != weights


@pytest.mark.parametrize(("size", "n_tokens"), [("huge", 10), ("tiny", 0), ("tiny", 300)])
def test_refuses_what_cannot_be(tmp_path, size, n_tokens):
    """An unknown size or a number of tokens that no window holds is named."""
    with pytest.raises(ValueError, match=f"{size}|{n_tokens}"):
        write_model(size, tmp_path, n_tokens=n_tokens)


@pytest.mark.parametrize(("n_languages", "size"), [(99, 51_865), (100, 51_866)])
def test_vocabulary_has_whispers_layout(n_languages, size):
    """As many tokens as the real one, none twice, the control tokens where Whisper has them."""
    vocabulary = build_vocabulary(n_languages)
    assert len(vocabulary.tokens) == len(set(vocabulary.tokens)) == size
    assert vocabulary.id_of("<|endoftext|>") == N_TEXT_TOKENS == 50_257
    assert vocabulary.id_of("<|startoftranscript|>") == 50_258
    assert vocabulary.first_timestamp == size - 1501
