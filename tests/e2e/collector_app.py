"""The collector's application for tests of its page: realistic meetings, and a socket that a test speaks through."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.routing import APIWebSocketRoute

from app.collector.api.app import create_app
from app.collector.facts import Entry, Room, SegmentFact, Segments, SessionStart
from app.collector.render.frames import frames
from app.collector.rows import Hit, Page
from app.collector.services import Services
from tests.clients import poll
from tests.collector.api.said import START_MS, entry
from tests.collector.api.server import listening
from tests.collector.fakes import FakeStore, services

T = TypeVar("T")

PLANNING: Final = Room(platform="google_meet", native_id="zqe-gfmd-knr")
HOSTILE: Final = "<img src=x onerror=\"document.title='owned'\"> & <b>bold</b>"
# Speaker and text, five seconds each.
SAID: Final = (
    ("Ann Berg", "Good morning, everyone. Let us begin with the release."),
    ("Ann Berg", "We promised the new search for the end of the month."),
    ("Bruno Keller", "The index is built. What is missing is the ranking of short words."),
    ("Chidi Okafor", "I measured it yesterday: two hundred milliseconds for a million segments."),
    ("Bruno Keller", "That is within the budget, so I would ship it."),
    ("Ann Berg", "Agreed. What about the documentation?"),
    ("Dana Lev", "The draft is ready, I only need a screenshot of the page."),
    ("Ann Berg", "Then we can publish on Thursday."),
)


class PageStore(FakeStore):
    """A store whose search marks what it found, as the real one does."""

    async def search(self, owner_id: int, query: str, **kwargs: Any) -> Page[Hit]:
        """Search for one word."""
        page = await super().search(owner_id, query, **kwargs)
        word = re.compile(re.escape(html.escape(query)), re.IGNORECASE)
        marked = (word.sub(lambda found: f"<b>{found[0]}</b>", html.escape(hit.segment.text)) for hit in page.items)
        hits = zip(page.items, marked, strict=True)
        return Page(tuple(Hit(hit.meeting, hit.segment, snippet) for hit, snippet in hits))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; Playwright's synchronous driver occupies this thread's loop."""
    with ThreadPoolExecutor(1) as other_thread:
        return other_thread.submit(asyncio.run, work).result()


def spoken(
    number: int, speaker: str, text: str, *, room: Room = PLANNING, session: str = "c1", completed: bool = True
) -> Entry:
    """What somebody says in the five seconds of this number."""
    fact = SegmentFact(
        key=f"{session}:{number}",
        has_id=True,
        text=text,
        completed=completed,
        start_ms=number * 5000,
        end_ms=number * 5000 + 4600,
        language="en",
        speaker=speaker,
    )
    at_ms = number * 5000 + (4700 if completed else 2000)
    return entry(at_ms, Segments((fact,)), room=room, session=session)


def begun(room: Room = PLANNING, session: str = "c1", start_ms: int = START_MS) -> Entry:
    """The beginning of a session."""
    return entry(start_ms - START_MS, SessionStart(start_ms), room=room, session=session)


@dataclass
class PageServer:
    """A running application, its store, and the live readers that are connected.

    Attributes:
        subscribed: what each connection asked to follow.
        keys: the key in the address of each connection.
    """

    store: PageStore
    url: str = ""
    subscribed: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    _queue: asyncio.Queue[dict[str, Any] | None] | None = None
    _loop: asyncio.AbstractEventLoop | None = None

    def say(self, *entries: Entry, push: bool = False) -> None:
        """Store entries; `push`: tell the live reader, as the collector does after its commit."""
        applied = run(self.store.apply(entries))
        for change in applied.changes if push else ():
            for frame in frames(change, now_ms=START_MS):
                self.push(frame)

    def push(self, frame: dict[str, Any] | None) -> None:
        """Send a frame to the live reader; None ends the connection."""
        poll(lambda: self._queue is not None)
        assert self._loop is not None
        assert self._queue is not None
        self._loop.call_soon_threadsafe(self._queue.put_nowait, frame)

    def patch(self, room: Room, **data: Any) -> None:
        """Describe a meeting."""
        number = next(id_ for id_, each in self.store.found.items() if each.row.native_id == room.native_id)
        run(self.store.patch_meeting(number, data, now_ms=START_MS))

    async def follow(self, socket: WebSocket) -> None:
        """Serve one live reader."""
        await socket.accept()
        self.keys.append(socket.query_params.get("api_key", ""))
        self.subscribed.append(await socket.receive_json())
        named = [{"platform": each["platform"], "native_id": each["native_id"]} for each in self._last["meetings"]]
        await socket.send_json({"type": "subscribed", "meetings": named})
        self._loop, self._queue = asyncio.get_running_loop(), asyncio.Queue()
        queue = self._queue
        try:
            while (frame := await queue.get()) is not None:
                await socket.send_json(frame)
            await socket.close()
        except WebSocketDisconnect:
            pass
        if self._queue is queue:
            self._queue = None

    @property
    def _last(self) -> dict[str, Any]:
        return self.subscribed[-1]


async def refuse(socket: WebSocket) -> None:
    """Let no socket through."""
    await socket.close()


@contextmanager
def collector(*, live: bool = False, parts: Services | None = None) -> Iterator[PageServer]:
    """An application with one meeting in which everybody has spoken; `live`: it has a socket."""
    store = PageStore()
    if parts is not None:
        assert isinstance(parts.store, PageStore)
        store = parts.store
    app: FastAPI = create_app(parts or services(store=store))
    server = PageServer(store)
    # before the application's own: these tests decide what is pushed, and whether a proxy lets sockets through
    app.router.routes.insert(0, APIWebSocketRoute("/ws", server.follow if live else refuse))
    server.say(begun(), *(spoken(number, *said) for number, said in enumerate(SAID)))
    with listening(app) as url:
        server.url = url
        yield server
        if server._queue is not None:
            server.push(None)
