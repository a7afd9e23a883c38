from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest, UnsupportedValue
from app.core.options import Options
from app.http.request.options import PROMPT_CHARACTERS, Schema
from app.http.request.parse import ParsedRequest, _allowed, parse


def form(*fields: tuple[str, str], tier_header: str | None = None) -> ParsedRequest:
    """Parse these fields beside a model."""
    return parse([("model", "whisper-1"), *fields], tier_header=tier_header)


def options(name: str, value: str) -> Options:
    """The options that one field makes."""
    return form((name, value)).options


def refusal(*fields: tuple[str, str]) -> InvalidRequest:
    """The error that these fields make."""
    with pytest.raises(InvalidRequest) as refused:
        form(*fields)
    return refused.value


def test_defaults():
    """A model alone: the engine's own defaults, and the body that serves both OpenAI and Vexa."""
    parsed = form()
    assert parsed.options == Options()
    assert (parsed.response_format, parsed.words, parsed.segments) == ("verbose_json", False, True)


def test_blank_is_absent():
    """SDKs send empty strings for values that are not set."""
    names = (
        "language", "prompt", "hotwords", "temperature", "response_format", "timestamp_granularities[]", "task",
        "beam_size", "vad_filter", "max_speech_duration_s", "min_silence_duration_ms", "transcription_tier", "stream",
    )  # fmt: skip
    for blank in ("", "  ", "\t"):
        assert form(*((name, blank) for name in names)) == form()


def test_model_is_required_and_any_name_is_taken():
    """Any name is accepted (Vexa sends `default`, SDKs `whisper-1`); an absent or blank model is a 400."""
    assert form().model == "whisper-1"
    assert parse([("model", "Systran/faster-whisper-small")]).model == "Systran/faster-whisper-small"
    for fields in ([], [("model", " ")], [("Model", "x")]):
        with pytest.raises(InvalidRequest, match=r"^model: required") as refused:
            parse(fields)
        assert refused.value.param == "model"


def test_field_sent_twice_counts_the_last_time():
    """The last value wins, also if it is blank."""
    assert form(("temperature", "0.1"), ("temperature", "0.2")).options.temperature == 0.2
    assert form(("language", "de"), ("language", "")).options.language is None


def test_unknown_fields_are_ignored():
    """Unknown fields are ignored, also brackets behind a known name."""
    known = form(("language", "en"))
    extras = [("vad_model", "x"), ("seed", "nan"), ("", "x"), ("temperature[]", "9"), ("__proto__", "{}")]
    assert form(("language", "en"), *extras) == known


