import json

import numpy as np
import pytest

from app.contracts.whisperlive import END_OF_AUDIO
from app.live.protocols.whisperlive.frames import Audio, BadHandshake, Control, EndOfAudio, FrameReader, parse_handshake


def float_frame(values):
    """float32 samples as bytes."""
    return np.asarray(values, dtype="<f4").tobytes()


def audio(reader, frame):
    """The event of a frame, which must be audio."""
    event = reader.read(frame)
    assert isinstance(event, Audio)
    return event


def sent_and_read(reader, frames):
    """All samples in the frames."""
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
        ("[" * 9_000, "not valid JSON"),
        ("[" * 2**23, "too many lists"),
        ('{"uid": "u", "x": [' + "[]," * 2_796_000 + "[]]}", "too many lists"),
        (b'{"uid": "u"' + b',"":0' * 1_677_000 + b"}", "too many lists"),
        ('{"uid": "' + "x" * 9_000_000 + '"}', "characters long"),
        (b"{\xff\xfe", "not valid JSON"),
    ],
)
def test_bad_handshakes_are_explained(frame, says):
    """A first message that is no handshake is refused with a useful reason."""
    with pytest.raises(BadHandshake, match=says):
        parse_handshake(frame)


def test_a_handshake_of_lists_is_refused_without_parsing(monkeypatch):
    """8 MiB of lists would hold the event loop for a second: it is refused by count, with its uid."""
    monkeypatch.setattr(json, "loads", lambda body: pytest.fail("parsed"))
    with pytest.raises(BadHandshake) as refused:
        parse_handshake('{"uid": "u-7", "x": [' + "[]," * 2_796_000 + "[]]}")
    assert refused.value.uid == "u-7"


def test_handshake_in_a_binary_frame():
    """Some clients send their JSON as bytes."""
    assert parse_handshake(b'{"uid": "u"}').uid == "u"


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
    """END_OF_AUDIO ends the stream, as bytes or as text, although twelve bytes could be three samples."""
    assert isinstance(FrameReader().read(frame), EndOfAudio)


def test_end_marker_inside_audio_is_audio():
    """Only the exact frame is END_OF_AUDIO."""
    assert isinstance(FrameReader().read(END_OF_AUDIO + b"\0\0\0\0"), Audio)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_vexa_control_messages(as_bytes):
    """Control messages of Vexa's bots are not audio, in text and in binary frames."""
    payload = {"event_type": "SPEAKER_START", "participant_name": "Ann"}
    frame = json.dumps({"type": "speaker_activity", "payload": payload})
    assert FrameReader().read(frame.encode() if as_bytes else frame) == Control("speaker_activity", payload)


@pytest.mark.parametrize("payload", ["[]", "null", '"text"', "3"])
def test_a_payload_that_is_no_object_is_left_out(payload):
    """The control message itself is known by its type."""
    assert FrameReader().read(f'{{"type": "session_control", "payload": {payload}}}') == Control("session_control")


def test_unknown_text_is_ignored():
    """Text that is not JSON is a control message without a kind, and no error."""
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
    """A frame that lost bytes affects neither the next frame nor the rest of the stream."""
    pcm = np.random.default_rng(1).uniform(-0.5, 0.5, 4096).astype("<f4")
    reader = FrameReader()
    reader.read(pcm.tobytes()[:-1])
    event = audio(reader, pcm.tobytes())
    assert event.misaligned
    assert np.array_equal(event.pcm, (pcm * 32767).astype(np.int16))
    assert np.array_equal(audio(reader, pcm.tobytes()).pcm, event.pcm)


TYPES = {"int16": "<i2", "float32": "<f4"}


