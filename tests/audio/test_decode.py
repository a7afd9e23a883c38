"""Decoding: every format gives the same sound, lengths are kept and bounded, damage is survived."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import random
import struct
import tempfile
import tracemalloc
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pytest

from app.audio import ffmpeg
from app.audio.budget import FREE_BYTES, AudioMemory
from app.audio.decode import decode_audio
from app.core.errors import (
    AudioTooLong,
    AudioTooShort,
    AudioUndecodable,
    Cancelled,
    EngineFailure,
    InvalidRequest,
    Overloaded,
)
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from tests.sounds import (
    KINDS,
    Kind,
    encode,
    pcm16,
    riff,
    silence,
    speech,
    strength,
    tone,
    video,
)

FLAC = Kind("flac", "flac")
MP3 = Kind("mp3", "libmp3lame")
WAV = Kind("wav", "pcm_s16le")
CODED = (
    MP3,
    FLAC,
    Kind("adts", "aac"),
    Kind("ogg", "libopus", 48_000),
    Kind("webm", "libopus", 48_000),
    Kind("mp4", "aac"),
    Kind("amr", "libopencore_amrnb", 8_000, "mono", 12_200),
    Kind("asf", "wmav2", bit_rate=96_000),
    Kind("mpegts", "aac"),
    Kind("aiff", "pcm_s16be"),
    Kind("wav", "pcm_f32le"),
)


SPOKEN = (
    Kind("mp3", "libmp3lame", 16_000, "mono"),
    Kind("adts", "aac", 16_000, "mono"),
    Kind("mp4", "aac", 16_000, "mono"),
    Kind("ogg", "libopus", 16_000, "mono"),
    Kind("webm", "libopus", 16_000, "mono"),
    Kind("flac", "flac", 16_000, "mono"),
    Kind("aiff", "pcm_s16be", 16_000, "mono"),
    Kind("asf", "wmav2", 16_000, "mono", 24_000),
    Kind("amr", "libopencore_amrnb", 8_000, "mono", 12_200),
)


def loud(kind: Kind, duration_s: float, hz: float = 440) -> bytes:
    """A file of `kind` with a tone in it."""
    return encode(tone(hz, duration_s, rate_hz=kind.rate_hz), kind)


def count_threads() -> int:
    """Threads of this process, FFmpeg's own included."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())


class Reads(io.BytesIO):
    """An upload that notes how many bytes were read, and how many threads lived meanwhile."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.n_bytes = 0
        self.max_threads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, and take note."""
        block = super().read(size)
        self.n_bytes += len(block)
        self.max_threads = max(self.max_threads, count_threads())
        return block


# What comes out.


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_format_gives_the_same_sound(kind):
    """A second of 440 Hz comes out a second long, at 440 Hz, as loud as it went in."""
    pcm = decode_audio(loud(kind, 1.0), max_audio_s=10)
    assert pcm.dtype == np.float32
    assert pcm.ndim == 1
    assert pcm.size / SAMPLE_RATE_HZ == pytest.approx(1.0, abs=0.12)
    loss = 0.25 if "amr" in kind.codec else 0.1  # AMR is made for voices, not for tones
    assert strength(pcm[4_000:12_000], 440) == pytest.approx(0.4, rel=loss)


@pytest.mark.parametrize("container", ["mp4", "matroska", "mov", "avi", "mpegts"])
def test_sound_of_a_video_is_decoded(container):
    """A film gives its sound."""
    film = video(tone(440, 1.0, rate_hz=44_100), container=container)
    pcm = decode_audio(film, max_audio_s=10)
    assert strength(pcm[4_000:12_000], 440) == pytest.approx(0.4, rel=0.1)


def test_first_of_several_sounds_is_taken():
    """A film with two sound tracks gives the first, undisturbed by the second."""
    film = video(tone(440, 1.0, rate_hz=44_100), tone(1_000, 1.0, rate_hz=44_100), container="matroska")
    pcm = decode_audio(film, max_audio_s=10)[4_000:12_000]
    assert strength(pcm, 440) == pytest.approx(0.4, rel=0.1)
    assert strength(pcm, 1_000) < 0.01


