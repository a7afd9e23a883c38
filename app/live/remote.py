"""RemoteTranscriber: sends one window to the transcription service and classifies what can fail.

    Busy(retry_after_s)     503 or 429: no work was done; keep the audio, retry later with more
    Unavailable             connection failure, other 5xx: the same, with a growing delay
       TimedOut                no answer in time: also with shorter windows
    Rejected(kind)          a retry of the same request would fail again:
       audio                   this audio is not accepted (400, 413, 415, 422)
       language                the client's language is not known (400 that names the field)
       translation             translation was requested, and the service does not offer it
       setup                   the URL, key, model or an option is wrong (every other 4xx)

There are no retries here: a retry would send audio that is already old. The stream sends a newer,
larger window instead. Cancelling a request closes its connection, which stops the work at the service.
"""

from __future__ import annotations

import asyncio
import logging
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.hypothesis import Hypothesis, NoTranscript, from_body
from app.live.policy.windows import LiveWindow
from app.ops.trace_context import TraceContext, headers_of
from app.ops.tracing import NO_SPAN, Span

log = logging.getLogger(__name__)

MIN_RETRY_AFTER_S = 0.5
MIN_WAV_SAMPLES = SAMPLE_RATE_HZ // 2  # the service refuses less than 0.1 s, and models work better with a little more
AUDIO_REJECTED = {400, 413, 415, 422}
NOT_ABOUT_THE_TASK = {401, 403, 404, 413, 415}
BUSY = {429, 503}
TOO_SLOW = {408, 504}
NO_FAILURE = {"ok", "cancelled"}


RejectedKind = Literal["audio", "language", "translation", "setup"]
REJECTED_TEXTS: dict[RejectedKind, str] = {
    "audio": "this audio",
    "language": "the language",
    "translation": "to translate",
    "setup": "requests of this gateway (its address, key or model)",
}


class RemoteError(Exception):
    """Base class of what a request can fail with; `outcome` is for metrics, the message for the client."""

    outcome = "error"


class Busy(RemoteError):
    """Every slot of the service is in use; no work was done."""

    outcome = "busy"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"the transcription service is busy, next try in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Unavailable(RemoteError):
    """No answer, or a malformed one; the next request may succeed."""

    outcome = "unavailable"


class TimedOut(Unavailable):
    """No answer in time; a shorter window may get one."""


