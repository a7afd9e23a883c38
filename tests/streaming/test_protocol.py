import json

import numpy as np
import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.streaming.protocol import Audio, BadHandshake, Control, EndOfAudio, FrameReader, parse_hello


def float_frame(values):
    """float32 samples as bytes."""
    return np.asarray(values, dtype="<f4").tobytes()


def audio(reader, frame):
    """What the reader makes of a frame, which must be audio."""
    event = reader.read(frame)
    assert isinstance(event, Audio)
    return event


def sent_and_read(reader, frames):
    """All samples the frames hold."""
    return np.concatenate([event.pcm for frame in frames if isinstance(event := reader.read(frame), Audio)])


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"\0" * 400, "audio came first"),
        ("", "not valid JSON"),
        ("{", "not valid JSON"),
        ("[1]", "JSON object"),
        ("null", "JSON object"),
        ('{"uid": [1]}', "uid"),
        ('{"uid": "u", "audio_format": "opus"}', "audio_format"),
        ("[" * 100_000, "not valid JSON"),
        ('{"uid": "' + "x" * 2_000_000 + '"}', "characters long"),
        (b"{\xff\xfe", "not valid JSON"),
    ],
)
def test_bad_handshakes_are_explained(frame, says):
    """Whatever comes first instead of a handshake is refused with a reason a person can use."""
    with pytest.raises(BadHandshake, match=says):
        parse_hello(frame)


def test_handshake_in_a_binary_frame():
    """Some clients send their JSON as bytes."""
    assert parse_hello(b'{"uid": "u"}').uid == "u"


def test_float_frames():
    """float32 little-endian in [-1, 1], the default."""
    event = audio(FrameReader(), float_frame([0.0, 0.5, -1.0, 2.0]))
    assert event.pcm.tolist() == [0, 16383, -32767, 32767]


@pytest.mark.parametrize(
    ("audio_format", "frame"),
    [("int16", np.array([0, 16384, -32768], "<i2").tobytes()), ("uint8", bytes([128, 192, 0]))],
)
def test_other_formats(audio_format, frame):
    """int16 and uint8 mean the same sound."""
    event = audio(FrameReader(audio_format), frame)
    assert event.pcm == pytest.approx([0, 16383, -32767], abs=2)


@pytest.mark.parametrize("frame", [END_OF_AUDIO, END_OF_AUDIO.decode(), "END_OF_AUDIO\n"])
def test_end_marker(frame):
    """The marker ends the stream, as bytes or as text, though twelve bytes would be three samples."""
    assert isinstance(FrameReader().read(frame), EndOfAudio)


def test_end_marker_inside_audio_is_audio():
    """Only the exact frame is the marker."""
    assert isinstance(FrameReader().read(END_OF_AUDIO + b"\0\0\0\0"), Audio)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_vexa_control_messages(as_bytes):
    """Control messages of Vexa's bots are no audio, in text and in binary frames."""
    frame = json.dumps({"type": "speaker_activity", "payload": {"event_type": "SPEAKER_START"}})
    assert FrameReader().read(frame.encode() if as_bytes else frame) == Control("speaker_activity")


def test_unknown_text_is_ignored():
    """Text that is no JSON is a control message of no kind, and kills nothing."""
    assert FrameReader().read("hello?") == Control("")


def test_audio_that_begins_like_json_is_audio():
    """A sample may begin with a brace."""
    frame = b'{"' + b"\0" * 60 + b"}" + b"\0"
    assert isinstance(FrameReader().read(frame), Audio)
    assert isinstance(FrameReader().read(b'{"' + b"\0" * 61 + b"}"), Audio)


@pytest.mark.parametrize("size", [1, 3, 7, 1001, 4099])
def test_reframed_audio_is_put_together(size):
    """A proxy that cuts the bytes anywhere changes nothing."""
    pcm = np.random.default_rng(1).uniform(-0.5, 0.5, 5000).astype("<f4")
    data = pcm.tobytes()
    read = sent_and_read(FrameReader(), [data[i : i + size] for i in range(0, len(data), size)])
    assert np.array_equal(read, (pcm * 32767).astype(np.int16))


def test_lost_byte_is_noticed_and_survived():
    """A frame that lost bytes spoils neither the next frame nor the rest of the stream."""
    pcm = np.random.default_rng(1).uniform(-0.5, 0.5, 4096).astype("<f4")
    reader = FrameReader()
    reader.read(pcm.tobytes()[:-1])
    event = audio(reader, pcm.tobytes())
    assert event.misaligned
    assert np.array_equal(event.pcm, (pcm * 32767).astype(np.int16))
    assert np.array_equal(audio(reader, pcm.tobytes()).pcm, event.pcm)


def test_samples_that_are_no_sound():
    """NaN, infinities and absurd values become silence in their place and are counted."""
    event = audio(FrameReader(), float_frame([0.5, np.nan, np.inf, -np.inf, 1e38, 0.25]))
    assert event.pcm.tolist() == [16383, 0, 0, 0, 0, 8191]
    assert event.bad_samples == 4


def test_empty_frame():
    """A frame without bytes is audio without samples."""
    assert len(audio(FrameReader(), b"").pcm) == 0
