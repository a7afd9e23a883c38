"""Decode any common audio or video file with FFmpeg, as if the sender were hostile.

FFmpeg has formats that refer to other files and addresses, headers that turn a kilobyte into hours
or gigabytes, and decoders that are no longer maintained. So formats and decoders are listed, no
second file can be opened, allocations are bounded, and rates and channels are checked on every
frame. The parts of a damaged file that decode are kept.
Source: libavformat/options_table.h (whitelists, probing), libavutil/mem.h (`av_max_alloc`).
"""

from __future__ import annotations

import ctypes
import io
from collections.abc import Generator, Iterator
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.filter.graph import Graph
from av.stream import Discard, Disposition

from app.audio.wav import Readable
from app.core.errors import AudioTooLong, AudioUndecodable
from app.core.pcm import SAMPLE_RATE_HZ, Pcm

MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000  # a file "at 1 Hz" would become hours of audio
MAX_CHANNELS = 8
MAX_STREAMS = 16
MAX_READ_FAILURES = 16  # damaged places in a container that are skipped
MAX_DAMAGED_PACKETS = 1_000  # and four more for each decoded frame; millions of damaged ones take a minute
OPEN_TIMEOUT_S = 5.0
MAX_ALLOCATION_BYTES = 32 << 20  # the MP4 index of 8 h of AAC; a file of 1.5 kB can ask for 2 GB

CONTAINERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,flac,flv,loas,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,mp3,mpeg,mpegts,ogg,w64,wav,wv"
)
CODECS = (
    "aac,aac_latm,ac3,eac3,dca,truehd,mlp,alac,flac,tta,wavpack,"
    "mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,libopus,vorbis,speex,"
    "amrnb,amrwb,libopencore_amrnb,libopencore_amrwb,gsm,gsm_ms,g722,g726,g726le,ilbc,"
    "wmav1,wmav2,wmapro,wmalossless,wmavoice,nellymoser,"
    "adpcm_ima_wav,adpcm_ima_qt,adpcm_ms,adpcm_swf,adpcm_yamaha,pcm_alaw,pcm_mulaw,pcm_s8,pcm_u8,"
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_s64le,pcm_s64be,"
    "pcm_f32le,pcm_f32be,pcm_f64le,pcm_f64be,pcm_bluray,pcm_dvd"
)
# Here time is a count of samples or frames, so a packet behind the limit proves the length.
COUNTED = ("aiff", "au", "caf", "flac", "matroska,webm", "mov,mp4,m4a,3gp,3g2,mj2", "mp3", "ogg", "w64", "wav")
OPTIONS = {
    "format_whitelist": CONTAINERS,
    "codec_whitelist": CODECS,  # probing would otherwise run video decoders too
    "protocol_whitelist": "none",
    "probesize": "1048576",
    "max_streams": str(MAX_STREAMS + 1),  # some formats stop there silently; one more shows it
}

NOT_AUDIO = "it could not be decoded as audio; send wav, mp3, flac, ogg, webm, m4a, mp4, aac, amr or aiff"

# What PyAV raises over a damaged file: FFmpeg's errors, and those of its own Python code.
DAMAGE = (
    av.FFmpegError,
    ArithmeticError,
    AssertionError,
    LookupError,
    MemoryError,
    RuntimeError,
    ValueError,
)

av.logging.set_level(None)  # FFmpeg logs damage at length; the caller gets one sentence
# PyAV does not wrap this call. It applies to the whole process, in which nothing else uses FFmpeg.
ctypes.CDLL(av._core.__file__).av_max_alloc(ctypes.c_size_t(MAX_ALLOCATION_BYTES))  # noqa: SLF001 - as above


def read_pcm(file: Readable, *, max_audio_s: float) -> Generator[Pcm, None, None]:
    """Decode the first (or default) audio stream of `file`, about a second at a time.

    Close the generator if it is not read to its end.

    Args:
        file: the whole file, at its start.
        max_audio_s: a file that declares to be longer is refused before it is decoded. The caller still
            has to count the samples: a file may declare any length.

    Yields:
        [n_samples] float32, 16 kHz mono; a float file's NaN, infinities and excess are passed on.

    Raises:
        AudioTooLong: it declares to be longer than `max_audio_s`, and has packets behind that.
        AudioUndecodable: no audio stream, none that this server decodes, or nothing in it decodes.
        Any of `DAMAGE`: not one of `CONTAINERS`, or damaged beyond reading.
    """
    with _open(file) as container:
        stream = _choose_stream(container)
        if stream.codec_context.sample_rate:  # some codecs know theirs only once they decode
            _check_rate(stream.codec_context.sample_rate)
        if not _declares_more(container, max_audio_s):
            yield from _resample(_decode_frames(container, stream))
            return
        if _has_packet_behind(container, stream, max_audio_s):
            raise too_long(max_audio_s)
    file.seek(0)
    with _open(file) as container:
        yield from _resample(_decode_frames(container, _choose_stream(container)))


def too_long(max_audio_s: float) -> AudioTooLong:
    """The error for audio over the limit, with the remedy."""
    return AudioTooLong(
        f"file: the audio is longer than {max_audio_s:g} s; "
        "send it in shorter pieces, or raise MAX_AUDIO_SECONDS on the server"
    )


