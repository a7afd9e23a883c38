import io
import wave

from app.live.wav import SHORTEST_SAMPLES, encode_wav


def test_wav_is_read_back():
    """Any WAV reader finds 16 kHz mono 16-bit samples, bit for bit."""
    pcm = bytes(range(256)) * 100
    with wave.open(io.BytesIO(encode_wav(pcm))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(10**6) == pcm


def test_header_is_44_bytes():
    """The layout the service reads without a codec."""
    assert len(encode_wav(b"\1\0" * 16_000)) == 44 + 32_000


def test_very_short_audio_is_lengthened():
    """A click at the end of a stream is followed by silence, so that no service calls it too short."""
    wav = encode_wav(b"\1\0" * 10)
    assert len(wav) == 44 + 2 * SHORTEST_SAMPLES
    assert wav[44:64] == b"\1\0" * 10
    assert not any(wav[64:])
