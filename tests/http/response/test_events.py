"""The stream byte for byte, and what must hold for any transcript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2  # what the openai package speaks through
import openai
import pytest
from openai.types.audio import TranscriptionTextDeltaEvent, TranscriptionTextDoneEvent

from app.contracts.openai import error_envelope
from app.core.transcript import Progress, Transcript
from app.http.response.events import DONE_EVENT, PING, Deltas, EventWriter, comment_bytes, event_bytes
from tests.transcripts import EMPTY, SEGMENT, TRANSCRIPT, odd_transcripts

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def stream_bytes(transcript: Transcript, *, logprobs: bool = False) -> bytes:
    """Give a whole stream: a second of work for each segment, progress after each, and the end."""
    writer = EventWriter(logprobs=logprobs, started_s=100.0)
    total_s = transcript.info.duration_s
    sent = [writer.write(transcript.info, 100.0)]
    for n_done, segment in enumerate(transcript.segments, start=1):
        sent += [
            writer.write(segment, 100.0 + n_done),
            writer.write(Progress(done_s=segment.end, total_s=total_s), 100.0 + n_done),
        ]
    return b"".join([*sent, writer.finish()])


def events_of(body: bytes) -> list[dict[str, object]]:
    """Give the events of a stream, without its comments and its end mark."""
    datas = [block.removeprefix(b"data: ") for block in body.split(b"\n\n") if block.startswith(b"data: ")]
    assert datas[-1] == b"[DONE]"
    return [json.loads(data) for data in datas[:-1]]


def sdk_client(content: bytes) -> Iterator[openai.OpenAI]:
    """Give the SDK with a transport that always answers the same stream."""
    answer = httpx2.MockTransport(
        lambda _: httpx2.Response(200, content=content, headers={"content-type": "text/event-stream"})
    )
    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=answer), max_retries=0) as client:
        yield client


@pytest.mark.parametrize(
    ("golden", "body"),
    [
        ("stream.sse", stream_bytes(TRANSCRIPT)),
        ("stream_logprobs.sse", stream_bytes(TRANSCRIPT, logprobs=True)),
        ("stream_empty.sse", stream_bytes(EMPTY)),
        (
            "stream_error.sse",
            comment_bytes("progress", {"done_s": 0.0, "total_s": 2.0, "eta_s": None})
            + PING
            + event_bytes(error_envelope("The server failed to transcribe this audio.", kind="server_error")),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_stream_matches_its_golden_file(golden: str, body: bytes):
    """Each event is one data line with compact JSON and a blank line; [DONE] ends what went well."""
    assert body == (GOLDEN / golden).read_bytes()


def test_every_block_is_data_or_a_comment():
    """The SDKs stumble over blocks that hold only a name or an id."""
    for block in stream_bytes(TRANSCRIPT, logprobs=True).removesuffix(b"\n\n").split(b"\n\n"):
        assert block.startswith((b"data: ", b": "))
        assert b"\n" not in block


def test_time_left_is_estimated_from_the_time_spent():
    """A third of the audio took a second, so the rest takes two; before the first window the estimate is null."""
    writer = EventWriter(logprobs=False, started_s=5.0)
    assert b'"eta_s":null' in writer.write(replace(EMPTY.info, duration_s=30.0), 5.0)
    assert writer.write(Progress(done_s=10.0, total_s=30.0), 6.0) == comment_bytes(
        "progress", {"done_s": 10.0, "total_s": 30.0, "eta_s": 2.0}
    )
    assert b'"eta_s":0.0' in writer.write(Progress(done_s=30.0, total_s=30.0), 9.0)


def test_progress_is_sent_once():
    """A repeated progress event is sent once."""
    writer = EventWriter(logprobs=False, started_s=0.0)
    assert writer.write(Progress(done_s=2.0, total_s=2.0), 1.0)
    assert writer.write(Progress(done_s=2.0, total_s=2.0), 1.0) == b""


def test_a_segment_without_text_sends_nothing():
    """An empty delta would be an event about nothing."""
    writer = EventWriter(logprobs=True, started_s=0.0)
    assert writer.write(replace(SEGMENT, text="  "), 0.0) == b""


def test_silence_is_a_stream_too():
    """One empty delta, an empty text, no language, and the length of the audio in the usage."""
    silent = replace(EMPTY, info=replace(EMPTY.info, language_probability=0.0))
    delta, done = events_of(stream_bytes(silent))
    assert delta == {"type": "transcript.text.delta", "delta": ""}
    assert (done["text"], done["languages"]) == ("", [])
    assert done["usage"] == {
        "type": "tokens",
        "input_tokens": 20,
        "output_tokens": 0,
        "total_tokens": 20,
        "input_token_details": {"text_tokens": 0, "audio_tokens": 20},
    }


def test_sdk_reads_the_stream():
    """The SDK sees typed deltas that add up to the text of the done event."""
    for client in sdk_client(stream_bytes(TRANSCRIPT)):
        stream = client.audio.transcriptions.create(model="whisper-1", file=b"RIFF", stream=True)
        *deltas, done = list(stream)
        assert isinstance(done, TranscriptionTextDoneEvent)
        joined = "".join(event.delta for event in deltas if isinstance(event, TranscriptionTextDeltaEvent))
        assert joined == done.text == TRANSCRIPT.text
        assert done.usage is not None
        assert done.usage.total_tokens == 36718
        assert deltas[0].model_extra == {"segment": {"id": 0, "start": 0.0, "end": 3.0}}


def test_sdk_raises_an_error_event():
    """An error after the first byte is raised by the SDK with its message."""
    body = event_bytes(error_envelope("The device failed.", kind="server_error"))
    for client in sdk_client(body + DONE_EVENT):
        stream = client.audio.transcriptions.create(model="whisper-1", file=b"RIFF", stream=True)
        with pytest.raises(openai.APIError, match=r"The device failed\."):
            list(stream)


def test_events_hold_no_line_end_of_any_sort():
    """Unicode line ends are escaped: clients that split text, not bytes, would cut the event."""
    event = event_bytes(
        {
            "type": "transcript.text.delta",
            "delta": "a\x85b\u2028c\u2029d\ne\rf",
            "segment": {"id": 0, "start": 0.0, "end": 1.0},
        }
    )
    assert len(event.decode().splitlines()) == 2
    assert json.loads(event.removeprefix(b"data: "))["delta"] == "a\x85b\u2028c\u2029d\ne\rf"


def test_deltas_hold_white_space_back_until_text_follows():
    """The first delta has no leading space, later ones their own, and none ends in white space."""
    deltas = Deltas()
    texts = ["  ", " Hello ", "\n", " world. ", " "]
    assert [deltas.add(replace(SEGMENT, text=text)) for text in texts] == ["", "Hello", "", " \n world.", ""]
    assert deltas.text == "Hello \n world."


def test_any_transcript_streams_to_its_own_text():
    """Joined deltas are the transcript's text, whatever white space the segments carry."""
    for transcript in odd_transcripts():
        deltas = Deltas()
        sent = [deltas.add(segment) for segment in transcript.segments]
        assert "".join(sent) == deltas.text == transcript.text
        *told, done = events_of(stream_bytes(transcript, logprobs=True))
        assert [event["delta"] for event in told] == [delta for delta in sent if delta] or [""]
        assert done["text"] == transcript.text