def speech(level, seconds=4.0):
    """Something like speech, [n] int16: voiced sound of this peak in syllables, with silences in between."""
    t = np.arange(round(seconds * 16_000)) / 16_000
    voice = sum(np.sin(2 * np.pi * 140 * k * t) / k for k in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    return (level * syllables * voice / np.abs(voice).max()).astype(np.int16)


def noise(level, seconds=4.0):
    """White noise of this RMS level, [n] int16."""
    return np.random.default_rng(3).normal(0, level, round(seconds * 16_000)).clip(-32767, 32767).astype(np.int16)


SOUNDS = {
    "loud": speech(20_000),
    "soft": speech(300),
    "very soft": speech(40),
    "noise": noise(3000),
    "hiss": noise(3),
    "a few bits": noise(3000) // 256 * 256,
    "silence": np.zeros(64_000, np.int16),
    "silence, then speech": np.concatenate([np.zeros(32_000, np.int16), speech(3000)]),
}


def as_format(pcm, audio_format):
    """[n] int16 as the bytes a client of this format sends."""
    return pcm.tobytes() if audio_format == "int16" else (pcm / 32768).astype("<f4").tobytes()


@pytest.mark.parametrize("audio_format", TYPES)
@pytest.mark.parametrize("sound", [name for name in SOUNDS if name not in {"a few bits", "silence"}])
def test_odd_frame_spoils_nothing_behind_it(audio_format, sound):
    """A frame that lost its last byte costs one sample; everything after it is unchanged."""
    pcm = SOUNDS[sound]
    data = as_format(pcm, audio_format)
    size = 4096 * (2 if audio_format == "int16" else 4)
    frames = [data[i : i + size] for i in range(0, len(data), size)]
    frames[1] = frames[1][:-1]
    reader = FrameReader(audio_format)
    read = [audio(reader, frame) for frame in frames]
    lost = sum(event.misaligned for event in read)
    assert lost == 1
    got = np.concatenate([event.pcm for event in read])
    assert len(got) == len(pcm) - 1
    start = 16_384 if sound != "silence, then speech" else 36_864  # in silence there is nothing to tell them apart
    assert np.abs(got[start - 1 :].astype(int) - pcm[start:]).max() <= 1


@pytest.mark.parametrize("cut_off", [1, 2, 3])
def test_odd_float_frames_spoil_nothing(cut_off):
    """The same however many bytes are lost, and when every frame loses some."""
    pcm = SOUNDS["hiss"]
    data = as_format(pcm, "float32")
    reader = FrameReader()
    read = [audio(reader, data[i : i + 16_384][:-cut_off]) for i in range(0, len(data), 16_384)]
    assert [event.misaligned for event in read] == [False] + [True] * (len(read) - 1)
    expected = np.concatenate([pcm[i : i + 4096][:-1] for i in range(0, len(pcm), 4096)])
    assert np.abs(np.concatenate([event.pcm for event in read]).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("audio_format", TYPES)
@pytest.mark.parametrize("sound", SOUNDS)
@pytest.mark.parametrize("size", [1, 331, 20_001])
def test_reframed_sound_is_put_together(audio_format, sound, size):
    """Whatever the sound, bytes that a proxy cut elsewhere are joined, and nothing is dropped."""
    pcm = SOUNDS[sound][: 16 * size]
    data = as_format(pcm, audio_format)
    reader = FrameReader(audio_format)
    read = [audio(reader, data[i : i + size]) for i in range(0, len(data), size)]
    assert not any(event.misaligned for event in read)
    assert np.abs(np.concatenate([event.pcm for event in read]).astype(int) - pcm).max() <= 1


def test_samples_that_are_no_sound():
    """NaN, infinities and absurd values become silence in their place and are counted."""
    event = audio(FrameReader(), float_frame([0.5, np.nan, np.inf, -np.inf, 1e38, 0.25]))
    assert event.pcm.tolist() == [16383, 0, 0, 0, 0, 8191]
    assert event.bad_samples == 4


def test_empty_frame():
    """A frame without bytes is audio without samples."""
    assert len(audio(FrameReader(), b"").pcm) == 0


def test_a_long_text_is_not_read(monkeypatch):
    """A control message of megabytes is ignored without parsing it."""
    monkeypatch.setattr(json, "loads", lambda body: pytest.fail("parsed"))
    assert FrameReader().read('{"type": "' + "x" * 2**17 + '"}') == Control("")


def test_enrolled_voices_fit_in_a_handshake():
    """Three voices of ten seconds, as the stock client sends them, are over a million characters."""
    voices = [{"name": f"v{i}", "audio_base64": "A" * 427_000} for i in range(3)]
    assert parse_handshake(json.dumps({"uid": "u", "known_speakers": voices})).uid == "u"
