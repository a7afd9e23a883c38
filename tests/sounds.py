"""Make the audio that tests need: tones, files in every container, RIFF by hand, video with sound."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container.output import OutputContainer

Samples = npt.NDArray[np.float32]
"""[n] for mono, or [channels, n]."""

AUDIO_DIR = Path(__file__).parent / "audio"


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to store audio: FFmpeg's names for container and codec, and what the codec insists on."""

    container: str
    codec: str
    rate_hz: int = 44_100
    layout: str = "stereo"
    bit_rate: int | None = None

    def __str__(self) -> str:
        return f"{self.container}-{self.codec}"


KINDS = (
    *(Kind("wav", f"pcm_{s}") for s in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw")),
    Kind("wav", "adpcm_ms"),
    Kind("wav", "adpcm_ima_wav"),
    Kind("wav", "g722", 16_000, "mono"),
    Kind("w64", "pcm_s16le"),
    Kind("aiff", "pcm_s16be"),
    Kind("au", "pcm_s16be"),
    Kind("caf", "pcm_s16be"),
    Kind("flac", "flac"),
    Kind("wv", "wavpack"),
    Kind("mp3", "libmp3lame"),
    Kind("mp2", "mp2"),
    Kind("ac3", "ac3"),
    Kind("adts", "aac"),
    Kind("latm", "aac"),
    Kind("ogg", "libopus", 48_000),
    Kind("ogg", "vorbis"),
    Kind("ogg", "flac"),
    Kind("webm", "libopus", 48_000),
    Kind("matroska", "aac"),
    Kind("matroska", "vorbis"),
    Kind("matroska", "pcm_s16le"),
    Kind("mp4", "aac"),
    Kind("mp4", "libopus", 48_000),
    Kind("ipod", "aac"),
    Kind("ipod", "alac"),
    Kind("mov", "pcm_s16be"),
    Kind("3gp", "libopencore_amrnb", 8_000, "mono", 12_200),
    Kind("amr", "libopencore_amrnb", 8_000, "mono", 12_200),
    Kind("asf", "wmav2", bit_rate=96_000),
    Kind("mpegts", "aac"),
    Kind("mpegts", "mp2"),
    Kind("mpeg", "mp2"),
    Kind("avi", "libmp3lame"),
    Kind("flv", "aac"),
)


def speech(name: str) -> bytes:
    """A whole file of `tests/audio`."""
    return (AUDIO_DIR / name).read_bytes()


def tone(hz: float, duration_s: float, *, rate_hz: int = 16_000, amplitude: float = 0.4) -> Samples:
    """A sine that starts at zero; [n]."""
    t_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * t_s)).astype(np.float32)


def silence(duration_s: float, *, rate_hz: int = 16_000) -> Samples:
    """Zeros; [n]."""
    return np.zeros(round(duration_s * rate_hz), dtype=np.float32)


def strength(pcm: Samples, hz: float, *, rate_hz: int = 16_000) -> float:
    """Amplitude of the sine of `hz` in mono `pcm`, whatever its phase."""
    window = np.hanning(pcm.size)
    turns = np.exp(-2j * np.pi * hz * np.arange(pcm.size) / rate_hz)
    return float(2 * abs(np.sum(pcm * window * turns)) / window.sum())


def encode(pcm: Samples, kind: Kind, *, options: dict[str, str] | None = None) -> bytes:
    """Encode `pcm`, which is at `kind.rate_hz`; a mono signal is copied to every channel."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind.container) as container:
        _write_sound(container, _add_sound(container, kind, options=options), pcm)
    return file.getvalue()


def video(*sounds: Samples, container: str = "mp4", duration_s: float = 1.0) -> bytes:
    """A small grey film with one AAC stream for each of `sounds`, which are at 44.1 kHz."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        picture = output.add_stream("mpeg4", rate=10)
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        streams = [_add_sound(output, Kind(container, "aac")) for _ in sounds]
        for stream, sound in zip(streams, sounds, strict=True):
            _write_sound(output, stream, sound)
        for i in range(round(duration_s * 10)):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), i, dtype=np.uint8), format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            output.mux(picture.encode(frame))
        output.mux(picture.encode(None))
    return file.getvalue()


def _add_sound(container: OutputContainer, kind: Kind, *, options: dict[str, str] | None = None) -> av.AudioStream:
    stream = container.add_stream(kind.codec, rate=kind.rate_hz, layout=kind.layout)
    assert isinstance(stream, av.AudioStream)
    stream.codec_context.options = {"strict": "experimental", **(options or {})}  # Vorbis is "experimental"
    if kind.bit_rate:
        stream.codec_context.bit_rate = kind.bit_rate
    return stream


def _write_sound(container: OutputContainer, stream: av.AudioStream, pcm: Samples) -> None:
    rate_hz, layout = stream.codec_context.sample_rate, stream.codec_context.layout
    planes = np.broadcast_to(pcm, (layout.nb_channels, pcm.shape[-1]))
    for start in range(0, planes.shape[1], rate_hz):
        packed = np.ascontiguousarray(planes[:, start : start + rate_hz].T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(packed.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, start, Fraction(1, rate_hz)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def pcm16(pcm: Samples) -> bytes:
    """Little-endian 16-bit samples."""
    return (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()


def riff(
    data: bytes,
    *,
    rate_hz: int = 16_000,
    channels: int = 1,
    bits: int = 16,
    tag: int = 1,
    fmt_extra: bytes = b"",
    before: bytes = b"",
    after: bytes = b"",
    data_bytes: int | None = None,
    riff_bytes: int | None = None,
) -> bytes:
    """A WAV file written by hand; `data_bytes` and `riff_bytes` are the sizes it claims."""
    block_bytes = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block_bytes % 2**32, block_bytes % 2**16, bits)
    data_chunk = b"data" + struct.pack("<I", len(data) if data_bytes is None else data_bytes) + data
    body = b"WAVE" + chunk(b"fmt ", fmt + fmt_extra) + before + data_chunk + after
    return b"RIFF" + struct.pack("<I", len(body) if riff_bytes is None else riff_bytes) + body


def chunk(name: bytes, body: bytes) -> bytes:
    """One RIFF chunk, padded to an even size."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
