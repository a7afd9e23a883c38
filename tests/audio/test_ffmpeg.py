"""Hostile uploads: nothing else is opened, nothing explodes, and the refusal is one of ours."""

from __future__ import annotations

import io
import os
import random
import re
import select
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from app.audio import ffmpeg
from app.audio.decode import decode_audio
from app.core.errors import AudioUndecodable, InvalidRequest
from tests.sounds import Kind, chunk, encode, pcm16, riff, silence, strength, tone, video

MP3 = Kind("mp3", "libmp3lame")
NEIGHBOUR = "neighbour.wav"


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A listener on loopback that must never get a connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def neighbour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A decodable file in the working directory, last read long ago."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / NEIGHBOUR
    path.write_bytes(riff(pcm16(tone(440, 1.0))))
    os.utime(path, (1_000_000_000, path.stat().st_mtime))
    return path


def was_called(listener: socket.socket) -> bool:
    """Whether anyone has connected to `listener`."""
    return bool(select.select([listener], [], [], 0)[0])


HOSTILE = {
    "ffconcat": "ffconcat version 1.0\nfile {neighbour}\n",
    "ffconcat-unsafe": "ffconcat version 1.0\noption safe 0\nfile '{path}'\n",
    "ffconcat-http": "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.wav\n",
    "hls-http": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
    "hls-file": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "hls-plain": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{neighbour}\n#EXT-X-ENDLIST\n",
    "hls-key": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n"
    '#EXT-X-KEY:METHOD=AES-128,URI="http://127.0.0.1:{port}/key"\n'
    "#EXTINF:9,\n{neighbour}\n#EXT-X-ENDLIST\n",
    "hls-master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:{port}/a.m3u8\n",
    "m3u": "#EXTM3U\nhttp://127.0.0.1:{port}/a.mp3\n",
    "pls": "[playlist]\nFile1=http://127.0.0.1:{port}/a.mp3\nNumberOfEntries=1\n",
    "dash": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT9S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period>'
    '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1" codecs="mp4a.40.2">'
    "<BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "smil": '<smil><body><audio src="http://127.0.0.1:{port}/a.mp3"/></body></smil>',
    "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n",
    "rtsp": "rtsp://127.0.0.1:{port}/a",
    "rtsp-text": "RTSPtext\nrtsp://127.0.0.1:{port}/a\n",
    "asx": '<asx version="3.0"><entry><ref href="http://127.0.0.1:{port}/a.wma"/></entry></asx>',
    "asf-reference": "[Reference]\r\nRef1=http://127.0.0.1:{port}/a.asf\r\n",
    "concat-url": "concat:{neighbour}|{neighbour}",
    "lavfi": "sine=frequency=440:duration=1",
    "lavfi-movie": "amovie={neighbour}",
    "subtitles": "1\n00:00:00,000 --> 00:00:01,000\n{neighbour}\n",
    "webvtt": "WEBVTT\n\n00:00.000 --> 00:01.000\n{neighbour}\n",
    "ffmetadata": ";FFMETADATA1\ntitle={neighbour}\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="http://127.0.0.1:{port}/a.png"/></svg>',
    "html": '<!doctype html><html><audio src="http://127.0.0.1:{port}/a.mp3"></audio></html>',
    "json": '{{"error": "not found"}}',
    "script": "#!/bin/sh\ncat {path}\n",
}


def refused(data: bytes | io.BytesIO) -> str:
    """The message of the refusal to decode `data`; fails unless it is refused as undecodable."""
    with pytest.raises(AudioUndecodable) as caught:
        decode_audio(data, max_audio_s=60)
    message = caught.value.message
    assert message.startswith("file: ")
    # Clients take an answer with such words for a bad key and stop.
    assert not re.search("invalid.*token|invalid.*api.*key|forbidden|unauthorized", message, re.IGNORECASE)
    return message


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("extension", [None, "m3u8"])
def test_uploads_that_name_others_are_refused(name, extension, canary, neighbour):
    """Playlists and the like reach neither the network nor the disk, even under a name that reveals their format."""
    path, port = str(neighbour), canary.getsockname()[1]
    upload = io.BytesIO(HOSTILE[name].format(path=path, neighbour=NEIGHBOUR, port=port).encode())
    if extension:
        upload.name = f"http://127.0.0.1:{port}/x.{extension}"
    assert ffmpeg.NOT_AUDIO in refused(upload)
    assert not was_called(canary)
    assert neighbour.stat().st_atime == 1_000_000_000


