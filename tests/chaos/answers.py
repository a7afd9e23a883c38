"""The text of an answer, in whichever format it came. Pure."""

from __future__ import annotations

import json

from tests.chaos.uploads import Format

EVENT = "data: "
END = "[DONE]"


class NoTranscript(ValueError):
    """A body that is not the transcript it should be; the message says why."""


def text_of(body: bytes, shape: Format) -> str:
    """Return what is compared with the idle cluster's answer: the text, and for subtitles the times, too.

    Raises:
        NoTranscript: the body is cut off, or is not of that format.
    """
    try:
        if shape == "events":
            return _text_of_events(body.decode())
        if shape in {"json", "verbose_json"}:
            return str(json.loads(body)["text"])
        return body.decode()
    except (ValueError, KeyError, TypeError) as error:
        raise NoTranscript(f"{shape}: {error}: {body[:120]!r}") from error


def _text_of_events(body: str) -> str:
    """Return the text of the last event; the deltas must say the same, and the stream must be complete."""
    data = [line.removeprefix(EVENT) for line in body.splitlines() if line.startswith(EVENT)]
    if not data or data[-1] != END:
        raise ValueError(f"no {END} at the end, but {data[-1:]}")
    events = [json.loads(line) for line in data[:-1]]
    deltas = "".join(event["delta"] for event in events if event["type"] == "transcript.text.delta")
    done = [str(event["text"]) for event in events if event["type"] == "transcript.text.done"]
    if done != [deltas]:
        raise ValueError(f"the deltas say {deltas!r}, the end says {done}")
    return deltas