def _open(file: Readable) -> InputContainer:
    return av.open(
        file,
        mode="r",
        container_options=OPTIONS,
        metadata_errors="ignore",
        timeout=(OPEN_TIMEOUT_S, OPEN_TIMEOUT_S),
        io_open=_open_nothing,
    )


def _open_nothing(_url: str, _flags: int, _options: object) -> BinaryIO:
    """Give a format that refers to another file an empty one."""
    return io.BytesIO()


def _choose_stream(container: InputContainer) -> AudioStream:
    if len(container.streams) > MAX_STREAMS:
        raise AudioUndecodable(f"file: it has more than {MAX_STREAMS} streams; send its sound alone")
    streams = container.streams.audio
    if not streams:
        raise AudioUndecodable("file: there is no audio stream in it; send a file with sound")
    allowed = CODECS.split(",")
    # A stream of a codec that FFmpeg does not know has no codec context, whatever its type says.
    decodable = [s for s in streams if s.codec_context is not None and s.codec_context.name in allowed]
    if not decodable:
        raise AudioUndecodable(f"file: its audio codec is not supported; {NOT_AUDIO}")
    stream = next((s for s in decodable if s.disposition & Disposition.default), decodable[0])
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all  # pictures are neither read nor queued
    stream.codec_context.thread_count = 1  # the request's own thread decodes
    return stream


def _declares_more(container: InputContainer, limit_s: float) -> bool:
    duration_us = container.duration
    return container.format.name in COUNTED and duration_us is not None and duration_us > limit_s * 1e6


def _has_packet_behind(container: InputContainer, stream: AudioStream, limit_s: float) -> bool:
    """Whether sound is stored behind `limit_s`; leaves the container somewhere in the middle."""
    if stream.time_base is None:
        return False
    # A second of grace: what codecs add at both ends is cut off only in decoding.
    limit_s += float((stream.start_time or 0) * stream.time_base) + 1.0
    try:
        container.seek(int(limit_s * 1e6))
        for packet in container.demux(stream):
            if packet.pts is not None and packet.pts * stream.time_base > limit_s:
                return True
    except (av.FFmpegError, OverflowError):
        return False
    return False


def _decode_frames(container: InputContainer, stream: AudioStream) -> Iterator[AudioFrame]:
    """Every frame that decodes; damaged packets are skipped."""
    n_frames = n_damaged = 0
    for _ in range(MAX_READ_FAILURES):
        try:
            for packet in container.demux(stream):
                try:
                    frames = stream.codec_context.decode(packet)
                except av.FFmpegError:
                    n_damaged += 1
                    if n_damaged > MAX_DAMAGED_PACKETS + 4 * n_frames:
                        break
                    continue
                n_frames += len(frames)
                yield from frames
        except av.FFmpegError:
            n_damaged += 1
            continue
        break
    if n_damaged and not n_frames:
        raise AudioUndecodable(f"file: no part of its audio decodes; {NOT_AUDIO}")


def _resample(frames: Iterator[AudioFrame]) -> Iterator[Pcm]:
    """Frames of any kind, which may change on the way, to 16 kHz mono."""
    graph, kind, waiting_s = None, None, 0.0
    for frame in frames:
        frame_kind = (frame.sample_rate, frame.format.name, frame.layout.name)
        if graph is None or kind != frame_kind:
            if graph is not None:
                yield from _finish(graph)
            graph, kind = _open_graph(frame), frame_kind
        graph.push(frame)
        waiting_s += frame.samples / frame.sample_rate
        if waiting_s >= 1.0:  # pulling after every frame would cost more than the resampling
            waiting_s = 0.0
            yield from _pull(graph)
    if graph is not None:
        yield from _finish(graph)


def _check_rate(rate_hz: int) -> None:
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioUndecodable(f"file: its sample rate is {rate_hz} Hz; send {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")


def _open_graph(frame: AudioFrame) -> Graph:
    """Build the filters from frames like `frame` to 16 kHz mono float32."""
    rate_hz, channels = frame.sample_rate, frame.layout.nb_channels
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioUndecodable(f"file: its sample rate is {rate_hz} Hz; send {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioUndecodable(f"file: it has {channels} channels; send 1 to {MAX_CHANNELS}")
    graph = Graph()
    graph.threads = 1
    nodes = [
        graph.add(
            "abuffer",
            sample_rate=str(rate_hz),
            sample_fmt=frame.format.name,
            channel_layout=frame.layout.name,
            time_base=f"1/{rate_hz}",
        )
    ]
    if frame.layout.name.endswith("channels"):
        # It is unknown what each channel holds, so all have the same weight. Known layouts are mixed with
        # FFmpeg's weights, which favour the centre channel, where films have their speech.
        average = "+".join(f"{1 / channels}*c{i}" for i in range(channels))
        nodes.append(graph.add("pan", f"mono|c0={average}"))
    # rematrix_maxval=1: the mix cannot exceed its loudest channel, so stereo becomes the average.
    nodes.append(graph.add("aresample", sample_rate=str(SAMPLE_RATE_HZ), rematrix_maxval="1.0"))
    nodes.append(graph.add("aformat", sample_fmts="flt", channel_layouts="mono"))
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    graph.set_audio_frame_size(SAMPLE_RATE_HZ)
    return graph


def _finish(graph: Graph) -> Iterator[Pcm]:
    graph.push(None)
    yield from _pull(graph)


def _pull(graph: Graph) -> Iterator[Pcm]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        yield np.asarray(frame.to_ndarray()[0], dtype=np.float32)
