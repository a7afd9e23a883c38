import asyncio
import wave

import numpy as np
import pytest

from app.live.client.sources import UnreadableAudio, paced, read_wav, resample, standard_input
from tests.live import virtual


def write(path, samples, *, rate=16_000, channels=1, width=2):
    """A WAV file of these samples."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tone(seconds, rate, hz=440):
    """A sine at half of full scale."""
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def test_plain_wav_is_read_as_it_is(tmp_path):
    """A 16 kHz mono 16-bit file gives the same samples, except for the last bit."""
    samples = (tone(1, 16_000) * 32767).astype("<i2")
    assert np.abs(read_wav(write(tmp_path / "a.wav", samples)) - samples).max() <= 1


@pytest.mark.parametrize(("rate", "channels", "width"), [(44_100, 2, 2), (8_000, 1, 2), (48_000, 1, 4), (16_000, 1, 1)])
def test_other_wavs_sound_the_same(tmp_path, rate, channels, width):
    """Other rates, channels and widths give the same tone at 16 kHz mono."""
    mono = tone(1, rate)
    scaled = mono * 127 + 128 if width == 1 else mono * (2 ** (8 * width - 1) - 1)
    samples = np.repeat(scaled.astype({1: "u1", 2: "<i2", 4: "<i4"}[width])[:, None], channels, axis=1)
    samples_read = read_wav(write(tmp_path / "a.wav", samples, rate=rate, channels=channels, width=width)) / 32767
    middle = slice(2000, 14_000)
    assert len(samples_read) == 16_000
    assert np.abs(samples_read[middle] - tone(1, 16_000)[middle]).max() < 0.02


def test_nothing_above_the_band_folds_back():
    """A tone above 8 kHz is removed, not turned into another one."""
    assert np.abs(resample(tone(1, 48_000, hz=12_000).astype(np.float32), 48_000)).max() < 0.01


@pytest.mark.parametrize("content", [b"", b"ID3\3\0", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_wav_says_what_to_do(tmp_path, content):
    """For other files the error names the pipe that would work."""
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    with pytest.raises(UnreadableAudio, match="ffmpeg"):
        read_wav(path)


def test_missing_file(tmp_path):
    """So does the error for a missing file."""
    with pytest.raises(UnreadableAudio, match=r"gone\.wav"):
        read_wav(tmp_path / "gone.wav")


def test_pace_is_real_time_and_does_not_drift():
    """Ten seconds of audio take ten seconds, and no chunk comes before its last sample is due."""

    async def main():
        loop = asyncio.get_running_loop()
        return [loop.time() async for _ in paced(np.zeros(160_000, np.int16))]

    times = virtual.run(main())
    assert times == pytest.approx([0.1 * (i + 1) for i in range(100)])


async def test_a_file_may_stand_in_for_the_pipe(tmp_path, monkeypatch):
    """`listen - < file` reads every sample in real time; an odd last byte is ignored."""
    pcm = np.arange(3200, dtype="<i2")
    raw = tmp_path / "talk.raw"
    raw.write_bytes(pcm.tobytes() + b"x")
    with raw.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        chunks = [chunk async for chunk in standard_input()]
    assert len(chunks) == 2
    assert np.array_equal(np.concatenate(chunks), pcm)