@pytest.mark.parametrize(
    ("sent", "words", "segments"),
    [
        ([], False, True),
        ([("timestamp_granularities", "segment")], False, True),
        ([("timestamp_granularities", "word")], True, True),
        ([("timestamp_granularities", " Word ")], True, True),
        ([("timestamp_granularities", "word,segment")], True, True),
        ([("timestamp_granularities", "word"), ("timestamp_granularities", "segment")], True, True),
        ([("timestamp_granularities", '["word"]')], True, True),
        ([("timestamp_granularities", '["word","segment"]')], True, True),
        ([("timestamp_granularities", "[]")], False, True),
        ([("timestamp_granularities", '[""]')], False, True),
        ([("timestamp_granularities[]", "segment")], False, True),
        ([("timestamp_granularities[]", "word")], True, False),
        ([("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "word")], True, False),
        ([("timestamp_granularities[]", "word"), ("timestamp_granularities[]", "segment")], True, True),
        ([("timestamp_granularities[0]", "word"), ("timestamp_granularities[1]", "segment")], True, True),
        ([("timestamp_granularities[0]", "word")], True, False),
        ([("timestamp_granularities[]", "word"), ("timestamp_granularities", "segment")], True, True),
        ([("timestamp_granularities[]", "word"), ("timestamp_granularities", "word")], True, True),
    ],
)
def test_granularities_in_every_spelling(sent: list[tuple[str, str]], words: bool, segments: bool):  # noqa: FBT001
    """Every spelling adds words; only OpenAI's `timestamp_granularities[]` with `word` alone omits the segments."""
    parsed = form(*sent)
    assert (parsed.words, parsed.segments) == (words, segments)
    assert parsed.options.words is words


@pytest.mark.parametrize(
    "value",
    [
        "words",
        "word segment",
        '["word"',
        "[word]",
        '["word", 1]',
        "[[]]",
        "[" * 100_000,
        "[" + "1" * 5000 + "]",
        "none",
    ],
)
@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]"])
def test_granularities_that_do_not_exist_are_named(name: str, value: str):
    """Unknown values and broken JSON are errors that name the field, never a crash."""
    error = refusal((name, value))
    assert error.param == "timestamp_granularities"
    assert len(error.message) < 300


@pytest.mark.parametrize("value", ["json", "text", "srt", "vtt", "verbose_json"])
def test_response_formats(value: str):
    """OpenAI's five formats are accepted."""
    assert form(("response_format", f" {value} ")).response_format == value


def test_unknown_response_format_lists_the_allowed():
    """The error lists the allowed formats."""
    error = refusal(("response_format", "yaml"))
    assert error.param == "response_format"
    assert all(each in error.message for each in ("'yaml'", "json", "text", "srt", "verbose_json", "vtt"))


def test_diarized_json_is_understood_and_declined():
    """diarized_json is refused with the code unsupported_value: diarization is not supported."""
    error = refusal(("response_format", "diarized_json"))
    assert isinstance(error, UnsupportedValue)
    assert error.param == "response_format"


@pytest.mark.parametrize(
    ("value", "number"),
    [("0", 0.0), ("0.0", 0.0), ("-0", 0.0), ("1", 1.0), (" 0.25 ", 0.25), ("1e-1", 0.1), (".5", 0.5)],
)
def test_temperatures(value: str, number: float):
    """Numbers as text, blanks around them."""
    assert options("temperature", value).temperature == number


@pytest.mark.parametrize(
    "value", ["-1", "-0.01", "1.01", "2", "nan", "NaN", "inf", "-inf", "1e999", "abc", "0,5", "0x1", "null", "0.5\x000"]
)
def test_bad_temperatures_are_named_with_their_range(value: str):
    """Out of range, not a number, no number at all: 400, with value and range."""
    error = refusal(("temperature", value))
    assert error.param == "temperature"
    assert "from 0 to 1" in error.message


@pytest.mark.parametrize(("value", "beam_size"), [("1", 1), (" 5 ", 5), ("10", 10), ("", None)])
def test_beam_widths(value: str, beam_size: int | None):
    """Whole numbers from 1 to 10; blank means the server's."""
    assert options("beam_size", value).beam_size == beam_size


@pytest.mark.parametrize("value", ["0", "-1", "11", "2.5", "x", "nan", "1e1", "true"])
def test_bad_beam_widths_are_named_with_their_range(value: str):
    """Out of range, a fraction, no number: 400, with value and range."""
    error = refusal(("beam_size", value))
    assert error.param == "beam_size"
    assert error.message == f"beam_size: '{value}' is not a whole number from 1 to 10."


@pytest.mark.parametrize("name", ["max_speech_duration_s", "min_silence_duration_ms"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e7", "ten", "15s"])
def test_bad_durations_are_named(name: str, value: str):
    """Vexa's two numbers are checked like OpenAI's."""
    assert refusal((name, value)).param == name


def test_durations():
    """Vexa sends `15` and even `100.5`; zero speech means no limit."""
    assert options("max_speech_duration_s", "15").max_speech_duration_s == 15.0
    assert options("max_speech_duration_s", "0").max_speech_duration_s is None
    assert options("min_silence_duration_ms", "100.5").min_silence_duration_ms == 100.5
    assert options("min_silence_duration_ms", "0").min_silence_duration_ms == 0.0


@pytest.mark.parametrize("value", ["true", "TRUE", "1", "yes", "on", "y", "t", " True "])
def test_true(value: str):
    """Every common spelling of true."""
    assert options("vad_filter", value).vad_filter is True


@pytest.mark.parametrize("value", ["false", "False", "0", "no", "off", "n", "f"])
def test_false(value: str):
    """Every common spelling of false."""
    assert options("vad_filter", value).vad_filter is False


@pytest.mark.parametrize("value", ["maybe", "2", "-1", "truefalse", "nan"])
def test_neither_true_nor_false(value: str):
    """Any other value is an error that names the field."""
    assert refusal(("vad_filter", value)).param == "vad_filter"


@pytest.mark.parametrize(
    ("value", "code"),
    [("en", "en"), ("EN-us", "en"), ("German", "de"), ("auto", None), ("unknown", None), ("yue", "yue")],
)
def test_languages(value: str, code: str | None):
    """Codes, locales and names give a code; `auto` and `unknown` give None."""
    assert options("language", value).language == code


@pytest.mark.parametrize("value", ["xx", "e\x00n", "klingon", "en" * 1000, "../en", "🏴"])
def test_unknown_languages(value: str):
    """An unknown language is an error that names the field."""
    assert refusal(("language", value)).param == "language"


@pytest.mark.parametrize(
    ("sent", "language", "candidates"),
    [
        ([("languages[]", "de")], "de", ("de",)),
        ([("languages[]", "de"), ("languages[]", "German")], "de", ("de",)),
        ([("languages[]", "de"), ("languages[]", "en-US")], None, ("de", "en")),
        ([("languages", '["de","fil"]')], None, ("de", "tl")),
        ([("languages", "de, en")], None, ("de", "en")),
        ([("languages[]", "de"), ("languages[]", "auto")], None, ()),
        ([("languages[]", ""), ("languages", "")], None, ()),
        ([("languages[]", "de"), ("languages[]", "en"), ("language", "fr")], "fr", ()),
    ],
)
def test_candidate_languages(sent: list[tuple[str, str]], language: str | None, candidates: tuple[str, ...]):
    """One candidate is the language, several restrict detection, `auto` lifts that, `language` wins."""
    made = form(*sent).options
    assert (made.language, made.languages) == (language, candidates)


def test_unknown_candidate_is_named_as_sent():
    """The error names `languages`, and the value as it was sent."""
    error = refusal(("languages[]", "en"), ("languages[]", "klingon"))
    assert error.param == "languages"
    assert error.message.startswith("languages: 'klingon'")


def test_keywords_are_words_to_expect():
    """`hotwords` and OpenAI's `keywords` are combined; case is kept."""
    assert form(("keywords[]", "Vexa"), ("keywords[]", "Two Words")).options.hotwords == "Vexa, Two Words"
    assert form(("keywords", '["Vexa","x"]'), ("hotwords", "CT2")).options.hotwords == "CT2, Vexa, x"


@pytest.mark.parametrize("response_format", ["json", "verbose_json", ""])
def test_logprobs_where_they_have_a_place(response_format: str):
    """In both JSON bodies, the default included."""
    assert form(("include[]", "logprobs"), ("response_format", response_format)).options.logprobs


@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_logprobs_elsewhere_cannot_be_honoured(response_format: str):
    """400 that names the parameter; a stream has a place for them whatever the format."""
    error = refusal(("include[]", "logprobs"), ("response_format", response_format))
    assert isinstance(error, UnsupportedValue)
    assert error.param == "include"
    streamed = form(("include[]", "logprobs"), ("response_format", response_format), ("stream", "true"))
    assert streamed.options.logprobs


def test_nothing_else_can_be_included():
    """The error names the field."""
    assert refusal(("include", "everything")).param == "include"


@pytest.mark.parametrize(("value", "stream"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_stream(value: str, stream: bool):  # noqa: FBT001 - a table
    """False by default."""
    assert form(("stream", value)).stream is stream


def test_server_vad_reaches_the_engine():
    """`server_vad` turns on speech detection; Vexa's fields take precedence."""
    vad = ("chunking_strategy", '{"type":"server_vad","threshold":0.3}')
    made = form(vad).options
    assert (made.vad_filter, made.vad_threshold, made.speech_pad_ms, made.min_silence_duration_ms) == (
        True, 0.3, 300.0, 200.0,
    )  # fmt: skip
    theirs = form(vad, ("min_silence_duration_ms", "100"), ("vad_filter", "false")).options
    assert (theirs.vad_filter, theirs.min_silence_duration_ms) == (False, 100.0)
    assert form(("chunking_strategy", "auto")).options == Options()


def test_known_speakers_are_ignored():
    """Fields for diarization are accepted and ignored."""
    assert form(("known_speaker_names[]", "A"), ("known_speaker_references[]", "data:x")) == form()


def test_task():
    """Two tasks, any case."""
    assert options("task", "TRANSLATE").task == "translate"
    assert refusal(("task", "summarize")).param == "task"


def test_task_of_the_route_wins():
    """A route that fixes the task ignores the field."""
    assert parse([("model", "m"), ("task", "transcribe")], task="translate").options.task == "translate"


@pytest.mark.parametrize(
    ("field", "header", "tier"),
    [
        (None, None, "standard"),
        ("realtime", None, "realtime"),
        ("Deferred", "realtime", "deferred"),
        (None, "realtime", "realtime"),
        ("", "deferred", "deferred"),
        ("turbo", "realtime", "standard"),
        (None, "\x00", "standard"),
    ],
)
def test_tier(field: str | None, header: str | None, tier: str):
    """The field wins over the header; an unknown name means standard, never an error."""
    fields = [] if field is None else [("transcription_tier", field)]
    assert form(*fields, tier_header=header).options.tier == tier


def test_prompt_is_one_line_of_its_end():
    """Line breaks and control characters become spaces; of a long prompt the end is kept."""
    assert options("prompt", "  Hello,\r\n\x00world\x1b[31m\u2028again  ").prompt == "Hello, world [31m again"
    long = "x" * 400_000 + "end"
    prompt = options("prompt", long).prompt
    assert prompt is not None
    assert len(prompt) == PROMPT_CHARACTERS
    assert prompt.endswith("end")
    assert options("hotwords", " Vexa,\nWhisper ").hotwords == "Vexa, Whisper"
    assert options("prompt", "\x00\r\n").prompt is None


def test_messages_show_little_of_a_long_value():
    """Error messages quote at most the start of a long value."""
    for name in ("response_format", "temperature", "task", "vad_filter", "timestamp_granularities", "language"):
        message = refusal((name, "\x1b\n\u202e" + "z" * 400_000)).message
        assert len(message) < 1000
        assert message.isprintable()


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        ({"type": "integer", "minimum": 0}, "a whole number of at least 0"),
        ({"type": "integer", "minimum": 1, "maximum": 9}, "a whole number from 1 to 9"),
        ({"anyOf": [{"type": "number", "maximum": 2}, {"type": "null"}]}, "a number of at most 2"),
        ({"type": "string", "maxLength": 5}, "a text of at most 5 characters"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, "one of a, b"),
        ({"type": "boolean"}, "true or false"),
        ({}, "allowed here"),
    ],
)
def test_an_error_says_what_a_field_allows(schema: Schema, allowed: str):
    """Every kind of field that pydantic can declare has words of its own, so a new field needs no new message."""
    assert _allowed(schema) == allowed
