"""Bodies byte for byte, and what must hold for any transcript, however odd the model's numbers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import httpx2  # what the openai package speaks through
import openai
import pytest
from openai.types.audio import (
    Transcription,
    TranscriptionVerbose,
    TranslationVerbose,
)

from app.contracts.openai import error_envelope
from app.core.options import Task
from app.core.transcript import AudioInfo, Segment, Transcript
from app.http.response.formats import LanguageStyle, Rendering, ResponseFormat, encode_json, render
from tests.transcripts import EMPTY, SEGMENT, TRANSCRIPT, odd_transcripts

GOLDEN = Path(__file__).resolve().parents[2] / "golden"


def draw(
    transcript: Transcript,
    response_format: ResponseFormat,
    *,
    task: Task = "transcribe",
    words: bool = False,
    segments: bool = True,
    logprobs: bool = False,
    language_style: LanguageStyle = "code",
) -> Rendering:
    """Render with defaults, of which a test overrides what it needs."""
    return render(
        transcript,
        response_format=response_format,
        task=task,
        words=words,
        segments=segments,
        language_style=language_style,
        logprobs=logprobs,
    )


def with_segments(*segments: Segment) -> Transcript:
    """Give a transcript of these segments."""
    return replace(TRANSCRIPT, segments=segments)


def strict_json(body: bytes) -> Any:
    """Parse as strictly as RFC 8259: Python alone would take NaN and Infinity."""

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(body, parse_constant=refuse)


@pytest.mark.parametrize(
    ("golden", "rendering"),
    [
        ("json.json", draw(TRANSCRIPT, "json")),
        ("json_empty.json", draw(EMPTY, "json")),
        ("json_logprobs.json", draw(TRANSCRIPT, "json", logprobs=True)),
        ("verbose.json", draw(TRANSCRIPT, "verbose_json")),
        ("verbose_logprobs.json", draw(TRANSCRIPT, "verbose_json", logprobs=True)),
        ("verbose_words.json", draw(TRANSCRIPT, "verbose_json", words=True)),
        ("verbose_words_alone.json", draw(TRANSCRIPT, "verbose_json", words=True, segments=False)),
        ("verbose_empty.json", draw(EMPTY, "verbose_json")),
        ("verbose_words_empty.json", draw(EMPTY, "verbose_json", words=True)),
        ("verbose_translate.json", draw(TRANSCRIPT, "verbose_json", task="translate", language_style="name")),
        ("text.txt", draw(TRANSCRIPT, "text")),
        ("text_empty.txt", draw(EMPTY, "text")),
        ("subtitles.srt", draw(TRANSCRIPT, "srt")),
        ("subtitles_empty.srt", draw(EMPTY, "srt")),
        ("subtitles.vtt", draw(TRANSCRIPT, "vtt")),
        ("subtitles_empty.vtt", draw(EMPTY, "vtt")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bodies_match_their_golden_files(golden: str, rendering: Rendering):
    """Every body is what the golden file holds, byte for byte."""
    assert rendering.body == (GOLDEN / golden).read_bytes()


def test_error_body_matches_its_golden_file():
    """The error envelope has all four keys, absent ones as null."""
    envelope = error_envelope("No model of that name.", kind="invalid_request_error", param="model")
    assert encode_json(envelope) == (GOLDEN / "error.json").read_bytes()


def test_only_json_bodies_are_called_json():
    """Subtitles are text/plain: OpenAI's .NET SDK refuses any other type."""
    types = {fmt: draw(TRANSCRIPT, fmt).media_type for fmt in get_args(ResponseFormat)}
    assert types == {
        "json": "application/json",
        "verbose_json": "application/json",
        "text": "text/plain; charset=utf-8",
        "srt": "text/plain; charset=utf-8",
        "vtt": "text/plain; charset=utf-8",
    }


def test_sdk_types_accept_the_json_bodies():
    """The official SDK's own models validate what is sent, word for word."""
    plain = Transcription.model_validate_json(draw(TRANSCRIPT, "json").body)
    assert plain.text == TRANSCRIPT.text
    verbose = TranscriptionVerbose.model_validate_json(draw(TRANSCRIPT, "verbose_json", words=True).body)
    assert (verbose.language, verbose.duration, verbose.text) == ("de", 3671.0, TRANSCRIPT.text)
    assert verbose.usage is not None
    assert verbose.usage.seconds == 3671
    assert verbose.segments is not None
    assert [segment.text for segment in verbose.segments] == [s.text for s in TRANSCRIPT.segments]
    assert verbose.words is not None
    assert [word.word for word in verbose.words][:3] == ["Grüß", "Gott,", "“Anna”."]
    english = TranslationVerbose.model_validate_json(draw(TRANSCRIPT, "verbose_json", task="translate").body)
    assert english.text == TRANSCRIPT.text


