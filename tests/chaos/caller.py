"""Send a request until it is answered as it must be, and judge every answer on the way. Async (aiohttp)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from tests.chaos.answers import NoTranscript, text_of
from tests.chaos.disturbances import BREAK_BEGUN_RESPONSES, BREAK_REQUESTS, Disturbances
from tests.chaos.tally import Tally
from tests.chaos.uploads import Upload

TRY_TIMEOUT_S = 120.0
PATIENCE_S = 240.0  # from the first try of a request to its 200
OK = 200
BUSY = (503, 429)
LONGEST_RETRY_S = 60.0
BREAK_RETRY_S = 0.5


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status, its Retry-After (None without one) and its body."""

    status: int
    retry_after_s: float | None
    body: bytes


class Caller:
    """A patient client of the cluster.

    Attributes:
        expected: the idle cluster's text by the name of the upload.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, tally: Tally, faults: Disturbances) -> None:
        self.expected: dict[str, str] = {}
        self._session = session
        self._url = url
        self._tally = tally
        self._faults = faults

    async def transcribe(self, upload: Upload) -> None:
        """Send it until it is transcribed, and compare the text."""
        answer = await self._until_served(upload)
        if answer is None:
            return
        body, took_s = answer
        try:
            text = text_of(body, upload.format)
        except NoTranscript as error:
            self._tally.wrong(upload.kind, f"{upload.name}: {error}")
            return
        if text == self.expected[upload.name]:
            self._tally.served(upload.kind, took_s)
        else:
            self._tally.wrong(upload.kind, f"{upload.name}: {text!r} instead of {self.expected[upload.name]!r}")

    async def refuse(self, upload: Upload) -> None:
        """Send a request that must be refused with 4xx, and an error that says why."""
        answer = await self._until_served(upload, served=lambda status: 400 <= status < 500)
        if answer is None:
            return
        body, took_s = answer
        try:
            message = str(json.loads(body)["error"]["message"])
        except (ValueError, KeyError, TypeError):
            message = ""
        if message:
            self._tally.served(upload.kind, took_s)
        else:
            self._tally.wrong(upload.kind, f"{upload.name}: no error message in {body[:120]!r}")

    async def text_when_idle(self, upload: Upload) -> str:
        """Transcribe on an idle cluster; nothing is counted.

        Raises:
            ConnectionError: it does not transcribe even then.
        """
        try:
            answer = await self._post(upload)
            if answer.status == OK:
                return text_of(answer.body, upload.format)
        except (aiohttp.ClientError, TimeoutError, NoTranscript) as error:
            raise ConnectionError(f"{upload.name}: {error!r} on an idle cluster") from error
        raise ConnectionError(f"{upload.name}: {answer.status} on an idle cluster: {answer.body[:300]!r}")

    async def status_when_idle(self, upload: Upload) -> int:
        """Return the status that an idle cluster answers with."""
        return (await self._post(upload)).status

    async def _until_served(
        self, upload: Upload, *, served: Callable[[int], bool] = lambda status: status == OK
    ) -> tuple[bytes, float] | None:
        """Return the body and the seconds until it came; None, counted, if that does not happen."""
        row = self._tally.of(upload.kind)
        row.sent += 1
        began_s = time.monotonic()
        tries = 0
        while time.monotonic() - began_s < PATIENCE_S:
            tries += 1
            row.retried += tries == 2
            try_s = time.monotonic()
            try:
                answer = await self._post(upload)
            except (aiohttp.ClientError, TimeoutError) as error:
                begun = upload.format == "events" or isinstance(error, aiohttp.ClientPayloadError)
                if not self._explained(try_s, begun=begun):
                    self._tally.unanswered(upload.kind, f"{upload.name}: {error!r} after {_since(try_s):.1f} s")
                    return None
                row.broken += 1
                await asyncio.sleep(BREAK_RETRY_S)
                continue
            self._tally.answers += 1
            if answer.status in BUSY and answer.retry_after_s is not None:
                row.refused += 1
                await asyncio.sleep(answer.retry_after_s)
                continue
            if not served(answer.status):
                self._tally.wrong(upload.kind, f"{upload.name}: {answer.status}: {answer.body[:200]!r}")
                return None
            if upload.format == "events" and not _is_complete(answer.body) and self._explained(try_s, begun=True):
                row.broken += 1
                continue
            return answer.body, _since(began_s)
        self._tally.unanswered(upload.kind, f"{upload.name}: no 200 within {PATIENCE_S:.0f} s and {tries} tries")
        return None

    async def _post(self, upload: Upload) -> Answer:
        async with self._session.post(
            self._url + upload.path,
            data=upload.body,
            headers={"Content-Type": upload.content_type},
            timeout=aiohttp.ClientTimeout(total=TRY_TIMEOUT_S),
        ) as response:
            body = await response.read()
            return Answer(response.status, _seconds(response.headers.get("Retry-After")), body)

    def _explained(self, began_s: float, *, begun: bool) -> bool:
        """Does a fault explain that the connection broke? `begun`: the response may have begun."""
        roles = BREAK_BEGUN_RESPONSES if begun else BREAK_REQUESTS
        return self._faults.explain(roles, began_s, time.monotonic())


def _is_complete(events: bytes) -> bool:
    return events.rstrip().endswith(b"data: [DONE]")


def _since(moment_s: float) -> float:
    return time.monotonic() - moment_s


def _seconds(retry_after: str | None) -> float | None:
    """Return the header in seconds; None if it is absent or no number of seconds that a client would wait."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds <= LONGEST_RETRY_S else None