@pytest.mark.parametrize("rate_hz", [4_000, 7_999, 8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 384_000])
def test_any_rate_is_resampled_to_16k(rate_hz):
    """Length and pitch survive from every rate in the allowed range."""
    file = riff(pcm16(tone(440, 1.0, rate_hz=rate_hz)), rate_hz=rate_hz)
    pcm = decode_audio(file, max_audio_s=10)
    assert abs(pcm.size - SAMPLE_RATE_HZ) <= 4
    assert strength(pcm[4_000:12_000], 440) == pytest.approx(0.4, rel=0.01)


def test_resampling_is_clean():
    """1 kHz from 44.1 kHz lands within -60 dB of the ideal; 12 kHz from 48 kHz does not fold back."""
    kept = decode_audio(riff(pcm16(tone(1_000, 1.0, rate_hz=44_100)), rate_hz=44_100), max_audio_s=10)
    error = kept[1_000:15_000] - tone(1_000, 1.0)[1_000:15_000]
    assert float(np.abs(error).max()) < 0.0004
    folded = decode_audio(riff(pcm16(tone(12_000, 1.0, rate_hz=48_000)), rate_hz=48_000), max_audio_s=10)
    assert float(np.abs(folded[1_000:15_000]).max()) < 0.0004


@pytest.mark.parametrize("channels", range(1, 9))
@pytest.mark.parametrize("container", ["wav", "flac"])
def test_channels_are_mixed_without_clipping(container, channels):
    """The same tone on every channel, whatever the layout, comes out at its own loudness or less."""
    layout = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")[channels - 1]
    codec = "pcm_s16le" if container == "wav" else "flac"
    file = encode(tone(440, 0.5, amplitude=1.0), Kind(container, codec, 16_000, layout))
    pcm = decode_audio(file, max_audio_s=10)[2_000:6_000]
    assert 0.9 < strength(pcm, 440) < 1.01
    assert float(np.abs(pcm).max()) <= 1.0


def test_stereo_is_averaged():
    """A voice on one side is half as loud; opposite phases cancel."""
    one = tone(440, 0.5)
    left = encode(np.stack([one, 0 * one]), Kind("wav", "pcm_s16le", 16_000))
    opposite = encode(np.stack([one, -one]), Kind("wav", "pcm_s16le", 16_000))
    assert strength(decode_audio(left, max_audio_s=10), 440) == pytest.approx(0.2, rel=0.01)
    assert float(np.abs(decode_audio(opposite, max_audio_s=10)).max()) < 0.001


def test_a_change_of_rate_on_the_way_is_followed():
    """Two MP3 files behind one another, 44.1 kHz stereo then 22.05 kHz mono, give both sounds."""
    first, second = loud(MP3, 1.0, 440), loud(Kind("mp3", "libmp3lame", 22_050, "mono"), 1.0, 1_000)
    pcm = decode_audio(first + second, max_audio_s=10)
    assert pcm.size / SAMPLE_RATE_HZ == pytest.approx(2.0, abs=0.2)
    assert strength(pcm[4_000:12_000], 440) == pytest.approx(0.4, rel=0.1)
    assert strength(pcm[-12_000:-4_000], 1_000) == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e38])
