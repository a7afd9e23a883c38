"""Read 16 kHz mono 16-bit WAV without a decoder.

Live clients send it several times a second; parsing RIFF chunks and one multiplication are enough.
Writers that stream cannot know their sizes and leave 0 or 0xFFFFFFFF; truncated files declare more than
they hold. For anything else this module returns None, and the caller decodes it with FFmpeg.
Source: Microsoft RIFF specification 1.0; WAVE_FORMAT_EXTENSIBLE from the Windows `mmreg.h`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm

_PCM = 0x0001
_EXTENSIBLE = 0xFFFE
_PCM_SUBFORMAT = bytes.fromhex("0100000000001000800000aa00389b71")  # KSDATAFORMAT_SUBTYPE_PCM
_RIFF_BYTES, _CHUNK_BYTES, _FMT_BYTES = 12, 8, 16  # sizes of the three headers
_MAX_CHUNKS = 1_000  # ordinary files have under ten; FFmpeg parses three million in 15 s
_MAX_FMT_BYTES = 40  # the extensible form; nothing after it matters here
_BLOCK_SAMPLES = 1 << 19  # 1 MiB of int16 per read keeps the peak at the result plus a little


class Readable(Protocol):
    """The part of a binary file this module uses."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty at the end."""
        ...

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset`."""
        ...


@dataclass(frozen=True, slots=True)
class SampleRange:
    """Where the samples lie in the file."""

    offset_bytes: int
    n_samples: int


def find_samples(file: Readable, *, size_bytes: int) -> SampleRange | None:
    """Find the samples of a 16 kHz mono 16-bit WAV file; None if it is anything else.

    Args:
        file: the whole file, `size_bytes` long; its position is moved.
        size_bytes: its size; a header that declares more is ignored.

    Raises:
        ValueError: there are more than `_MAX_CHUNKS` chunks before the samples.
    """
    file.seek(0)
    header = file.read(_RIFF_BYTES)
    if len(header) < _RIFF_BYTES or header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return None

    position, understood = _RIFF_BYTES, False
    for _ in range(_MAX_CHUNKS):
        file.seek(position)
        head = file.read(_CHUNK_BYTES)
        if len(head) < _CHUNK_BYTES:
            return None
        name, chunk_bytes = head[:4], int(struct.unpack_from("<I", head, 4)[0])
        position += _CHUNK_BYTES
        if name == b"fmt ":
            understood = _is_16k_mono_s16(file.read(min(chunk_bytes, _MAX_FMT_BYTES)))
        elif name == b"data":
            if not understood:
                return None
            left_bytes = size_bytes - position
            if chunk_bytes == 0 and not _are_chunks(file, position, size_bytes):
                chunk_bytes = left_bytes  # a streaming writer: the samples follow, uncounted
            return SampleRange(position, min(chunk_bytes, left_bytes) // 2)
        position += chunk_bytes + chunk_bytes % 2  # chunks start on even bytes
    raise ValueError(f"over {_MAX_CHUNKS} chunks before the samples")


def read_samples(file: Readable, span: SampleRange) -> Pcm:
    """Read the samples of `span`; shorter if the file ends early.

    Returns:
        [n_samples] float32 in [-1, 1).
    """
    pcm = np.empty(span.n_samples, dtype=np.float32)
    file.seek(span.offset_bytes)
    done = 0
    while done < span.n_samples:
        block = file.read(2 * min(_BLOCK_SAMPLES, span.n_samples - done))
        samples = np.frombuffer(block, dtype="<i2", count=len(block) // 2)
        if samples.size == 0:
            break
        np.multiply(samples, np.float32(1 / 32768), out=pcm[done : done + samples.size])
        done += samples.size
    return pcm[:done]


def _are_chunks(file: Readable, position: int, size_bytes: int) -> bool:
    """Whether more chunks follow from `position` to the end of the file: then an empty one before them is empty."""
    for _ in range(_MAX_CHUNKS):
        if position >= size_bytes:
            return True
        file.seek(position)
        head = file.read(_CHUNK_BYTES)
        if len(head) < _CHUNK_BYTES or not (head[:4].isascii() and head[:4].decode().isprintable()):
            return False
        chunk_bytes = int(struct.unpack_from("<I", head, 4)[0])
        if position + _CHUNK_BYTES + chunk_bytes > size_bytes:
            return False
        position += _CHUNK_BYTES + chunk_bytes + chunk_bytes % 2
    return False


def _is_16k_mono_s16(fmt: bytes) -> bool:
    if len(fmt) < _FMT_BYTES:
        return False
    tag, channels, rate_hz, _, block_bytes, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE:
        valid_bits = int.from_bytes(fmt[18:20], "little")
        if fmt[24:40] != _PCM_SUBFORMAT or valid_bits not in (0, 16):
            return False
    elif tag != _PCM:
        return False
    return bool((channels, rate_hz, block_bytes, bits) == (1, SAMPLE_RATE_HZ, 2, 16))