@pytest.mark.parametrize("wall", ["format_whitelist", "protocol_whitelist"])
@pytest.mark.parametrize("name", ["ffconcat", "ffconcat-unsafe", "hls-http", "hls-file", "hls-key", "dash", "sdp"])
def test_each_wall_holds_without_the_other(name, wall, canary, neighbour, monkeypatch):
    """The list of formats and the list of protocols each keep such files out alone."""
    port = canary.getsockname()[1]
    data = HOSTILE[name].format(path=neighbour, neighbour=NEIGHBOUR, port=port).encode()
    options = {key: value for key, value in ffmpeg.OPTIONS.items() if key != wall}
    monkeypatch.setattr(ffmpeg, "OPTIONS", options)
    refused(data)
    assert not was_called(canary)
    assert neighbour.stat().st_atime == 1_000_000_000


def test_a_second_file_would_be_empty():
    """Whatever a format makes FFmpeg open besides the upload is empty."""
    assert ffmpeg._open_nothing("file:///etc/hostname", 1, {}).read() == b""


def picture(codec: str, container: str) -> bytes:
    """One small grey picture."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=1)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = 64, 64
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, dtype=np.uint8), format="rgb24")
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def archive() -> bytes:
    """A zip with a sound in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.wav", riff(pcm16(tone(440, 1.0))))
    return file.getvalue()


NOT_MEDIA = {
    "text": b"hello " * 10_000,
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
    "one-byte": b"R",
    "zip": archive(),
    "gzip": zlib.compress(riff(pcm16(tone(440, 1.0))), wbits=31),
    "pdf": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF\n" * 100,
    "elf": b"\x7fELF\2\1\1" + bytes(5_000),
    "tar": b"a.wav".ljust(257, b"\0") + b"ustar\0" + bytes(5_000),
    "png": picture("png", "image2pipe"),
    "jpeg": picture("mjpeg", "image2pipe"),
    "id3-only": b"ID3\4\0\0\0\0\1\0" + bytes(128),
    "riff-only": b"RIFF\xff\xff\xff\xffWAVE",
    "ogg-only": b"OggS" + bytes(100),
    "ftyp-only": b"\0\0\0\x14ftypisom\0\0\0\0isom",
    "flac-only": b"fLaC",
}


@pytest.mark.parametrize("name", NOT_MEDIA)
def test_what_is_no_media_is_refused(name):
    """Documents, pictures, archives and bare headers are refused in our words."""
    refused(NOT_MEDIA[name])


@pytest.mark.parametrize("seed", range(10))
def test_random_bytes_are_refused(seed):
    """Noise that no format claims is no audio."""
    refused(random.Random(seed).randbytes(50_000))  # noqa: S311 - noise, not a secret


def test_an_empty_file_is_called_empty():
    """Zero bytes have a message of their own."""
    assert "empty (0 bytes)" in refused(b"")


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "avi"])
def test_video_without_sound_says_so(container):
    """A film without sound and a broken file get different errors."""
    assert "no audio stream" in refused(video(container=container))


def test_cover_art_alone_says_so():
    """An m4a that holds only its cover has no audio stream; an MP3 of tags alone gets an error that says so."""
    cover = picture("mjpeg", "image2pipe")
    data = struct.pack(">I4sII", 16 + len(cover), b"data", 13, 0) + cover
    ilst = box(b"ilst", box(b"covr", data))
    meta = full_box(b"meta", full_box(b"hdlr", b"\0\0\0\0mdirappl" + bytes(9)) + ilst)
    moov = box(b"moov", full_box(b"mvhd", bytes(96)) + box(b"udta", meta))
    assert "no audio stream" in refused(box(b"ftyp", b"M4A \0\0\0\0M4A ") + moov)
    assert "only ID3 tags" in refused(NOT_MEDIA["id3-only"])


def test_codec_outside_the_list_says_so():
    """A container that is welcome with a codec that is not."""
    assert "codec is not supported" in refused(encode(tone(440, 0.5), Kind("matroska", "ra_144", 8_000, "mono")))


