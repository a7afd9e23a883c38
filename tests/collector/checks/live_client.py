"""Readers of the live push that merge frames by segment_id, as clients are told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter, defaultdict
from typing import Any, Self

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed


class Merged:
    """What a reader has of several meetings.

    Attributes:
        segments: by meeting and segment_id, the newest form of each.
        seq: by meeting, the last one that was seen.
        arrivals: how often each final's segment_id was sent.
    """

    def __init__(self) -> None:
        self.segments: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
        self.seq: dict[int, int] = {}
        self.arrivals: Counter[str] = Counter()
        self.frames: list[dict[str, Any]] = []

    def merge(self, frame: dict[str, Any]) -> None:
        """Take one frame."""
        self.frames.append(frame)
        if frame["type"] not in {"transcript", "transcript_retract"}:
            return
        meeting = int(frame["meeting"]["id"])
        for segment in frame.get("confirmed", ()):
            self.segments[meeting][segment["segment_id"]] = segment
            self.arrivals[segment["segment_id"]] += 1
        for segment_id in frame.get("segment_ids", ()):
            self.segments[meeting].pop(segment_id, None)
        self.seq[meeting] = max(self.seq.get(meeting, 0), frame.get("seq") or 0)

    def texts(self, meeting: int) -> list[str]:
        """The finals of a meeting in reading order."""
        segments = sorted(self.segments[meeting].values(), key=lambda each: each["absolute_start_time"])
        return [each["text"] for each in segments]

    async def shows(self, meeting: int, texts: list[str]) -> bool:
        """Are these its finals?"""
        return self.texts(meeting) == texts


class LiveSocket(Merged):
    """A client of `/ws` that reads all the time."""

    def __init__(self, url: str, *, key: str = "") -> None:
        super().__init__()
        self._url = url.replace("http", "ws", 1) + "/ws" + (f"?api_key={key}" if key else "")
        self._ws: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers: dict[tuple[str, str], int] = {}

    async def __aenter__(self) -> Self:
        self._ws = await connect(self._url, max_size=None)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._ws is not None
        assert self._reading is not None
        await self._ws.close()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def subscribe(self, meeting: int, *, since_seq: int = 0, platform: str = "google_meet") -> None:
        """Follow a meeting, by the name that it has if its producer sent a number only."""
        assert self._ws is not None
        wanted = {"platform": platform, "native_id": str(meeting), "meeting_id": meeting, "since_seq": since_seq}
        await self._ws.send(json.dumps({"action": "subscribe", "meetings": [wanted]}))

    async def _read(self) -> None:
        assert self._ws is not None
        with contextlib.suppress(ConnectionClosed):
            async for message in self._ws:
                self.merge(json.loads(message))


class LiveEvents(Merged):
    """A client of the server-sent events of one meeting; `last_id` is what a browser would send again."""

    def __init__(self) -> None:
        super().__init__()
        self.last_id: str | None = None

    async def read(self, url: str, path: str, **params: Any) -> None:
        """Read until the server is gone or the task is cancelled."""
        headers = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        async with httpx.AsyncClient(base_url=url, timeout=None) as http:  # noqa: S113 - it waits for speech
            with contextlib.suppress(httpx.TransportError):
                async with http.stream("GET", f"{path}/stream", params=params, headers=headers) as answer:
                    answer.raise_for_status()
                    await self._events(answer)

    async def _events(self, answer: httpx.Response) -> None:
        seen_id, data = None, None
        async for line in answer.aiter_lines():
            name, _, value = line.partition(":")
            if name == "id":
                seen_id = value.strip()
            elif name == "data":
                data = value.strip()
            elif not line and data is not None:
                self.merge(json.loads(data))
                self.last_id, data = seen_id or self.last_id, None
