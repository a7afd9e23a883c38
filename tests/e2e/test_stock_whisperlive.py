"""The real `whisper-live` 0.10 client from PyPI against the gateway, over real sockets.

Needs `pip install --no-deps -r requirements-stock-client.txt`.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from app.live.admission import StreamLimits
from app.live.session.connection import SessionLimits
from tests.live import live, real, stock, tones
from tests.live.backend import Backend, HttpServer

ROOT = Path(__file__).resolve().parents[2]


def start(tmp_path, *arguments):
    """The client as a process, in its own directory."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.live.stock_run", *map(str, arguments)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process, timeout_s=90):
    """What the client printed, and its own log."""
    out, err = process.communicate(timeout=timeout_s)
    assert process.returncode == 0, err[-2000:]
    return json.loads(out), err


@pytest.fixture(scope="module")
def gateway():
    """One gateway for all clients here."""
    backend = Backend(delay_s=0.15, jitter_s=0.05)
    with HttpServer(backend) as service, real.running(service.url, limits=SessionLimits(drain_grace_s=1)) as running:
        yield running


def test_file_client_gets_every_word_and_an_srt_with_each_sentence_once(gateway, tmp_path):
    """By the stock rule: audio in real time, no END_OF_AUDIO until 15 s without messages, and no word missing."""
    recording = tones.chatter(8, seed=101)
    wav = stock.write_wav(tmp_path / "talk.wav", recording.pcm)
    answer, _ = result(start(tmp_path, "file", gateway.port, wav, tmp_path / "talk.srt"))
    assert tones.plain(answer["text"]) == recording.text
    lines = stock.read_srt(tmp_path / "talk.srt")
    assert tones.plain(" ".join(text for _, text in lines)) == recording.text
    assert max(Counter(times for times, _ in lines).values()) == 1


def test_file_client_whose_audio_ends_within_the_last_word(gateway, tmp_path):
    """Without silence after the last word it arrives too, once."""
    recording = tones.speak([["alpha", "bravo"], ["kilo", "lima", "zulu"]], tail_s=0, pause_s=0.0)
    wav = stock.write_wav(tmp_path / "cut.wav", recording.pcm)
    answer, _ = result(start(tmp_path, "file", gateway.port, wav, tmp_path / "cut.srt", 3))
    assert tones.plain(answer["text"]) == recording.text
    assert tones.plain(" ".join(text for _, text in stock.read_srt(tmp_path / "cut.srt"))) == recording.text


def test_equal_sentences_in_a_row_are_kept(gateway, tmp_path):
    """A sentence spoken three times is three entries."""
    recording = tones.speak([["oscar"], ["oscar"], ["oscar"]], pause_s=1.2)
    wav = stock.write_wav(tmp_path / "same.wav", recording.pcm)
    answer, _ = result(start(tmp_path, "file", gateway.port, wav, tmp_path / "same.srt", 3))
    assert tones.plain(answer["text"]) == ["oscar"] * 3
    assert len(stock.read_srt(tmp_path / "same.srt")) == 3


def test_streaming_client_gets_every_word_and_a_quick_close(gateway, tmp_path):
    """Every completed segment once, in order, with two segments per message; the close follows the last word."""
    recording = tones.chatter(12, seed=102, words_per_sentence=(2, 4))
    wav = stock.write_wav(tmp_path / "talk.wav", recording.pcm[: -tones.RATE])
    answer, _ = result(start(tmp_path, "stream", gateway.port, wav))
    assert tones.plain(" ".join(answer["committed"])) == recording.text
    assert answer["partials"]
    assert answer["language"] == "en"
    assert answer["closing_s"] < 10
    assert answer["errors"] in ([], ["Connection closed normally (code 1000)"])  # its text for a normal close


def test_full_server_is_understood(tmp_path):
    """With WAIT and an open socket the client reports a full server, not a closed connection."""
    with (
        HttpServer(Backend()) as service,
        real.running(
            service.url, admission=StreamLimits(max_clients=1), limits=SessionLimits(drain_grace_s=1)
        ) as running,
    ):

        async def occupy():
            async with connect(running.url) as ws:
                await ws.send(live.handshake())
                await ws.recv()
                return await asyncio.to_thread(result, start(tmp_path, "connect", running.port))

        refused, _ = asyncio.run(occupy())
    assert refused["error"] == "Server is full."


def test_overtime_still_gives_the_file_client_its_srt(tmp_path):
    """After DISCONNECT during the file the client stops, waits, and writes the sentences it has."""
    recording = tones.chatter(20, seed=103)
    wav = stock.write_wav(tmp_path / "long.wav", recording.pcm)
    limits = SessionLimits(max_connection_time_s=6, disconnect_hold_s=20, drain_grace_s=1)
    with HttpServer(Backend(delay_s=0.1)) as service, real.running(service.url, limits=limits) as running:
        answer, _ = result(start(tmp_path, "file", running.port, wav, tmp_path / "long.srt", 5))
    said = [word.text for word in recording.words if word.end < 5]
    assert tones.plain(answer["text"])[: len(said)] == said
    assert tones.plain(" ".join(text for _, text in stock.read_srt(tmp_path / "long.srt")))[: len(said)] == said


def test_four_stock_clients_at_once_never_mix(gateway, tmp_path):
    """Each client's SRT contains its own words and no others."""
    recordings = [tones.chatter(6, seed=110 + i) for i in range(4)]
    processes = []
    for i, recording in enumerate(recordings):
        folder = tmp_path / str(i)
        folder.mkdir()
        wav = stock.write_wav(folder / "talk.wav", recording.pcm)
        processes.append(start(folder, "file", gateway.port, wav, folder / "talk.srt", 4))
    for process, recording in zip(processes, recordings, strict=True):
        answer, _ = result(process)
        assert tones.plain(answer["text"]) == recording.text
