from __future__ import annotations

import json

import pytest

from tests.chaos.answers import NoTranscript, text_of


def events(*payloads: object, end: str = "data: [DONE]\n\n") -> bytes:
    """A stream of server-sent events with a comment before."""
    return (": progress {}\n\n" + "".join(f"data: {json.dumps(each)}\n\n" for each in payloads) + end).encode()


def delta(text: str) -> dict[str, str]:
    """The event of one segment."""
    return {"type": "transcript.text.delta", "delta": text}


DONE = {"type": "transcript.text.done", "text": "one two"}


def test_each_format_has_its_text():
    """JSON has a field, subtitles are compared with their times, the deltas of events are joined."""
    assert text_of(b'{"text": "one two"}', "json") == "one two"
    assert text_of(b"1\n00:00:00,000 --> 00:00:01,000\none\n", "srt").startswith("1\n00:00")
    assert text_of(events(delta("one"), delta(" two"), DONE), "events") == "one two"


@pytest.mark.parametrize(
    "body",
    [
        events(delta("one two"), DONE, end=""),
        events(delta("one"), DONE),
        events(delta("one two")),
        events({"error": {"message": "no"}}, end=""),
        b"",
    ],
    ids=["cut off", "a delta is missing", "no end", "error", "empty"],
)
def test_a_stream_that_is_not_whole_is_no_transcript(body):
    """A cut, an error, or deltas that say something else than the end are found."""
    with pytest.raises(NoTranscript):
        text_of(body, "events")


@pytest.mark.parametrize("body", [b"", b"{", b'{"error": {}}', b"[]"])
def test_what_is_no_json_transcript_is_found(body):
    """Nothing of it passes for an empty text."""
    with pytest.raises(NoTranscript):
        text_of(body, "json")
