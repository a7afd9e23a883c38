"""RemoteTranscriber: one window to the transcription service and back, and what a refusal means.

    Busy(retry_after_s)     503 or 429: no work was done; keep the audio, come later with more
    Unavailable             connection trouble, other 5xx: the same, with a growing delay
       TimedOut                no answer in time: with shorter windows, too
    Rejected(kind)          it will not work however often it is asked:
       audio                   this audio is not taken (400, 413, 415, 422)
       language                the client's language is not known there (400 that names the field)
       translation             it was asked to translate, and that is what it does not do
       setup                   the address, key, model or an option is wrong (every other 4xx)

No retries in here: a retry would send audio that is already old. The stream sends a newer, larger
window instead. Cancelling a call closes its connection, which stops the work at the service.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.hypothesis import Hypothesis, NoTranscript, from_body
from app.live.policy.windows import LiveWindow
from app.live.wav import SHORTEST_SAMPLES, encode_wav

log = logging.getLogger(__name__)

LEAST_RETRY_AFTER_S = 0.5
AUDIO_REJECTED = {400, 413, 415, 422}
NOT_ABOUT_THE_TASK = {401, 403, 404, 413, 415}
BUSY = {429, 503}
TOO_SLOW = {408, 504}


RejectedKind = Literal["audio", "language", "translation", "setup"]
REJECTED: dict[RejectedKind, str] = {
    "audio": "this audio",
    "language": "the language",
    "translation": "to translate",
    "setup": "requests of this gateway (its address, key or model)",
}


class RemoteError(Exception):
    """Root of what a call can fail with; `outcome` is a word for metrics, the message is for the client."""

    outcome = "error"


class Busy(RemoteError):
    """Every slot of the service is taken; no work was done."""

    outcome = "busy"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the transcription service is busy, next try in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Unavailable(RemoteError):
    """No answer, or a broken one; the next try may go through."""

    outcome = "unavailable"


class TimedOut(Unavailable):
    """No answer in time; a shorter window may get one."""


class Rejected(RemoteError):
    """A permanent refusal."""

    def __init__(self, status: int, kind: RejectedKind) -> None:
        super().__init__(f"the transcription service refuses {REJECTED[kind]} with status {status}")
        self.kind = kind
        self.outcome = f"rejected_{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """What a stream asks for besides its window."""

    task: Literal["transcribe", "translate"] = "transcribe"
    tier: Literal["realtime", "deferred"] = "realtime"
    model: str | None = None
    no_speech_thresh: float = 0.45
    request_id: str = ""


class RemoteTranscriber:
    """A client of `/v1/audio/transcriptions`; one for all streams, so that connections are reused."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        *,
        url: str,
        api_key: str = "",
        model: str = "default",
        temperature: float = 0.0,
        timeout_s: float = 30.0,
        max_retry_after_s: float = 10.0,
        on_answer: Callable[[str, float], None] | None = None,
    ) -> None:
        """`on_answer` hears the outcome and the seconds of every call."""
        self._client = client
        self._url = url
        self._host = httpx.URL(url).host  # the rest of the address may hold secrets
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._temperature = f"{temperature:g}"
        self._timeout_s = timeout_s
        self._max_retry_after_s = max_retry_after_s
        self._on_answer = on_answer

    async def transcribe(self, window: LiveWindow, call: RemoteOptions) -> Hypothesis:
        """Send one window.

        Raises:
            Busy, Unavailable, Rejected: as the module says.
        """
        loop = asyncio.get_running_loop()
        started_s, outcome = loop.time(), "cancelled"
        try:
            heard = await self._transcribe(window, call)
            outcome = "ok"
            return heard
        except RemoteError as error:
            outcome = error.outcome
            raise
        finally:
            if self._on_answer is not None:
                self._on_answer(outcome, loop.time() - started_s)

    async def _transcribe(self, window: LiveWindow, call: RemoteOptions) -> Hypothesis:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(
                    self._url,
                    data=self._fields(window, call),
                    files={"file": ("audio.wav", encode_wav(window.pcm), "audio/wav")},
                    headers={**self._headers, "X-Request-ID": f"{call.request_id}-{window.number}"},
                    timeout=self._timeout_s,
                )
        except TimeoutError:
            raise TimedOut(f"no answer from the transcription service within {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            log.warning("call failed", extra={"fields": {"error": type(error).__name__, "host": self._host}})
            raise Unavailable("the transcription service cannot be reached") from error
        self._raise_for_status(response, call)
        return self._read(response, window, call)

    def _fields(self, window: LiveWindow, call: RemoteOptions) -> dict[str, str | list[str]]:
        fields: dict[str, str | list[str]] = {
            "model": call.model or self._model,
            "temperature": self._temperature,
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
            "transcription_tier": call.tier,
        }
        if window.language:
            fields["language"] = window.language
        if window.prompt:
            fields["prompt"] = window.prompt
        if call.task == "translate":
            fields["task"] = call.task
        return fields

    def _raise_for_status(self, response: httpx.Response, call: RemoteOptions) -> None:
        status = response.status_code
        if status in BUSY:
            seconds = retry_after_s(response.headers.get("Retry-After"), now=datetime.now(UTC))
            raise Busy(min(max(seconds, LEAST_RETRY_AFTER_S), self._max_retry_after_s))
        if status in TOO_SLOW:
            raise TimedOut(f"the transcription service gave up on the call with status {status}")
        if status >= 500:  # noqa: PLR2004  HTTP's own numbers
            raise Unavailable(f"the transcription service failed with status {status}")
        if status != 200:  # noqa: PLR2004  as above
            log.warning("call rejected", extra={"fields": {"status": status, "host": self._host}})
            raise Rejected(status, _kind_of(response, call))

    def _read(self, response: httpx.Response, window: LiveWindow, call: RemoteOptions) -> Hypothesis:
        body = _json(response)
        if not isinstance(body, dict):
            raise Unavailable("the transcription service answered with something that is no JSON object")
        duration_s = max(window.duration_s, SHORTEST_SAMPLES / SAMPLE_RATE_HZ)
        try:
            return from_body(body, no_speech_thresh=call.no_speech_thresh, duration_s=duration_s)
        except NoTranscript:
            raise Unavailable("the transcription service answered without a transcript") from None


def _json(response: httpx.Response) -> Any:
    """The body; None if it is no JSON, or nested deeper than anything reads it."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _kind_of(response: httpx.Response, call: RemoteOptions) -> RejectedKind:
    """What a 4xx is about: the service names the field at fault, where there is one."""
    try:
        field = str(_json(response)["error"]["param"] or "")
    except (KeyError, TypeError):
        field = ""
    status = response.status_code
    if field == "language" and status in AUDIO_REJECTED:
        return "language"
    if call.task == "translate" and field != "file" and status not in NOT_ABOUT_THE_TASK:
        return "translation"  # services blame the model or the address; asked to transcribe, they may serve
    if status not in AUDIO_REJECTED:
        return "setup"
    return "audio" if field in {"", "file"} else "setup"


def retry_after_s(header: str | None, *, now: datetime) -> float:
    """Seconds a Retry-After header asks for: a number or an HTTP date; 1 if it is absent or unreadable."""
    try:
        return float(int(header or "1"))
    except OverflowError:
        return math.inf
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header or "") - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return 1.0


def new_client(*, max_in_flight: int) -> httpx.AsyncClient:
    """A connection pool as large as the calls that can be in flight; no proxy, no redirects."""
    limits = httpx.Limits(max_connections=max_in_flight, max_keepalive_connections=max_in_flight, keepalive_expiry=30.0)
    return httpx.AsyncClient(limits=limits, trust_env=False)