def sdk_client(content: bytes, media_type: str) -> Iterator[openai.OpenAI]:
    """Give the SDK with a transport that always answers the same bytes."""
    answer = httpx2.MockTransport(
        lambda _request: httpx2.Response(200, content=content, headers={"content-type": media_type})
    )
    with openai.OpenAI(api_key="k", http_client=httpx2.Client(transport=answer), max_retries=0) as client:
        yield client


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_sdk_hands_text_formats_on_as_they_are(response_format: Any):
    """The SDK returns plain bodies verbatim, so they carry no JSON quotes."""
    rendering = draw(TRANSCRIPT, response_format)
    for client in sdk_client(rendering.body, rendering.media_type):
        answer: object = client.audio.transcriptions.create(
            model="whisper-1", file=b"RIFF", response_format=response_format
        )
        assert answer == rendering.body.decode()


def test_language_style_name():
    """The name style gives Whisper's lower-case English name, the code style the code."""
    assert strict_json(draw(TRANSCRIPT, "verbose_json").body)["language"] == "de"
    named = draw(TRANSCRIPT, "verbose_json", language_style="name")
    assert strict_json(named.body)["language"] == "german"


def test_words_are_in_both_places_only_when_requested():
    """Segments keep the leading space and the probability; the top level has neither."""
    body = strict_json(draw(TRANSCRIPT, "verbose_json", words=True).body)
    assert body["segments"][0]["words"][0] == {
        "word": " Grüß",
        "start": 0.0,
        "end": 0.48,
        "probability": 0.9375,
    }
    assert body["words"][0] == {"word": "Grüß", "start": 0.0, "end": 0.48}
    plain = strict_json(draw(TRANSCRIPT, "verbose_json").body)
    assert "words" not in plain
    assert all("words" not in segment for segment in plain["segments"])


def test_words_from_an_engine_without_words_are_empty_lists():
    """A segment without words still has the list, so clients need no second case."""
    body = strict_json(draw(with_segments(replace(SEGMENT, words=None)), "verbose_json", words=True).body)
    assert body["words"] == body["segments"][0]["words"] == []


def test_segments_are_absent_when_only_words_are_requested():
    """Without segments there is neither the list nor a null in its place."""
    body = strict_json(draw(TRANSCRIPT, "verbose_json", words=True, segments=False).body)
    assert "segments" not in body
    assert len(body["words"]) == 5


def test_long_bodies_encoded_in_parts_are_plain_json():
    """Encoding item by item gives the very bytes of one whole encoding."""
    body = draw(TRANSCRIPT, "verbose_json", words=True).body
    assert encode_json(strict_json(body)) == body


def test_encoding_refuses_what_is_not_json():
    """NaN in a body is a bug: it fails here and never reaches a client's parser."""
    with pytest.raises(ValueError, match="JSON"):
        encode_json({"duration": math.nan})


@pytest.mark.parametrize(("duration_s", "seconds"), [(0.0, 0), (8.0, 8), (8.0000001, 8), (8.47, 9), (math.nan, 0)])
def test_usage_is_the_length_rounded_up(duration_s: float, seconds: int):
    """Usage is a whole number of seconds, rounded up, and float dust does not add one."""
    info = replace(TRANSCRIPT.info, duration_s=duration_s)
    usage = strict_json(draw(replace(TRANSCRIPT, info=info), "json").body)["usage"]
    assert usage == {"type": "duration", "seconds": seconds}
    assert isinstance(usage["seconds"], int)


def test_a_lone_surrogate_does_not_fail_the_answer():
    """A character that has no UTF-8 form is replaced and the rest arrives."""
    transcript = with_segments(replace(SEGMENT, text=" a\ud800b"))
    for fmt in get_args(ResponseFormat):
        assert "a?b" in draw(transcript, fmt).body.decode()


def test_milliseconds_carry_into_seconds():
    """Rounding up never writes a thousand milliseconds."""
    transcript = with_segments(replace(SEGMENT, start=59.9996, end=3599.9999))
    assert b"00:01:00,000 --> 01:00:00,000\n" in draw(transcript, "srt").body
    assert b"00:01:00.000 --> 01:00:00.000\n" in draw(transcript, "vtt").body


