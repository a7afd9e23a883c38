"""Recordings through the live policy in simulated time."""

import asyncio
import os
from typing import cast

import numpy as np

from app.core.pcm import to_pcm16
from app.live.policy.hypothesis import Hypothesis, from_body
from app.live.policy.stream_policy import StreamPolicy
from app.live.policy.windows import LiveWindow
from app.live.remote import RemoteOptions, RemoteTranscriber
from bench.live.material import Material
from bench.live.replay import player, replay
from bench.live.score import score
from tests.live import tones


class ToneService:
    """Recognises tones; counts the windows."""

    def __init__(self) -> None:
        self.n_windows = 0

    async def transcribe(self, window: LiveWindow, options: RemoteOptions) -> Hypothesis:
        """The words in the window's audio."""
        self.n_windows += 1
        assert options.tier == "realtime"
        pcm = np.frombuffer(window.pcm, dtype="<i2").astype(np.float32) / 32768
        return from_body({"segments": tones.hear(pcm)}, no_speech_thresh=0.45, duration_s=window.duration_s)


def test_replayed_words_are_complete_and_measured():
    """Two streams that share one call at a time get every word, with delays in simulated seconds."""
    recordings = [tones.chatter(12, seed=seed) for seed in (1, 2)]
    players = [
        player(
            Material(f"{number}.wav", "en", to_pcm16(recording.pcm), " ".join(recording.text), ()),
            number,
            StreamPolicy(),
            started_s=float(number),
        )
        for number, recording in enumerate(recordings)
    ]
    service = ToneService()
    asyncio.run(replay(players, cast("RemoteTranscriber", service), os.getpid(), calls=1))
    scores = [score(each.record, 1.0) for each in players]
    assert [judged.wer for judged in scores] == [0, 0]
    assert [len(judged.words) for judged in scores] == [len(recording.text) for recording in recordings]
    assert all(0 < word.done_s < 10 for judged in scores for word in judged.words)
    assert service.n_windows == sum(len(each.cpu_s) for each in players)