@pytest.mark.parametrize("rate_hz", [0, 1, 3_999, 384_001, 768_000, 0xFFFFFFFF])
def test_absurd_rates_are_refused(rate_hz):
    """A kilobyte "at 1 Hz" would be ten minutes; no rate outside the range is resampled."""
    refused(riff(bytes(2_000), rate_hz=rate_hz))


@pytest.mark.parametrize("channels", [0, 9, 32, 255, 65_535])
def test_absurd_channel_counts_are_refused(channels):
    """More than eight channels, or none, are no recording."""
    refused(riff(bytes(100_000), channels=channels))


@pytest.mark.parametrize("bits", [0, 3, 7, 12, 33, 64, 255])
def test_absurd_sample_widths_end_well(bits):
    """An unusual sample width is decoded, or refused with an error of the service."""
    try:
        pcm = decode_audio(riff(bytes(20_000), bits=bits), max_audio_s=60)
    except InvalidRequest:
        return
    assert bool(np.isfinite(pcm).all())


def test_millions_of_packets_without_sound_are_not_all_tried():
    """A stream in which nothing decodes is left long before its end."""
    frames = b"\xff\xf1\x50\x80\x00\xff\xfc" * 1_000_000  # AAC headers without bodies

    class Reads(io.BytesIO):
        n_bytes = 0

        def read(self, size: int | None = -1, /) -> bytes:
            block = super().read(size)
            self.n_bytes += len(block)
            return block

    upload = Reads(frames)
    refused(upload)
    assert upload.n_bytes < len(frames) / 2


def test_polyglot_is_what_its_header_says():
    """WAV with HTML behind it, and inside a chunk, is that WAV and only that."""
    data = pcm16(tone(440, 1.0))
    html = b"<html><script>fetch('http://127.0.0.1/')</script></html>"
    for file in (riff(data) + html, riff(data, before=chunk(b"LIST", html))):
        assert decode_audio(file, max_audio_s=60).size == 16_000


def box(name: bytes, body: bytes) -> bytes:
    """One MP4 box."""
    return struct.pack(">I", 8 + len(body)) + name + body


def full_box(name: bytes, body: bytes) -> bytes:
    """One MP4 box with version and flags."""
    return box(name, bytes(4) + body)


def index_bomb(n_samples: int, n_tracks: int) -> bytes:
    """An MP4 of some kilobytes whose tracks claim `n_samples` packets each."""
    entry = box(
        b"mp4a",
        bytes(6) + struct.pack(">H", 1) + bytes(8) + struct.pack(">HHHHI", 2, 16, 0, 0, 44_100 << 16),
    )
    tables = [
        full_box(b"stsd", struct.pack(">I", 1) + entry),
        full_box(b"stts", struct.pack(">III", 1, n_samples, 1_024)),
        full_box(b"stsc", struct.pack(">IIII", 1, 1, n_samples, 1)),
        full_box(b"stsz", struct.pack(">II", 1, n_samples)),
        full_box(b"stco", struct.pack(">II", 1, 40)),
    ]
    minf = box(b"minf", full_box(b"smhd", bytes(4)) + box(b"stbl", b"".join(tables)))
    mdhd = full_box(b"mdhd", struct.pack(">IIIIHH", 0, 0, 44_100, n_samples, 0x55C4, 0))
    mdia = box(b"mdia", mdhd + full_box(b"hdlr", bytes(4) + b"soun" + bytes(13)) + minf)
    trak = box(b"trak", full_box(b"tkhd", bytes(80)) + mdia)
    moov = box(b"moov", full_box(b"mvhd", bytes(96)) + trak * n_tracks)
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"mdat", bytes(1_000)) + moov


@pytest.fixture(scope="module")
def title_bomb() -> bytes:
    """An ID3 tag of 160 kB whose compressed titles inflate to 160 MB, none over the largest allocation."""
    frames = b""
    for i in range(40):
        text = b"\0%d\0" % i + b"a" * 4_000_000
        body = syncsafe(len(text)) + zlib.compress(text, 9)
        frames += b"TXXX" + syncsafe(len(body)) + b"\0\x09" + body
    return b"ID3\4\0\0" + syncsafe(len(frames)) + frames


