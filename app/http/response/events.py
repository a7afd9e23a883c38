r"""A running transcription as server-sent events: OpenAI's deltas, the done event, `[DONE]`. Pure.

One event is one `data:` line and a blank line, nothing else: the SDKs stumble over blocks without
data. What people want to know and SDKs do not travels as comment lines, which every parser skips:
`: progress {"done_s":30.0,"total_s":65.0,"eta_s":3.5}` after each window, `: ping` in a silence.
Source: WHATWG server-sent events; openai-python `_streaming.py`; OpenAI's `transcript.text.*`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from app.contracts.openai import StreamEvent, TextDeltaEvent, TextDoneEvent
from app.core.transcript import AudioInfo, Progress, Segment
from app.http.response.formats import encode_json, logprob_bodies, sane_s, span_s

DONE_EVENT: Final = b"data: [DONE]\n\n"
PING: Final = b": ping\n\n"
# What OpenAI counts for a second of audio.
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
        """Give what the segment adds to the text; "" when there is nothing to send."""
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
    r"""Frame one server-sent event: a single `data:` line and the blank line that ends it.

    The three line ends that JSON leaves as they are (U+0085, U+2028, U+2029) are escaped: some
    clients split the stream at them.
    """
    data = encode_json(event)
    for line_end, escaped in _LINE_ENDS.items():
        data = data.replace(line_end, escaped)
    return b"data: " + data + b"\n\n"


def comment_bytes(name: str, record: Mapping[str, object]) -> bytes:
    """Frame a line that parsers of events skip and people can read."""
    return b": " + name.encode() + b" " + encode_json(record) + b"\n\n"


class EventWriter:
    """What each thing the engine says becomes on the wire; remembers what the end has to repeat.

    Args:
        logprobs: send the log-probabilities of the text tokens, in the deltas and at the end.
        started_s: when the engine began, on the clock of `now_s`; the time left is told from it.
    """

    def __init__(self, *, logprobs: bool, started_s: float) -> None:
        self._logprobs = logprobs
        self._started_s = started_s
        self._deltas = Deltas()
        self._segments: list[Segment] = []
        self._info = AudioInfo("en", 0.0, 0.0)
        self._told_s = -1.0

    def write(self, event: AudioInfo | Segment | Progress, now_s: float) -> bytes:
        """The bytes for one event; b"" when a client has nothing to learn from it."""
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
        """The done event and the end of the stream; a silent one has said one empty delta before."""
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
        done_s, total_s = sane_s(progress.done_s), sane_s(progress.total_s)
        if done_s <= self._told_s:
            return b""
        self._told_s = done_s
        left_s = max(total_s - done_s, 0.0)
        eta_s = round((now_s - self._started_s) * left_s / done_s, 1) if done_s else None
        return comment_bytes("progress", {"done_s": done_s, "total_s": total_s, "eta_s": eta_s})

    def _done(self) -> TextDoneEvent:
        input_tokens = math.ceil(round(AUDIO_TOKENS_PER_S * sane_s(self._info.duration_s), 2))
        output_tokens = sum(len(segment.tokens) for segment in self._segments)
        event: TextDoneEvent = {
            "type": "transcript.text.done",
            "text": self._deltas.text,
            # a probability of 0 means that nothing was said from which a language could be heard
            "languages": [{"code": self._info.language}] if self._info.language_probability else [],
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
