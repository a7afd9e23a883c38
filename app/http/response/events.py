r"""Encode a running transcription as server-sent events: OpenAI's deltas, the done event, `[DONE]`. Pure.

Each event is one `data:` line and a blank line: the SDKs fail on blocks without data. Progress is sent as
comment lines, which every parser skips: `: progress {"done_s":30.0,"total_s":65.0,"eta_s":3.5}` after each
window, and `: ping` after a silence.
Source: WHATWG server-sent events; openai-python `_streaming.py`; OpenAI's `transcript.text.*`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from app.contracts.openai import StreamEvent, TextDeltaEvent, TextDoneEvent
from app.core.transcript import AudioInfo, Progress, Segment
from app.http.response.formats import encode_json, language_bodies, logprob_bodies, rounded_s, span_s

DONE_EVENT: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"
# As OpenAI counts them.
AUDIO_TOKENS_PER_S: Final = 10
_LINE_ENDS: Final = {end.encode(): f"\\u{ord(end):04x}".encode() for end in "\x85\u2028\u2029"}


class Deltas:
    """Cut a growing transcript into deltas whose sum is exactly the transcript's text.

    The text begins and ends without white space, so a segment's trailing white space waits until
    more text follows it.
    """

    def __init__(self) -> None:
        self._sent: list[str] = []
        self._held = ""

    def add(self, segment: Segment) -> str:
        """The text that the segment adds; "" when there is nothing to send."""
        pending = self._held + segment.text
        if not self._sent:
            pending = pending.lstrip()
        delta = pending.rstrip()
        self._held = pending[len(delta) :]
        if delta:
            self._sent.append(delta)
        return delta

    @property
    def text(self) -> str:
        """Everything sent so far, joined: the text of the done event."""
        return "".join(self._sent)


def event_bytes(event: StreamEvent) -> bytes:
    r"""Encode one server-sent event: a single `data:` line and the blank line that ends it.

    The three line ends that JSON does not escape (U+0085, U+2028, U+2029) are escaped here: some clients
    split the stream at them.
    """
    data = encode_json(event)
    for line_end, escaped in _LINE_ENDS.items():
        data = data.replace(line_end, escaped)
    return b"data: " + data + b"\n\n"


def comment_bytes(name: str, record: Mapping[str, object]) -> bytes:
    """Encode a comment, which event parsers skip."""
    return b": " + name.encode() + b" " + encode_json(record) + b"\n\n"


class EventWriter:
    """Encodes the engine's events, and collects what the done event repeats.

    Args:
        logprobs: send the log-probabilities of the text tokens, in the deltas and at the end.
        started_s: when the engine started, on the clock of `now_s`; the remaining time is estimated from it.
    """

    def __init__(self, *, logprobs: bool, started_s: float) -> None:
        self._logprobs = logprobs
        self._started_s = started_s
        self._deltas = Deltas()
        self._segments: list[Segment] = []
        self._info = AudioInfo("en", 0.0, 0.0)
        self._reported_s = -1.0

    def write(self, event: AudioInfo | Segment | Progress, now_s: float) -> bytes:
        """The bytes for one event; b"" if nothing is to be sent."""
        match event:
            case AudioInfo():
                self._info = event
                return self._progress(Progress(done_s=0.0, total_s=event.duration_s), now_s)
            case Segment():
                self._segments.append(event)
                return self._delta(event)
            case Progress():
                return self._progress(event, now_s)

    def finish(self) -> bytes:
        """The done event and the end of the stream; without any text, one empty delta comes first."""
        nothing: TextDeltaEvent = {"type": "transcript.text.delta", "delta": ""}
        first = b"" if self._deltas.text else event_bytes(nothing)
        return first + event_bytes(self._done()) + DONE_EVENT

    def _delta(self, segment: Segment) -> bytes:
        delta = self._deltas.add(segment)
        if not delta:
            return b""
        start, end = span_s(segment)
        event: TextDeltaEvent = {
            "type": "transcript.text.delta",
            "delta": delta,
            "segment": {"id": segment.id, "start": start, "end": end},
        }
        if self._logprobs:
            event["logprobs"] = logprob_bodies([segment])
        return event_bytes(event)

    def _progress(self, progress: Progress, now_s: float) -> bytes:
        done_s, total_s = rounded_s(progress.done_s), rounded_s(progress.total_s)
        if done_s <= self._reported_s:
            return b""
        self._reported_s = done_s
        left_s = max(total_s - done_s, 0.0)
        eta_s = round((now_s - self._started_s) * left_s / done_s, 1) if done_s else None
        return comment_bytes("progress", {"done_s": done_s, "total_s": total_s, "eta_s": eta_s})

    def _done(self) -> TextDoneEvent:
        input_tokens = math.ceil(round(AUDIO_TOKENS_PER_S * rounded_s(self._info.duration_s), 2))
        output_tokens = sum(len(segment.tokens) for segment in self._segments)
        event: TextDoneEvent = {
            "type": "transcript.text.done",
            "text": self._deltas.text,
            "languages": language_bodies(self._info),
            "usage": {
                "type": "tokens",
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
                "total_tokens": input_tokens + output_tokens,
                "input_token_details": {"text_tokens": 0, "audio_tokens": input_tokens},
            },
        }
        if self._logprobs:
            event["logprobs"] = logprob_bodies(self._segments)
        return event