class Rejected(RemoteError):
    """A permanent refusal."""

    def __init__(self, status: int, kind: RejectedKind) -> None:
        super().__init__(f"the transcription service refuses {REJECTED_TEXTS[kind]} with status {status}")
        self.kind = kind
        self.outcome = f"rejected_{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """The options of a stream's requests; `span` is the session's, and each request is a part of it."""

    task: Literal["transcribe", "translate"] = "transcribe"
    tier: Literal["realtime", "deferred"] = "realtime"
    model: str | None = None
    no_speech_thresh: float = 0.45
    request_id: str = ""
    span: Span = NO_SPAN


class RemoteTranscriber:
    """A client of `/v1/audio/transcriptions`, shared by all streams, so that connections are reused."""

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
        """`on_answer` is called with the outcome and the duration in seconds of every request."""
        self._client = client
        self._url = url
        self._host = httpx.URL(url).host  # for the log: the rest of the URL may contain secrets
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._temperature = f"{temperature:g}"
        self._timeout_s = timeout_s
        self._max_retry_after_s = max_retry_after_s
        self._on_answer = on_answer

    async def transcribe(self, window: LiveWindow, options: RemoteOptions) -> Hypothesis:
        """Send one window.

        Raises:
            Busy, Unavailable, Rejected: see the module.
        """
        loop = asyncio.get_running_loop()
        started_s, outcome = loop.time(), "cancelled"
        attributes = {"stt.window": window.number, "stt.audio_s": round(window.duration_s, 2), "stt.tier": options.tier}
        span = options.span.child("stt.window", kind="client", attributes=attributes)
        try:
            hypothesis = await self._transcribe(window, options, span.context)
            outcome = "ok"
            return hypothesis
        except RemoteError as error:
            outcome = error.outcome
            raise
        finally:
            span.describe({"stt.outcome": outcome})
            span.end(error=None if outcome in NO_FAILURE else outcome)
            if self._on_answer is not None:
                self._on_answer(outcome, loop.time() - started_s)

    async def _transcribe(self, window: LiveWindow, options: RemoteOptions, trace: TraceContext | None) -> Hypothesis:
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.post(
                    self._url,
                    data=self._fields(window, options),
                    files={"file": ("audio.wav", encode_wav(window.pcm), "audio/wav")},
                    headers={
                        **self._headers,
                        "X-Request-ID": f"{options.request_id}-{window.number}",
                        **headers_of(trace),
                    },
                    timeout=self._timeout_s,
                )
        except TimeoutError:
            raise TimedOut(f"no answer from the transcription service within {self._timeout_s:g} s") from None
        except httpx.HTTPError as error:
            log.warning("request failed", extra={"fields": {"error": type(error).__name__, "host": self._host}})
            raise Unavailable("the transcription service cannot be reached") from error
        self._raise_for_status(response, options)
        return self._read(response, window, options)

    def _fields(self, window: LiveWindow, options: RemoteOptions) -> dict[str, str | list[str]]:
        fields: dict[str, str | list[str]] = {
            "model": options.model or self._model,
            "temperature": self._temperature,
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
            "transcription_tier": options.tier,
        }
        if window.language:
            fields["language"] = window.language
        if not window.vad_filter:
            fields["vad_filter"] = "false"
        if window.prompt:
            fields["prompt"] = window.prompt
        if options.task == "translate":
            fields["task"] = options.task
        return fields

    def _raise_for_status(self, response: httpx.Response, options: RemoteOptions) -> None:
        status = response.status_code
        if status in BUSY:
            seconds = retry_after_s(response.headers.get("Retry-After"), now=datetime.now(UTC))
            raise Busy(min(max(seconds, MIN_RETRY_AFTER_S), self._max_retry_after_s))
        if status in TOO_SLOW:
            raise TimedOut(f"the transcription service timed out with status {status}")
        if status >= 500:  # noqa: PLR2004  HTTP's own numbers
            raise Unavailable(f"the transcription service failed with status {status}")
        if status != 200:  # noqa: PLR2004  as above
            log.warning("request rejected", extra={"fields": {"status": status, "host": self._host}})
            raise Rejected(status, _kind_of(response, options))

    def _read(self, response: httpx.Response, window: LiveWindow, options: RemoteOptions) -> Hypothesis:
        body = _json(response)
        if not isinstance(body, dict):
            raise Unavailable("the transcription service did not answer with a JSON object")
        duration_s = max(window.duration_s, MIN_WAV_SAMPLES / SAMPLE_RATE_HZ)
        try:
            return from_body(body, no_speech_thresh=options.no_speech_thresh, duration_s=duration_s)
        except NoTranscript:
            raise Unavailable("the transcription service answered without a transcript") from None


def _json(response: httpx.Response) -> Any:
    """The body; None if it is not JSON, or nested too deeply."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _kind_of(response: httpx.Response, options: RemoteOptions) -> RejectedKind:
    """The kind of a 4xx: the service names the field at fault, if there is one."""
    try:
        field = str(_json(response)["error"]["param"] or "")
    except (KeyError, TypeError):
        field = ""
    status = response.status_code
    if field == "language" and status in AUDIO_REJECTED:
        return "language"
    if options.task == "translate" and field != "file" and status not in NOT_ABOUT_THE_TASK:
        return "translation"  # services name the model or the URL, and may well transcribe
    if status not in AUDIO_REJECTED:
        return "setup"
    return "audio" if field in {"", "file"} else "setup"


def retry_after_s(header: str | None, *, now: datetime) -> float:
    """The seconds of a Retry-After header, a number or an HTTP date; 1 if it is absent or unreadable."""
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
    """A connection for each request that can be in flight; no proxy, no redirects."""
    limits = httpx.Limits(max_connections=max_in_flight, max_keepalive_connections=max_in_flight, keepalive_expiry=30.0)
    return httpx.AsyncClient(limits=limits, trust_env=False)


def encode_wav(pcm: bytes) -> bytes:
    """Little-endian 16-bit mono samples at 16 kHz as a WAV file; a very short one is padded with silence.

    A header of 44 bytes and the samples: the service reads this layout without a codec library.
    """
    pcm = pcm.ljust(MIN_WAV_SAMPLES * 2, b"\0")
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + len(pcm), b"WAVE",
        b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ, SAMPLE_RATE_HZ * 2, 2, 16,
        b"data", len(pcm),
    )  # fmt: skip
    return header + pcm