def test_floats_are_cleaned(rate_hz, bad):
    """NaN, infinities and excess become finite samples in [-1, 1]; the sound around them stays."""
    samples = tone(440, 1.0, rate_hz=rate_hz)
    samples[rate_hz // 4 : rate_hz // 4 + 100] = bad
    pcm = decode_audio(riff(samples.tobytes(), rate_hz=rate_hz, bits=32, tag=3), max_audio_s=10)
    assert bool(np.isfinite(pcm).all())
    assert float(np.abs(pcm).max()) <= 1.0
    assert strength(pcm[8_000:15_000], 440) == pytest.approx(0.4, rel=0.01)


@pytest.mark.parametrize("name", ["en-10.wav", "de-00.wav", "es-00.wav", "silence.wav", "noise.wav"])
def test_speech_file_is_read_exactly(name):
    """The samples of a real 16 kHz file are those another reader finds."""
    file = speech(name)
    start = file.index(b"data") + 8
    expected = np.frombuffer(file[start:], "<i2").astype(np.float32) / 32768
    assert np.array_equal(decode_audio(file, max_audio_s=60), expected)


@pytest.mark.parametrize("kind", SPOKEN, ids=str)
def test_speech_survives_every_codec(kind):
    """Coded speech rises and falls with the original, give or take a codec's run-in."""
    original = decode_audio(speech("en-18.wav"), max_audio_s=60)
    pcm = decode_audio(encode(original[:: 16_000 // kind.rate_hz], kind), max_audio_s=60)
    assert pcm.size == pytest.approx(original.size, abs=3_200)
    starts = [(0, late) for late in range(0, 1_600, 200)] + [(early, 0) for early in range(0, 2_400, 200)]
    assert max(np.corrcoef(levels(original[i:]), levels(pcm[j:]))[0, 1] for i, j in starts) > 0.9


def levels(pcm: Pcm) -> Pcm:
    """Loudness of each twentieth of the first 2.8 s."""
    return cast("Pcm", np.sqrt((pcm[: 56 * 800].reshape(56, 800) ** 2).mean(axis=1)))


# What goes in.


def test_bytes_and_files_are_the_same():
    """Bytes, a spooled file in memory, one on disk and a named file give the same samples."""
    data = loud(MP3, 0.5)
    expected = decode_audio(data, max_audio_s=10)
    for max_size in (len(data) + 1, 1):
        with tempfile.SpooledTemporaryFile(max_size) as spooled:
            spooled.write(data)
            assert np.array_equal(decode_audio(cast("BinaryIO", spooled), max_audio_s=10), expected)
            assert not spooled.closed
    with tempfile.NamedTemporaryFile() as named:
        named.write(data)
        assert np.array_equal(decode_audio(cast("BinaryIO", named), max_audio_s=10), expected)


def test_id3_tags_are_passed_over():
    """Tags before an MP3, several and large ones, do not change its sound."""
    plain = loud(MP3, 0.5)
    tag = b"ID3\4\0\0" + bytes([0, 8, 0, 0]) + os.urandom(8 << 14)
    footed = b"ID3\4\0\x10" + bytes([0, 0, 0, 5]) + b"\0" * 15
    assert np.array_equal(decode_audio(tag + footed + plain, max_audio_s=10), decode_audio(plain, max_audio_s=10))


@pytest.mark.parametrize("file", [io.BytesIO(b"x"), io.BytesIO(b"")])
def test_unreadable_source_is_not_the_callers_fault(file):
    """A file that was closed underneath is an engine failure, not bad audio."""
    file.close()
    with pytest.raises(EngineFailure):
        decode_audio(file, max_audio_s=10)


@pytest.mark.parametrize("data", [loud(MP3, 2.0), riff(pcm16(silence(2.0)))])
def test_source_that_fails_on_the_way_is_not_the_callers_fault(data):
    """A disk that fails after the header is an engine failure too."""

    class Failing(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            if offset > 4_000:
                raise OSError("disk")
            return super().seek(offset, whence)

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() + (size or 0) > 40_000:
                raise OSError("disk")
            return super().read(size)

    with pytest.raises(EngineFailure):
        decode_audio(Failing(data), max_audio_s=10)


# Lengths.


@pytest.mark.parametrize("n_samples", [0, 1, 160, 1_599])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_under_a_tenth_of_a_second_is_too_short(rate_hz, n_samples):
    """Down to no samples at all, and the message gives the length."""
    file = riff(pcm16(tone(440, n_samples / 16_000, rate_hz=rate_hz)), rate_hz=rate_hz)
    with pytest.raises(AudioTooShort, match=rf"{n_samples / 16_000:.3f} s long; send at least 0.1 s"):
        decode_audio(file, max_audio_s=10)


def test_a_tenth_of_a_second_is_enough():
    """The floor itself is accepted."""
    assert decode_audio(riff(pcm16(tone(440, 0.1))), max_audio_s=10).size == 1_600


@pytest.mark.parametrize("kind", [*CODED, Kind("wav", "pcm_s16le", 16_000, "mono")], ids=str)
def test_over_the_limit_is_too_long(kind):
    """The message names the limit and the setting that moves it."""
    with pytest.raises(AudioTooLong, match=r"longer than 1\.5 s.*MAX_AUDIO_SECONDS"):
        decode_audio(loud(kind, 2.0), max_audio_s=1.5)


@pytest.mark.parametrize("kind", [FLAC, MP3, WAV, Kind("ogg", "libopus", 48_000)], ids=str)
def test_the_limit_itself_is_accepted(kind):
    """Audio exactly as long as allowed is decoded, whatever its codec adds at the ends."""
    assert decode_audio(loud(kind, 2.0), max_audio_s=2.0).size == 2 * SAMPLE_RATE_HZ


@pytest.mark.parametrize(
    ("actual_s", "declared_samples"), [(1.0, 44_100 * 36_000), (1.0, 10), (1.0, 0)], ids=["10h", "10", "0"]
)
def test_declared_length_is_not_believed(actual_s, declared_samples):
    """A FLAC header that lies about its length, either way, changes nothing."""
    file = bytearray(loud(FLAC, actual_s))
    at = file.index(b"fLaC") + 8 + 10  # STREAMINFO: ten bytes, then rate, channels, bits, 36 bits of length
    (packed,) = struct.unpack_from(">Q", file, at)
    struct.pack_into(">Q", file, at, packed >> 36 << 36 | declared_samples)
    assert decode_audio(bytes(file), max_audio_s=2.0).size == SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def silent_hours() -> dict[str, bytes]:
    """Ten hours of silence, in a few megabytes each."""
    opus = encode(silence(60, rate_hz=48_000), Kind("ogg", "libopus", 48_000, "mono"), options={"frame_duration": "60"})
    flac = encode(silence(60, rate_hz=8_000), Kind("flac", "flac", 8_000, "mono"))
    aac = encode(silence(60, rate_hz=8_000), Kind("adts", "aac", 8_000, "mono"))
    frames = flac[flac.index(b"\xff\xf8") :]
    return {"opus": opus * 600, "flac": flac + frames * 599, "aac": aac * 600}


@pytest.mark.parametrize("codec", ["opus", "flac", "aac"])
def test_silence_bomb_stops_at_the_limit(silent_hours, codec):
    """Ten hours in 6 MB: refused after reading little, with memory for the allowed minute only."""
    upload = Reads(silent_hours[codec])
    tracemalloc.start()
    with pytest.raises(AudioTooLong):
        decode_audio(upload, max_audio_s=60)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2 * 60 * SAMPLE_RATE_HZ * 4
    assert upload.n_bytes < 400_000


@pytest.mark.parametrize("kind", [k for k in KINDS if k.container in ("mp3", "flac", "ogg", "webm", "mp4")], ids=str)
def test_long_files_that_say_so_are_not_decoded(monkeypatch, kind):
    """A file with its length in the header and sound behind the limit is refused without decoding."""
    monkeypatch.setattr(ffmpeg, "_decode_frames", None)
    with pytest.raises(AudioTooLong):
        decode_audio(loud(kind, 5.0), max_audio_s=2.0)


def noise(duration_s: float, *, rate_hz: int) -> Pcm:
    """Hiss, which no codec makes small."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.1, 0.1, round(duration_s * rate_hz)).astype(np.float32)


def test_a_long_file_that_was_cut_is_decoded():
    """A header of twenty seconds with two behind it is two seconds, and not over a limit of ten."""
    file = encode(noise(20, rate_hz=44_100), WAV)[: 44 + 2 * 44_100 * 4]
    assert decode_audio(file, max_audio_s=10).size == pytest.approx(2 * SAMPLE_RATE_HZ, abs=2_000)
    flac = encode(noise(20, rate_hz=44_100), FLAC)
    assert decode_audio(flac[: len(flac) // 10], max_audio_s=10).size == pytest.approx(2 * SAMPLE_RATE_HZ, rel=0.2)


@pytest.mark.parametrize("kind", [MP3, WAV, Kind("wav", "pcm_s16le", 16_000, "mono")], ids=str)
def test_memory_is_less_than_twice_the_result(kind):
    """Forty seconds are decoded in little more than what they come to."""
    file = encode(silence(40, rate_hz=kind.rate_hz), kind)
    tracemalloc.start()
    pcm = decode_audio(file, max_audio_s=600)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2 * pcm.nbytes


@pytest.mark.parametrize("kind", [WAV, FLAC], ids=str)
def test_long_files_share_a_bound_until_they_are_freed(kind):
    """One and a half minute fill it: the second file is refused with a retry, and accepted once the first is freed."""
    sound = encode(silence(90, rate_hz=kind.rate_hz), kind)
    memory = AudioMemory(30 * SAMPLE_RATE_HZ * 4)
    first = decode_audio(sound, max_audio_s=3600, memory=memory)
    part = first[:10]
    with pytest.raises(Overloaded):
        decode_audio(sound, max_audio_s=3600, memory=memory)
    assert memory._held_bytes == first.nbytes - FREE_BYTES
    del first
    assert memory._held_bytes > 0, "a part keeps all of it"
    del part
    assert memory._held_bytes == 0
    assert decode_audio(sound, max_audio_s=3600, memory=memory).size == 90 * SAMPLE_RATE_HZ


def test_a_file_that_is_refused_gives_its_memory_back():
    """Too long for this server: nothing stays counted."""
    memory = AudioMemory(1 << 30)
    with pytest.raises(AudioTooLong):
        decode_audio(
            encode(silence(150, rate_hz=8_000), Kind("adts", "aac", 8_000, "mono")), max_audio_s=120, memory=memory
        )
    assert memory._held_bytes == 0


def test_time_over_budget_is_given_up():
    """With no time left decoding stops with an error that names the reason."""
    with pytest.raises(AudioUndecodable, match="no audio was decoded in time"):
        decode_audio(loud(MP3, 1.0), max_audio_s=10, budget_s=0)


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_budget_ends_decoding_on_the_way(monkeypatch, rate_hz):
    """When the clock passes the budget mid-file, what was decoded is not passed off as the whole."""
    upload = Reads(riff(pcm16(silence(600.0, rate_hz=rate_hz)), rate_hz=rate_hz))
    monkeypatch.setattr("app.audio.decode.time.monotonic", lambda: upload.n_bytes / 1e6)
    with pytest.raises(AudioUndecodable, match=r"given up after (8|10) s"):
        decode_audio(upload, max_audio_s=1_000, budget_s=8)
    assert upload.n_bytes < 12e6


def test_budget_grows_with_the_sound_that_comes(monkeypatch):
    """Hours that decode steadily are not given up for being hours."""
    upload = Reads(riff(pcm16(silence(600.0, rate_hz=44_100)), rate_hz=44_100))
    monkeypatch.setattr("app.audio.decode.time.monotonic", lambda: upload.n_bytes / 5e6)  # 57 times real time
    assert decode_audio(upload, max_audio_s=1_000, budget_s=2).size == 600 * SAMPLE_RATE_HZ


def test_a_file_without_sound_is_given_up_early(monkeypatch):
    """What keeps FFmpeg busy before any sound comes has under a second of computing, not the whole budget."""
    upload = Reads(b"RF64" + riff(pcm16(silence(1.0, rate_hz=44_100)), rate_hz=44_100)[4:])
    monkeypatch.setattr("app.audio.decode.time.thread_time", lambda: upload.n_bytes / 1e3)
    with pytest.raises(AudioUndecodable, match="no audio was decoded in time"):
        decode_audio(upload, max_audio_s=1_000, budget_s=60)


def test_a_loaded_machine_refuses_no_file(monkeypatch):
    """Waiting for the CPU is not counted: before the first samples only the thread's CPU time is."""
    upload = Reads(loud(MP3, 1.0))
    monkeypatch.setattr("app.audio.decode.time.monotonic", lambda: upload.n_bytes / 1e3)
    assert decode_audio(upload, max_audio_s=10, budget_s=1e6).size


class Caller:
    """A caller who leaves after `cancelled` was called a number of times."""

    def __init__(self, n_calls: int) -> None:
        self.n_left = n_calls

    def has_left(self) -> bool:
        """The `cancelled` of the decoder."""
        self.n_left -= 1
        return self.n_left < 0


@pytest.mark.parametrize("n_calls", [0, 1, 2, 5])
@pytest.mark.parametrize("kind", [WAV, MP3, FLAC, Kind("wav", "pcm_s16le", 16_000, "mono")], ids=str)
def test_decoding_stops_when_the_caller_has_left(kind: Kind, n_calls: int):
    """Wherever decoding is, it ends with Cancelled, and what was counted for the samples is given back."""
    caller, memory = Caller(n_calls), AudioMemory(1 << 30)
    upload = Reads(encode(silence(60.0, rate_hz=kind.rate_hz), kind))
    with pytest.raises(Cancelled):
        decode_audio(upload, max_audio_s=1_000, memory=memory, cancelled=caller.has_left)
    assert caller.n_left == -1, "once it is True, it is not called again"
    assert memory._held_bytes == 0


def test_an_hour_of_silence_is_not_decoded_for_a_caller_who_has_left():
    """A file of a few reads can hold hours: `cancelled` is called after every second of audio, too."""
    caller = Caller(30)
    upload = encode(silence(3600.0, rate_hz=8_000), Kind("flac", "flac", 8_000, "mono"))
    with pytest.raises(Cancelled):
        decode_audio(upload, max_audio_s=14_400, cancelled=caller.has_left)
    assert caller.n_left == -1


# Damage.


@pytest.mark.parametrize("percent", [1, 50, 99])
@pytest.mark.parametrize("kind", CODED, ids=str)
def test_truncated_file_gives_its_readable_part(kind, percent):
    """A cut file is decoded as far as it goes, or refused as ours; streams keep nearly all."""
    whole = loud(kind, 4.0)
    try:
        pcm = decode_audio(whole[: len(whole) * percent // 100], max_audio_s=10)
    except InvalidRequest:
        assert percent == 1 or kind.container == "mp4"  # its index stands at the end
    else:
        page_s = 1.0 if kind.container == "ogg" else 0.5  # Ogg loses the page that was cut
        assert pcm.size / SAMPLE_RATE_HZ > 4.0 * percent / 100 - page_s


@pytest.mark.parametrize("kind", [k for k in CODED if not k.codec.startswith("pcm")], ids=str)
def test_damage_in_the_middle_is_skipped(kind):
    """Noise over a twentieth of the file costs its page or cluster; the sound after it is kept."""
    file = bytearray(loud(kind, 20.0))
    start, length = len(file) // 2, len(file) // 20
    file[start : start + length] = random.Random(1).randbytes(length)  # noqa: S311 - damage, not a secret
    pcm = decode_audio(bytes(file), max_audio_s=40)
    assert 14.9 < pcm.size / SAMPLE_RATE_HZ < 21.0  # WebM goes on at its next cluster, 5 s later
    loss = 0.25 if "amr" in kind.codec else 0.1
    assert strength(pcm[4_000:16_000], 440) == pytest.approx(0.4, rel=loss)
    assert strength(pcm[-16_000:-4_000], 440) == pytest.approx(0.4, rel=loss)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_mutated_files_never_raise_a_strangers_error(kind):
    """Flipped bytes, holes and wrong sizes give samples or one of our refusals, nothing else."""
    whole = loud(kind, 0.25)
    rng = random.Random(str(kind))  # noqa: S311 - damage, not a secret
    for attempt in range(8):
        file = bytearray(whole)
        if attempt % 3 == 0:
            del file[rng.randrange(len(file)) :][: rng.randrange(1, 500)]
        for _ in range(rng.choice([1, 10, 100])):
            span = len(file) if attempt % 2 else min(len(file), 512)
            at = rng.randrange(max(1, span - 4))
            file[at : at + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", rng.randbytes(4)])
        try:
            pcm = decode_audio(bytes(file), max_audio_s=600)
        except InvalidRequest:
            continue
        assert bool(np.isfinite(pcm).all())


# What stays behind.


@pytest.mark.parametrize("data", [loud(MP3, 0.5), video(tone(440, 1.0, rate_hz=44_100)), loud(MP3, 0.5)[:90]])
def test_nothing_is_left_for_the_garbage_collector(data):
    """FFmpeg's memory goes with the call: no cycle of PyAV objects waits for a collection."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        with contextlib.suppress(InvalidRequest):
            decode_audio(data, max_audio_s=10)
        gc.collect()
        left = [type(item).__module__ for item in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert [name for name in left if name.startswith("av")] == []


def test_decoding_starts_no_threads():
    """Audio is decoded on the calling thread, however many cores there are."""
    threads = count_threads()
    upload = Reads(loud(FLAC, 5.0))
    decode_audio(upload, max_audio_s=10)
    assert upload.max_threads == threads
