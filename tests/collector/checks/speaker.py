"""Live clients of a gateway that talk in a meeting, as Vexa's bots do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.live import live, tones


class Bot:
    """A client, and what it was shown as final."""

    def __init__(self, port: int, uid: str, meeting: int, **handshake: Any) -> None:
        self.uid = uid
        self.identity = {"uid": uid, "platform": "google_meet", "meeting_id": meeting, **handshake}
        self._port = port
        self._segments: dict[tuple[str, str], str] = {}

    async def talk(self, pcm: Any, *, speed: float, frames: tuple[dict[str, Any], ...] = ()) -> None:
        """Send a recording so many times faster than it was spoken, with these JSON frames first, and its end."""
        async with connect(f"ws://127.0.0.1:{self._port}") as ws:
            await ws.send(live.handshake(**self.identity))
            listening = asyncio.create_task(self._listen(ws))
            for frame in frames:
                await ws.send(json.dumps(frame))
            for start in range(0, len(pcm), live.CHUNK):
                await ws.send(pcm[start : start + live.CHUNK].astype("<f4").tobytes())
                await asyncio.sleep(live.CHUNK / tones.RATE / speed)
            await ws.send(b"END_OF_AUDIO")
            await listening

    def speaks(self, kind: str, name: str, t_ms: int) -> dict[str, Any]:
        """The frame with which a bot tells who speaks."""
        event = {
            "event_type": f"SPEAKER_{kind}",
            "participant_name": name,
            "relative_client_timestamp_ms": t_ms,
            **self.identity,
        }
        return {"type": "speaker_activity", "payload": event}

    async def _listen(self, ws: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                for segment in json.loads(await ws.recv()).get("segments", ()):
                    if segment["completed"]:
                        self._segments[segment["start"], segment["end"]] = segment["text"].strip()

    @property
    def texts(self) -> list[str]:
        """The finals in order."""
        return list(self._segments.values())

    @property
    def words(self) -> list[str]:
        """The words of its finals."""
        return " ".join(self.texts).split()