def test_cues_without_text_are_left_out_and_numbers_stay_consecutive():
    """A silent segment makes no cue and no gap in the numbers."""
    silent = replace(SEGMENT, text=" \n\x00 ")
    srt = draw(with_segments(silent, SEGMENT, silent, SEGMENT), "srt").body.decode()
    assert re.findall(r"^\d+$", srt, re.MULTILINE) == ["1", "2"]
    assert draw(with_segments(silent), "srt").body == b""
    assert draw(with_segments(silent), "vtt").body == b"WEBVTT\n\n"


@pytest.mark.parametrize("arrow", ["-->", "--->", "a-->b", "<!-- -->", "-- ->"])
def test_an_arrow_in_speech_ends_no_cue(arrow: str):
    """The only arrow of a cue is the one between its times."""
    transcript = with_segments(replace(SEGMENT, text=f" x {arrow} y"))
    assert draw(transcript, "srt").body.count(b"-->") == 1
    assert draw(transcript, "vtt").body.count(b"-->") == 1


def test_any_transcript_gives_sound_json():
    """Numbers are finite, spans have length, words lie inside their segment, the SDK's types accept it."""
    for transcript in odd_transcripts():
        body = strict_json(draw(transcript, "verbose_json", words=True).body)
        TranscriptionVerbose.model_validate(body)
        assert 0 <= body["language_probability"] <= 1
        for segment in body["segments"]:
            assert 0 <= segment["start"] < segment["end"]
            assert (segment["audio_start"], segment["audio_end"]) == (segment["start"], segment["end"])
            assert 0 <= segment["no_speech_prob"] <= 1
            assert 0 <= segment["speech_prob"] <= 1
            for word in segment["words"]:
                assert segment["start"] <= word["start"] < word["end"] <= segment["end"]
                assert 0 <= word["probability"] <= 1
        spans = [*body["segments"], *body["words"]]
        assert all(round(span[key], 3) == span[key] for span in spans for key in ("start", "end"))


def test_numbers_within_bounds_are_unchanged():
    """Bounds are for broken numbers only: a real segment's times and scores pass unchanged."""
    segment = strict_json(draw(TRANSCRIPT, "verbose_json").body)["segments"][1]
    original = TRANSCRIPT.segments[1]
    scores = (
        "start",
        "end",
        "avg_logprob",
        "compression_ratio",
        "no_speech_prob",
        "speech_prob",
        "temperature",
        "seek",
    )
    assert {key: segment[key] for key in scores} == {key: getattr(original, key) for key in scores}
    assert segment["tokens"] == list(original.tokens)


STAMP = r"(\d{2,}):([0-5]\d):([0-5]\d)[,.](\d{3})"
CUE_TIMES = re.compile(rf"{STAMP} --> {STAMP}")


def cue_spans_ms(cues: list[list[str]]) -> list[tuple[int, int]]:
    """Read the times of cues, each given as its lines, and check their form."""
    spans = []
    for cue in cues:
        match = CUE_TIMES.fullmatch(cue[0])
        assert match, cue
        assert cue[1:], "a cue has text"
        h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, match.groups())
        spans.append((((h1 * 60 + m1) * 60 + s1) * 1000 + ms1, ((h2 * 60 + m2) * 60 + s2) * 1000 + ms2))
    return spans


def test_any_transcript_gives_sound_subtitles():
    """Split at blank lines, every block is one cue with text, length and a start not before the last."""
    for transcript in odd_transcripts():
        srt = draw(transcript, "srt").body.decode()
        vtt = draw(transcript, "vtt").body.decode()
        assert srt == "" or (srt.endswith("\n\n\n") and not srt.endswith("\n\n\n\n"))
        numbered = [block.split("\n") for block in srt.rstrip("\n").split("\n\n")] if srt else []
        assert [block[0] for block in numbered] == [str(n) for n in range(1, len(numbered) + 1)]
        assert vtt.startswith("WEBVTT\n\n")
        assert vtt.endswith("\n\n")
        blocks = [block.split("\n") for block in vtt.split("\n\n")[1:-1]]
        spans = cue_spans_ms(blocks)
        assert spans == cue_spans_ms([block[1:] for block in numbered])
        assert all(start < end for start, end in spans)
        assert [start for start, _ in spans] == sorted(start for start, _ in spans)


def test_json_names_the_language_of_a_transcription():
    """As gpt-transcribe does: a list with its code, empty if there was no speech to detect it; not in translations."""
    silence = replace(TRANSCRIPT, info=AudioInfo("en", 0.0, 1.0))
    assert strict_json(draw(TRANSCRIPT, "json").body)["languages"] == [{"code": "de"}]
    assert strict_json(draw(silence, "json").body)["languages"] == []
    assert "languages" not in strict_json(draw(TRANSCRIPT, "json", task="translate").body)
