"""Live clients: people who talk, people who leave, and clients that send nonsense. Async."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import uuid
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from app.live.client.client import Line, ListenerCallbacks, LiveClient, Refused
from app.live.client.sources import paced
from tests.chaos.disturbances import BREAK_LIVE_STREAMS, Disturbances
from tests.chaos.heard import Heard
from tests.chaos.passages import passages
from tests.chaos.recordings import Part
from tests.chaos.tally import Tally

PLATFORM = "soak"
TALK, LEAVE, NONSENSE = "live", "live hang-up", "live bad input"
# Of a recording of thirty seconds: the end of what is said, the last pass, and connecting again after faults.
PATIENCE_S = 120.0
ANSWER_S = 20.0
BREAK_RETRY_S = 0.5
POLICY_VIOLATION = 1008
FRAME_SAMPLES = 4096
LOST_RUN_WORDS = 8  # three seconds; a small model alone leaves out or adds five words in a row
NONSENSE_FRAMES: tuple[str | bytes, ...] = (
    "hello",
    b"\x00\xff" * 100,
    "[" * 100_000,
    json.dumps({"uid": ["no", "text"]}),
    json.dumps({"uid": "a", "audio_format": "mp3"}),
)


class Speakers:
    """Live clients of the cluster."""

    def __init__(
        self,
        url: str,
        parts: Sequence[Part],
        tally: Tally,
        faults: Disturbances,
        *,
        heard: Heard,
        as_files: dict[str, str],
        dice: random.Random,
    ) -> None:
        """`as_files` is the text of each part as a file, by its name; empty if texts say nothing about the audio."""
        self._url = url
        self._parts = parts
        self._tally = tally
        self._faults = faults
        self._heard = heard
        self._as_files = as_files
        self._dice = dice

    async def talk(self) -> None:
        """Say one part of the conversation with the product's own client, and judge the text."""
        part = self._dice.choice(self._parts)
        name = part.recording.name
        row = self._tally.of(TALK)
        row.sent += 1
        lines: list[Line] = []
        events = ListenerCallbacks(
            line=lambda line: lines.append(line) if line.completed else None,
            notice=self._notice,
            message=lambda message: self._heard.message(message, time.monotonic()),
        )
        client = LiveClient(self._url, handshake=self._handshake(), events=events)
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(part.recording.audio_s + PATIENCE_S):
                await client.run(paced(part.pcm))
        except (OSError, Refused, TimeoutError) as error:
            self._tally.unanswered(TALK, f"{name}: {error!r} after {time.monotonic() - began_s:.0f} s")
            return
        self._judge(part, " ".join(line.text.strip() for line in lines), time.monotonic() - began_s)

    async def leave(self) -> None:
        """Talk for some seconds, and reset the connection."""
        pcm = self._dice.choice(self._parts).pcm
        row = self._tally.of(LEAVE)
        row.sent += 1
        row.hung_up += 1
        with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake, TimeoutError):
            async with asyncio.timeout(ANSWER_S), connect(self._url, compression=None) as socket:
                hello = {"uid": str(uuid.uuid4()), **self._handshake(), "audio_format": "int16"}
                await socket.send(json.dumps(hello))
                for start in range(0, self._dice.randrange(FRAME_SAMPLES, 10 * 16_000), FRAME_SAMPLES):
                    await socket.send(pcm[start : start + FRAME_SAMPLES].tobytes())
                    await asyncio.sleep(FRAME_SAMPLES / 16_000)
                socket.transport.abort()

    async def babble(self) -> None:
        """Send something that is no handshake; the gateway must refuse it and close the connection."""
        frame = self._dice.choice(NONSENSE_FRAMES)
        row = self._tally.of(NONSENSE)
        row.sent += 1
        began_s = time.monotonic()
        while True:
            try_s = time.monotonic()
            code, reason = await self._code_for(frame)
            if code == POLICY_VIOLATION or not self._faults.explain(BREAK_LIVE_STREAMS, try_s, time.monotonic()):
                break
            row.broken += 1
            await asyncio.sleep(BREAK_RETRY_S)
        if code == POLICY_VIOLATION:
            self._tally.served(NONSENSE, time.monotonic() - began_s)
        elif code is None:
            self._tally.unanswered(NONSENSE, f"{str(frame)[:40]}: {reason}")
        else:
            self._tally.wrong(NONSENSE, f"{str(frame)[:40]}: closed with {code} instead of {POLICY_VIOLATION}")

    async def _code_for(self, frame: str | bytes) -> tuple[int | None, str]:
        """Return the code with which the gateway closes after this frame; None and the reason if it did not."""
        try:
            async with asyncio.timeout(ANSWER_S), connect(self._url, compression=None) as socket:
                await socket.send(frame)
                await socket.wait_closed()
            return socket.close_code, ""
        except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
            return None, repr(error)

    def _judge(self, part: Part, text: str, took_s: float) -> None:
        name = part.recording.name
        as_file = self._as_files.get(name)
        if as_file is None:
            if text:
                self._tally.served(TALK, took_s)
            else:
                self._tally.wrong(TALK, f"{name}: no text")
            return
        live = passages(part.said, text)
        self._heard.compared(live.words, live=live.errors, as_file=passages(part.said, as_file).errors)
        # What the model does not hear in the file, it need not hear live.
        against_file = passages(as_file, text)
        lost, doubled = min(live.missing, against_file.missing), min(live.additional, against_file.additional)
        if max(lost, doubled) >= LOST_RUN_WORDS:
            self._tally.wrong(TALK, f"{name}: {lost} words lost, {doubled} added in a row: {text!r}; file: {as_file!r}")
        else:
            self._tally.served(TALK, took_s)

    def _handshake(self) -> dict[str, Any]:
        room = f"room-{len(self._heard.rooms)}"
        self._heard.rooms.append(room)
        return {"language": "en", "task": "transcribe", "platform": PLATFORM, "meeting_id": room}

    def _notice(self, text: str) -> None:
        if "connection lost" in text:
            self._tally.of(TALK).broken += 1
        if "connected again" in text:
            self._tally.of(TALK).retried += 1
        self._heard.notice(text)
