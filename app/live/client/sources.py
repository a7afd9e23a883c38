"""Audio sources of the live client: a WAV file in real time, or raw samples from a pipe.

Convert other formats:
    ffmpeg -i talk.mp3 -f s16le -ac 1 -ar 16000 - | python -m app listen -
    arecord -f S16_LE -r 16000 -c 1 -t raw | python -m app listen -
"""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from app.core.pcm import SAMPLE_RATE_HZ, Pcm, Pcm16, to_pcm16

CHUNK_SAMPLES = 1600  # 0.1 s
PIPE_IN = f"Pipe samples in: ffmpeg -i FILE -f s16le -ac 1 -ar {SAMPLE_RATE_HZ} - | python -m app listen -"


class UnreadableAudio(Exception):
    """The source cannot be streamed; the message says what to do."""


def read_wav(path: Path) -> Pcm16:
    """Read a WAV file of 8, 16 or 32 bits, any rate and channels, as [n] int16 at 16 kHz.

    Raises:
        UnreadableAudio: the file does not exist, or is not such a WAV file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            data = file.readframes(file.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        hint = f"ffmpeg -i {path} -f s16le -ac 1 -ar {SAMPLE_RATE_HZ} - | python -m app listen -"
        raise UnreadableAudio(f"{path}: {error}. Only WAV files are supported; for others: {hint}") from error
    if width not in {1, 2, 4}:
        raise UnreadableAudio(f"{path}: {8 * width}-bit samples are not supported; convert it to 16 bits.")
    data = data[: len(data) // (width * channels) * width * channels]
    if width == 1:
        samples = (np.frombuffer(data, dtype=np.uint8).astype(np.float32) - 128.0) / 128.0
    else:
        samples = np.frombuffer(data, dtype=f"<i{width}").astype(np.float32) / 2.0 ** (8 * width - 1)
    mono = samples.reshape(-1, channels).mean(axis=1)  # [n_frames, channels] -> [n_frames]
    return to_pcm16(resample(mono.astype(np.float32), rate))


def resample(pcm: Pcm, rate: int) -> Pcm:
    """Resample [n] from `rate` Hz to 16 kHz by cutting or padding the spectrum, which is exact for a whole file."""
    if rate == SAMPLE_RATE_HZ or not len(pcm):
        return pcm
    length = round(len(pcm) * SAMPLE_RATE_HZ / rate)
    spectrum = np.fft.rfft(pcm)
    wanted = np.zeros(length // 2 + 1, dtype=spectrum.dtype)
    shared = min(len(spectrum), len(wanted))
    wanted[:shared] = spectrum[:shared]
    return (np.fft.irfft(wanted, length) * (length / len(pcm))).astype(np.float32)


async def paced(pcm: Pcm16, *, speed: float = 1.0) -> AsyncIterator[Pcm16]:
    """Chunks of 0.1 s in real time, each when its last sample is due; without drift."""
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    for start in range(0, len(pcm), CHUNK_SAMPLES):
        chunk = pcm[start : start + CHUNK_SAMPLES]
        due_s = started_s + (start + len(chunk)) / SAMPLE_RATE_HZ / speed
        await asyncio.sleep(max(0.0, due_s - loop.time()))
        yield chunk


def standard_input() -> AsyncIterator[Pcm16]:
    """Raw 16-bit little-endian mono 16 kHz samples from standard input; a redirected file is read in real time.

    Raises:
        UnreadableAudio: standard input is closed, or is neither a pipe nor a file.
    """
    if sys.stdin is None:
        raise UnreadableAudio(f"Standard input is closed. {PIPE_IN}")
    mode = os.fstat(sys.stdin.buffer.fileno()).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        return _piped()
    if not stat.S_ISREG(mode):  # asyncio cannot wait for /dev/null and other devices
        raise UnreadableAudio(f"Standard input is neither a pipe nor a file. {PIPE_IN}")
    data = sys.stdin.buffer.read()
    return paced(np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2"))


async def _piped() -> AsyncIterator[Pcm16]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    rest = b""
    while data := await reader.read(CHUNK_SAMPLES * 2):
        data = rest + data
        whole = len(data) // 2 * 2
        rest = data[whole:]
        yield np.frombuffer(data[:whole], dtype="<i2")
