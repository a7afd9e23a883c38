"""The RIFF fast path: which files it takes, and what it makes of damaged headers."""

from __future__ import annotations

import io

import numpy as np
import pytest

from app.audio import wav
from app.core.pcm import Pcm
from tests.sounds import chunk, pcm16, riff, tone

TONE = tone(440, 0.5)
DATA = pcm16(TONE)
PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")
FLOAT_GUID = bytes.fromhex("0300000000001000800000aa00389b71")


def read(file: bytes) -> Pcm | None:
    """Find and read, as a caller does."""
    stream = io.BytesIO(file)
    span = wav.find_samples(stream, size_bytes=len(file))
    return None if span is None else wav.read_samples(stream, span)


def extensible(guid: bytes, valid_bits: int = 16) -> bytes:
    """What WAVE_FORMAT_EXTENSIBLE adds to a format chunk."""
    return (22).to_bytes(2, "little") + valid_bits.to_bytes(2, "little") + b"\4\0\0\0" + guid


@pytest.mark.parametrize(
    "file",
    [
        riff(DATA),
        riff(DATA, before=chunk(b"LIST", b"INFOISFT\x03\0\0\0me\0\0")),
        riff(DATA, before=chunk(b"odd ", b"abc") + chunk(b"fact", b"\0\0\0\0")),
        riff(DATA, after=chunk(b"LIST", b"INFO" + b"x" * 1000)),
        riff(DATA, tag=0xFFFE, fmt_extra=extensible(PCM_GUID)),
        riff(DATA, fmt_extra=b"\0\0"),
        riff(DATA, data_bytes=0, riff_bytes=0),
        riff(DATA, data_bytes=0, riff_bytes=36),
        riff(DATA, data_bytes=0, riff_bytes=0xFFFFFFFF),
        riff(DATA, data_bytes=0),
        riff(DATA, data_bytes=0xFFFFFFFF, riff_bytes=0xFFFFFFFF),
        riff(DATA, data_bytes=0x7FFFF000, riff_bytes=0x7FFFF024),
        riff(DATA, data_bytes=0xFFFFFFFF, riff_bytes=0),
        riff(DATA) + b"<html><body>not audio</body></html>",
    ],
    ids=[
        "plain",
        "list-before",
        "odd-chunk-before",
        "list-after",
        "extensible",
        "fmt-of-18-bytes",
        "streamed-zero",
        "streamed-zero-data",
        "streamed-zero-data-in-ffffffff",
        "zero-data-in-the-right-size",
        "streamed-ffffffff",
        "streamed-sox",
        "streamed-mixed",
        "html-behind",
    ],
)
def test_16k_mono_s16_is_read_to_the_sample(file):
    """Every way writers lay out 16 kHz mono 16-bit gives exactly the samples, and nothing else."""
    pcm = read(file)
    assert pcm is not None
    assert pcm.dtype == np.float32
    assert np.array_equal(pcm, np.frombuffer(DATA, "<i2").astype(np.float32) / 32768)


@pytest.mark.parametrize(
    "file",
    [
        riff(DATA, rate_hz=8_000),
        riff(DATA, channels=2),
        riff(DATA, bits=8),
        riff(DATA, bits=32, tag=3),
        riff(DATA, tag=0xFFFE, fmt_extra=extensible(FLOAT_GUID)),
        riff(DATA, tag=0xFFFE, fmt_extra=extensible(PCM_GUID, valid_bits=12)),
        riff(DATA, tag=0xFFFE),
        b"RIFX" + riff(DATA)[4:],
        b"RF64" + riff(DATA)[4:],
        riff(DATA)[:40],
        riff(DATA)[:12],
        riff(DATA)[:11],
        riff(DATA).replace(b"fmt ", b"fmx "),
        b"RIFF\0\0\0\0WAVE" + chunk(b"junk", b"") * 900,
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + riff(DATA)[12:],
        b"",
    ],
)
def test_anything_else_is_left_to_the_decoder(file):
    """Another rate, width, layout or a header that does not hold together gives None, no error."""
    assert read(file) is None


def test_endless_headers_are_refused():
    """Thousands of chunks before the samples are refused: parsing them all would take seconds."""
    with pytest.raises(ValueError, match="over 1000 chunks"):
        read(b"RIFF\0\0\0\0WAVE" + chunk(b"junk", b"") * 100_000)


@pytest.mark.parametrize("cut_bytes", [1, 2, 3, 1000, len(DATA) - 2])
def test_truncated_data_gives_what_is_there(cut_bytes):
    """A file cut anywhere in its samples gives the whole samples before the cut."""
    pcm = read(riff(DATA)[:-cut_bytes])
    assert pcm is not None
    assert pcm.size == (len(DATA) - cut_bytes) // 2


@pytest.mark.parametrize("riff_bytes", [None, 0, 36, 0xFFFFFFFF])
@pytest.mark.parametrize("after", [b"", chunk(b"LIST", b"x" * 1000), chunk(b"odd ", b"x"), chunk(b"LIST", b"") * 3])
def test_empty_data_is_empty(after, riff_bytes):
    """A truly empty data chunk is no streaming header: the chunks that follow it are not audio."""
    pcm = read(riff(b"", after=after, riff_bytes=riff_bytes))
    assert pcm is not None
    assert pcm.size == 0


def test_samples_that_begin_like_a_chunk_are_samples():
    """Loud samples may spell a chunk's name, but its size then leads out of the file or into no chunk."""
    samples = b"LIST" + b"\x04\0\0\0" + DATA
    pcm = read(riff(samples, data_bytes=0))
    assert pcm is not None
    assert pcm.size == len(samples) // 2


def test_extremes_stay_within_one():
    """The lowest and highest 16-bit samples map to -1 and just under 1."""
    pcm = read(riff(np.array([-32768, 32767], "<i2").tobytes()))
    assert pcm is not None
    assert pcm.tolist() == [-1.0, 32767 / 32768]


def test_long_file_is_read_in_blocks():
    """Samples past the first block land in their place."""
    ramp = np.arange(1_200_000, dtype="<i2")
    pcm = read(riff(ramp.tobytes()))
    assert pcm is not None
    assert np.array_equal(pcm, ramp.astype(np.float32) / 32768)
