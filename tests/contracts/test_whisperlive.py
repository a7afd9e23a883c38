import json
from typing import Any

import pytest
from pydantic import ValidationError

from app.contracts.whisperlive import Handshake, Language, Ready, SegmentMessage, Transcript, Wait

STOCK: dict[str, Any] = {
    "uid": "7f6a",
    "language": None,
    "task": "transcribe",
    "model": "small",
    "use_vad": True,
    "send_last_n_segments": 10,
    "no_speech_thresh": 0.45,
    "clip_audio": False,
    "same_output_threshold": 10,
    "enable_translation": False,
    "target_language": "fr",
    "hotwords": None,
    "enable_diarization": False,
    "max_speakers": 10,
    "known_speakers": [],
    "word_timestamps": False,
    "initial_prompt": None,
    "vad_parameters": None,
}


def test_stock_handshake_is_read():
    """All 18 fields of the stock client are accepted, and the ones with a meaning are kept."""
    handshake = Handshake.model_validate(
        STOCK | {"language": "DE", "send_last_n_segments": 3, "initial_prompt": "Vexa"}
    )
    assert handshake.uid == "7f6a"
    assert handshake.language == "de"
    assert handshake.send_last_n_segments == 3
    assert handshake.initial_prompt == "Vexa"
    assert not handshake.is_vexa


def test_browser_handshake_is_read():
    """Browsers send five fields; the others have their defaults."""
    handshake = Handshake.model_validate(
        {"uid": "b", "language": "en", "task": "transcribe", "model": "tiny", "use_vad": True}
    )
    assert handshake.audio_format == "float32"
    assert handshake.send_last_n_segments == 10


def test_vexa_handshake_is_read():
    """A bot's fields mark it as one; its token stays out of representations, and so out of logs."""
    fields = {"uid": "v", "platform": "google_meet", "meeting_url": "https://m", "token": "secret", "meeting_id": 7}
    handshake = Handshake.model_validate(
        fields | {"model": None, "language": None, "task": None, "transcription_tier": "deferred"}
    )
    assert handshake.is_vexa
    assert handshake.transcription_tier == "deferred"
    assert "secret" not in repr(handshake)


@pytest.mark.parametrize("language", ["", "auto", "unknown", None, 7, ["en"]])
def test_language_that_is_none(language):
    """Every word for detection, and invalid values, become None."""
    assert Handshake.model_validate({"uid": "u", "language": language}).language is None


@pytest.mark.parametrize(
    "fields",
    [
        {"send_last_n_segments": -1},
        {"send_last_n_segments": "many"},
        {"no_speech_thresh": float("nan")},
        {"no_speech_thresh": 7},
        {"task": "sing"},
        {"hotwords": 5},
        {"initial_prompt": {"a": 1}},
        {"unknown_field": object},
    ],
)
def test_unusable_option_is_as_good_as_absent(fields):
    """A client with one unusable option is served with the default of that option."""
    assert Handshake.model_validate({"uid": "u"} | fields) == Handshake(uid="u")


@pytest.mark.parametrize(
    "fields", [{"uid": ["x"]}, {"uid": "x" * 300}, {"uid": True}, {"uid": "u", "audio_format": "opus"}]
)
def test_unusable_uid_or_format_is_refused(fields):
    """An unusable uid or audio format is an error, because it would make every message or sample wrong."""
    with pytest.raises(ValidationError):
        Handshake.model_validate(fields)


def test_missing_and_numeric_uid():
    """A missing uid stays empty, and the gateway generates one; an integer becomes text."""
    assert Handshake.model_validate({}).uid == ""
    assert Handshake.model_validate({"uid": 42}).uid == "42"


def test_messages_have_the_wire_shape():
    """Each message is exactly what the stock client reads: uid first, without absent fields."""
    assert json.loads(Ready(uid="u").to_json()) == {"uid": "u", "message": "SERVER_READY", "backend": "faster_whisper"}
    assert json.loads(Wait(uid="u", message=1.5).to_json()) == {"uid": "u", "status": "WAIT", "message": 1.5}
    assert json.loads(Language(uid="u", language="en", language_prob=0.9).to_json()) == {
        "uid": "u",
        "language": "en",
        "language_prob": 0.9,
    }
    segment = SegmentMessage(start="0.000", end="1.500", text=" Hi.", completed=True)
    assert json.loads(Transcript(uid="u", segments=(segment,)).to_json()) == {
        "uid": "u",
        "segments": [{"start": "0.000", "end": "1.500", "text": " Hi.", "completed": True}],
    }


def test_empty_segment_list_cannot_be_sent():
    """The stock client raises IndexError on one."""
    with pytest.raises(ValidationError):
        Transcript(uid="u", segments=())
