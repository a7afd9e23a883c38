"""The paced measurement: what is played, and what its command line refuses."""

import json

import numpy as np
import pytest

from bench.live import client, paced
from bench.live.client import ClientRecord
from bench.live.material import RATE, Material


def spoken(name, value):
    """One second of a constant, named and with its name as reference."""
    return Material(name, "en", np.full(RATE, value, dtype=np.int16), name, ())


def test_each_playlist_begins_with_another_recording():
    """All recordings are in each playlist, with a second of silence between them, and the reference follows."""
    one, two = spoken("one", 1), spoken("two", 2)
    first, second = paced.playlist([one, two], 0), paced.playlist([one, two], 1)
    assert first.duration_s == second.duration_s == 3.0
    assert first.pcm[[0, RATE, 2 * RATE]].tolist() == [1, 0, 2]
    assert second.pcm[[0, RATE, 2 * RATE]].tolist() == [2, 0, 1]
    assert (first.reference, second.reference) == ("one two", "two one")


@pytest.mark.parametrize(("n_streams", "played"), [(1, ["one", "two"]), (3, ["from one", "from two", "from one"])])
async def test_streams_of_a_level(monkeypatch, n_streams, played):
    """One stream plays the recordings in turn; more streams play playlists at the same time."""

    async def play(url, material, *, speed, language, delay_s=0.0):
        assert (url, speed, language) == ("ws://gateway", 1.0, "en")
        assert 0 <= delay_s < paced.SPREAD_S
        return ClientRecord("uid", material)

    monkeypatch.setattr(client, "play", play)
    records = await paced.play_level("ws://gateway", [spoken("one", 1), spoken("two", 2)], n_streams)
    assert [record.material.name for record in records] == played


def test_a_folder_without_the_recordings_is_refused(tmp_path):
    """The message names the folder and what was looked for."""
    entry = {"file": "talk.flac", "text": "a word", "language": "en", "seconds": 1}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    command = ["--set", str(tmp_path), "--gateway", "ws://127.0.0.1:1", "--worker", "http://127.0.0.1:1"]
    with pytest.raises(SystemExit, match="'meeting' in its name"):
        paced.main([*command, "--name", "test", "--only", "meeting"])


def test_a_missing_server_is_named(tmp_path):
    """Both processes must run on this machine."""
    entry = {"file": "talk.flac", "text": "a word", "language": "en", "seconds": 1}
    (tmp_path / "manifest.json").write_text(json.dumps([entry]))
    command = ["--set", str(tmp_path), "--gateway", "ws://127.0.0.1:1", "--worker", "http://127.0.0.1:1"]
    with pytest.raises(SystemExit, match="no worker and no gateway"):
        paced.main([*command, "--name", "test"])