def syncsafe(number: int) -> bytes:
    """A number as ID3 writes it, seven bits to the byte."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


@pytest.fixture
def peak_mb() -> Callable[[], int]:
    """How much memory the test has held at most, beyond what the process held at its start."""

    def highest_mb() -> int:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) >> 10

    Path("/proc/self/clear_refs").write_text("5")  # Linux: forget the highest so far
    before_mb = highest_mb()
    return lambda: highest_mb() - before_mb


@pytest.mark.parametrize("where", ["mp3", "aac", "wav", "aiff", "aac-between"])
def test_compressed_tags_are_not_inflated(where, title_bomb, peak_mb):
    """Tags that would inflate a thousandfold cost nothing, and the audio behind them is decoded."""
    tag = title_bomb
    mp3, aac = encode(tone(440, 1.0, rate_hz=44_100), MP3), encode(tone(440, 1.0), Kind("adts", "aac", 16_000))
    aiff = encode(tone(440, 1.0), Kind("aiff", "pcm_s16be", 16_000))
    padding = b"\0" * (len(tag) % 2)
    file = {
        "mp3": tag + mp3,
        "aac": tag + aac,
        "wav": riff(pcm16(np.repeat(tone(440, 1.0), 2)), channels=2, before=chunk(b"id3 ", tag)),
        "aiff": aiff + b"ID3 " + struct.pack(">I", len(tag)) + tag + padding,
        "aac-between": aac + tag + aac,
    }[where]
    pcm = decode_audio(file, max_audio_s=60)
    assert strength(pcm[4_000:12_000], 440) == pytest.approx(0.4, rel=0.1)
    assert peak_mb() < 60


@pytest.mark.parametrize(("n_samples", "n_tracks"), [(80_000_000, 1), (20_000_000, 15), (20_000_000, 40)])
def test_claimed_indexes_are_not_built(n_samples, n_tracks, peak_mb):
    """A file of a few kB that claims gigabytes of index is refused without them."""
    with pytest.raises(InvalidRequest):
        decode_audio(index_bomb(n_samples, n_tracks), max_audio_s=60)
    assert peak_mb() < 100


def test_large_attachment_is_passed_over():
    """A Matroska-like weight of other data does not keep the sound from being found."""
    film = video(tone(440, 1.0, rate_hz=44_100), container="mp4")
    heavy = film + box(b"free", bytes(20 << 20))
    assert strength(decode_audio(heavy, max_audio_s=60)[4_000:12_000], 440) == pytest.approx(0.4, rel=0.1)


@pytest.mark.parametrize("container", ["matroska", "mp4", "mpegts"])
@pytest.mark.parametrize("n_streams", [16, 17, 100])
def test_streams_beyond_the_limit_are_refused(container, n_streams):
    """Sixteen tracks give the first; of a file with more nothing is decoded."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        streams = [output.add_stream("aac", rate=16_000, layout="mono") for _ in range(n_streams)]
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), dtype=np.int16), layout="mono")
        frame.sample_rate = 16_000
        for stream in streams:
            assert isinstance(stream, av.AudioStream)
            output.mux(stream.encode(frame))
        for stream in streams:
            output.mux(stream.encode(None))
    if n_streams == 16:
        assert decode_audio(file.getvalue(), max_audio_s=60).size == pytest.approx(16_000, abs=2_500)
    elif container == "mp4" and n_streams == 100:
        refused(file.getvalue())
    else:
        assert "more than 16 streams" in refused(file.getvalue())


def test_probing_runs_no_video_decoder():
    """FFmpeg decodes pictures to learn their format, unless their codec is not on the list."""
    film = io.BytesIO(video(tone(440, 1.0, rate_hz=44_100), container="mpegts"))
    with av.open(film, container_options=ffmpeg.OPTIONS) as opened:
        assert opened.streams.video[0].codec_context.pix_fmt is None


def test_ffmpeg_keeps_quiet(capfd):
    """A damaged file writes nothing to the process's own output."""
    damaged = bytearray(encode(silence(2.0, rate_hz=44_100), MP3))
    damaged[200:4_000] = b"\xff\xfb" * 1_900
    for file in (bytes(damaged), b"RIFF" * 100, encode(tone(440, 1.0), Kind("mp4", "aac", 16_000))[:2_000]):
        try:
            decode_audio(file, max_audio_s=60)
        except InvalidRequest:
            continue
    assert capfd.readouterr() == ("", "")
