"""Audio decoding: an uploaded file to Whisper's input, 16 kHz mono float32.

The length of the audio is counted in samples as they are decoded, never read from a header, and decoding
stops at the limit: a malicious file costs no more than a valid one of that length. Memory is the result
plus a quarter, and all requests together have a limit (`app.audio.budget`).
"""

from __future__ import annotations

import io
import os
import re
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from typing import BinaryIO

import numpy as np

from app.audio import ffmpeg, wav
from app.audio.budget import AudioMemory, Claim, of_this_process
from app.core.errors import AudioTooShort, AudioUndecodable, Cancelled, EngineFailure
from app.core.pcm import SAMPLE_RATE_HZ, Pcm

MIN_AUDIO_S = 0.1  # OpenAI's minimum
# Until the first samples. Ordinary files give them within milliseconds, 24 MB of empty chunks keep FFmpeg busy
# for 15 s. Measured in the thread's CPU time, so that no file is refused because the machine is loaded.
FIRST_SOUND_CPU_S = 0.8
MIN_SPEED = 50.0  # seconds of audio per second; an idle core does some 600


def decode_audio(
    source: bytes | BinaryIO,
    *,
    max_audio_s: float,
    budget_s: float = 60.0,
    memory: AudioMemory | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Pcm:
    """Decode an uploaded file into Whisper's input.

    Blocking: call it on a request's own thread.

    Args:
        source: a whole file in any container of `app.audio.ffmpeg.CONTAINERS`; a file object must be
            seekable, is read from its start and stays open.
        max_audio_s: refuse longer audio; decoding stops there.
        budget_s: wall clock after which decoding is given up; every `MIN_SPEED` seconds of audio
            that come out add one.
        memory: counts the samples until the array is freed; None = the process's own.
        cancelled: called before every read and after about every second of audio; decoding stops when
            it returns True.

    Returns:
        [n_samples] float32 in [-1, 1], 16 kHz mono, all finite.

    Raises:
        AudioUndecodable: no audio in it, or none that decodes within `budget_s`.
        AudioTooShort: under `MIN_AUDIO_S`.
        AudioTooLong: over `max_audio_s`.
        Overloaded: with it, all requests together would hold too many samples.
        Cancelled: `cancelled` returned True.
        EngineFailure: `source` itself could not be read.
    """
    claim = Claim(memory or of_this_process())
    try:
        pcm = _read(_Upload(source, allowed_s=budget_s, cancelled=cancelled), claim, max_audio_s, budget_s)
    except BaseException:
        claim.release()
        raise
    # The owner of the samples: windows cut from them keep it alive when the request has let go.
    weakref.finalize(pcm if pcm.base is None else pcm.base, claim.release)
    return pcm


def _read(upload: _Upload, claim: Claim, max_audio_s: float, budget_s: float) -> Pcm:
    try:
        pcm = _read_wav(upload, claim, max_audio_s, budget_s)
        if pcm is None:
            pcm = _read_any(upload, claim, max_audio_s, budget_s)
    except AudioUndecodable:
        upload.raise_if_stopped()  # a file whose reading was stopped looks damaged
        raise
    except ffmpeg.DAMAGE as exc:
        upload.raise_if_stopped()
        raise AudioUndecodable(f"file: {ffmpeg.NOT_AUDIO}") from exc
    upload.raise_if_stopped()
    if pcm.size < MIN_AUDIO_S * SAMPLE_RATE_HZ:
        raise AudioTooShort(
            f"file: the audio is {pcm.size / SAMPLE_RATE_HZ:.3f} s long; send at least {MIN_AUDIO_S:g} s"
        )
    return pcm


class _Upload:
    """An upload as FFmpeg may see it: bytes without a name, a mode, exceptions or ID3 tags.

    FFmpeg takes formats and paths from names. After a time-out, a failure or a cancellation every read
    returns "end of file", which every demuxer understands; PyAV would print an exception. ID3v2 tags
    are hidden because FFmpeg inflates them: 1.6 MB became 3.4 GB of title in 30 s.
    """

    _ID3 = re.compile(rb"(?s)ID3(?=[\x02-\x04][^\xff].[\x00-\x7f]{4})")
    _ID3_HEADER_BYTES = 10
    _MAX_LEADING_TAGS = 16

    def __init__(self, source: bytes | BinaryIO, *, allowed_s: float, cancelled: Callable[[], bool]) -> None:
        self._file = io.BytesIO(source) if isinstance(source, bytes) else source
        self._started_s = time.monotonic()
        self._allowed_cpu_s: float | None = time.thread_time() + FIRST_SOUND_CPU_S
        self._allowed_s = allowed_s
        self._cancelled = cancelled
        self._stopped = self._expired = False
        self._failure: OSError | ValueError | None = None
        self._start = self._position = 0  # in the file; readers count from `_start`
        self._end = self._find_end()
        if self._end == 0 and self._failure is None:
            raise AudioUndecodable("file: it is empty (0 bytes); send a file with audio in it")
        self._start = self._position = self._find_start()
        if self.size_bytes == 0 and self._failure is None:
            raise AudioUndecodable("file: there are only ID3 tags in it, no audio; send a file with sound")

    @property
    def size_bytes(self) -> int:
        """What there is to read, without leading tags."""
        return max(self._end - self._start, 0)

    def is_cancelled(self) -> bool:
        """Whether the caller has left; from then on there is nothing to read."""
        self._stopped = self._stopped or self._cancelled()
        return self._stopped

    def allow(self, allowed_s: float) -> None:
        """The first samples have been decoded: set for how long, from the start, there is something to read."""
        self._allowed_s, self._allowed_cpu_s = allowed_s, None

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end, after a failure and when the time is up."""
        self._expired = self._expired or self._is_over()
        if self._expired or self.is_cancelled():
            return b""
        margin = self._ID3_HEADER_BYTES - 1  # a tag's header may lie across two reads
        before = min(margin, self._position)
        block = self._read_at(self._position - before, before + size + margin)
        block = self._ID3.sub(b"---", block)[before : before + size]
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move, also past the end; -1 and no move for a place before the start."""
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        if origin + offset < self._start:
            return -1
        self._position = origin + offset
        return self.tell()

    def tell(self) -> int:
        """The position, counted from the first byte after leading tags."""
        return self._position - self._start

    def raise_if_stopped(self) -> None:
        """Raise if reading stopped for a reason that does not lie in the file.

        Raises:
            Cancelled: the caller has left.
            EngineFailure: the file object failed.
            AudioUndecodable: the time was up.
        """
        if self._stopped:
            raise Cancelled
        if self._failure is not None:
            raise EngineFailure("file: the upload could not be read back") from self._failure
        if self._expired:
            if self._allowed_cpu_s is not None:
                raise AudioUndecodable("file: no audio was decoded in time; send wav, or another encoding")
            raise AudioUndecodable(
                f"file: audio decoding was given up after {self._allowed_s:.0f} s; send a shorter piece, or wav"
            )

    def _is_over(self) -> bool:
        if self._allowed_cpu_s is not None and time.thread_time() > self._allowed_cpu_s:
            return True
        return time.monotonic() - self._started_s > self._allowed_s

    def _read_at(self, position: int, size: int) -> bytes:
        try:
            self._file.seek(position)
            return self._file.read(size)
        except (OSError, ValueError) as exc:  # ValueError: the file was closed
            self._failure = exc
            return b""

    def _find_end(self) -> int:
        try:
            self._file.seek(0, os.SEEK_END)
            return self._file.tell()
        except (OSError, ValueError) as exc:
            self._failure = exc
            return 0

    def _find_start(self) -> int:
        start = 0
        for _ in range(self._MAX_LEADING_TAGS):
            header = self._read_at(start, self._ID3_HEADER_BYTES)
            if not self._ID3.match(header):
                break
            a, b, c, d = header[6:]  # seven bits each
            footer_bytes = self._ID3_HEADER_BYTES if header[5] & 0x10 else 0
            start += self._ID3_HEADER_BYTES + (a << 21 | b << 14 | c << 7 | d) + footer_bytes
        return start


class _Samples:
    """Decoded samples, counted as they come."""

    def __init__(self, max_audio_s: float, claim: Claim) -> None:
        self._max_audio_s = max_audio_s
        self._claim = claim
        self._pcm = np.empty(30 * SAMPLE_RATE_HZ, dtype=np.float32)
        self._n = 0

    @property
    def duration_s(self) -> float:
        """What there is so far."""
        return self._n / SAMPLE_RATE_HZ

    def append(self, piece: Pcm) -> None:
        """Add `piece`, cleaned of what only float formats can hold.

        Raises:
            AudioTooLong: with it, there would be more than allowed.
            Overloaded: there is no memory for more.
        """
        end = self._n + piece.size
        _check_length(end, self._max_audio_s)
        if end > self._pcm.size:
            # In place: large reallocations move pages, so hours of audio are never held twice.
            size = end + self._pcm.size // 4
            self._claim.hold(size * self._pcm.itemsize)
            self._pcm.resize(size, refcheck=False)
        added = self._pcm[self._n : end]
        np.clip(piece, -1.0, 1.0, out=added)
        np.nan_to_num(added, copy=False)  # after clipping, only NaN is left to clean
        self._n = end

    def take(self) -> Pcm:
        """All of them; append no more."""
        self._pcm.resize(self._n, refcheck=False)
        self._claim.hold(self._pcm.nbytes)
        return self._pcm


def _check_length(n_samples: int, max_audio_s: float) -> None:
    if n_samples > max_audio_s * SAMPLE_RATE_HZ:
        raise ffmpeg.too_long(max_audio_s)


def _read_wav(upload: _Upload, claim: Claim, max_audio_s: float, budget_s: float) -> Pcm | None:
    span = wav.find_samples(upload, size_bytes=upload.size_bytes)
    if span is None:
        return None
    _check_length(span.n_samples, max_audio_s)
    claim.hold(span.n_samples * np.dtype(np.float32).itemsize)
    upload.allow(budget_s)
    return wav.read_samples(upload, span)


def _read_any(upload: _Upload, claim: Claim, max_audio_s: float, budget_s: float) -> Pcm:
    samples = _Samples(max_audio_s, claim)
    upload.seek(0)
    with closing(ffmpeg.read_pcm(upload, max_audio_s=max_audio_s)) as pieces:
        for piece in pieces:
            if upload.is_cancelled():
                break
            samples.append(piece)
            upload.allow(budget_s + samples.duration_s / MIN_SPEED)
    return samples.take()
