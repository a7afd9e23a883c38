import json

import pytest

from app.contracts.whisperlive import Handshake
from app.live.publish import payloads
from app.live.publish.payloads import Draft, Final, Identity

BOT = Handshake.model_validate({"uid": "6f1c", "token": "T", "platform": "google_meet", "meeting_id": 8725})
START_MS = 1_771_147_203_101  # 2026-02-15T09:20:03.101Z


def identity(handshake=BOT):
    """The identity of a session."""
    return Identity.of(handshake, connection_id="01JQ", gateway="gw-1")


def test_session_start():
    """Second 0 under both names that readers know, with everything that names the meeting."""
    assert payloads.session_start(identity(), start_ms=START_MS) == {
        "type": "session_start",
        "token": "T",
        "platform": "google_meet",
        "meeting_id": 8725,
        "uid": "6f1c",
        "session_uid": "6f1c",
        "connection_id": "01JQ",
        "start_timestamp": "2026-02-15T09:20:03.101Z",
        "start_time": "2026-02-15T09:20:03.101Z",
        "gateway": "gw-1",
    }


def test_transcription():
    """Numbers, not texts; the absolute times end in Z; the id is made of the connection and the counter."""
    final = Final(0, 0, 3200, START_MS, START_MS + 3200, " Hello everyone.", "en")
    (segment,) = payloads.transcription(identity(), [final])["segments"]
    assert segment == {
        "segment_id": "01JQ:0",
        "seq": 0,
        "start": 0.0,
        "end": 3.2,
        "text": " Hello everyone.",
        "language": "en",
        "completed": True,
        "speaker": None,
        "absolute_start_time": "2026-02-15T09:20:03.101Z",
        "absolute_end_time": "2026-02-15T09:20:06.301Z",
    }


def test_unix_times():
    """For readers that keep no other times, start and end are Unix seconds."""
    final = Final(0, 0, 3200, START_MS, START_MS + 3200, " Hello", None)
    (segment,) = payloads.transcription(identity(), [final], unix_times=True)["segments"]
    assert (segment["start"], segment["end"]) == (START_MS / 1000, START_MS / 1000 + 3.2)
    assert "language" not in segment


def test_session_end():
    """It says how many finals there were, how much was heard, and why it ended."""
    end = payloads.session_end(
        identity(),
        end_ms=START_MS,
        final_count=184,
        audio_s=2528.4,
        unheard_s=0,
        ending="left",
        event="LEAVING_MEETING",
    )
    assert end["end_timestamp"] == "2026-02-15T09:20:03.101Z"
    expected = {"final_count": 184, "audio_s": 2528.4, "unheard_s": 0, "ending": "left", "event": "LEAVING_MEETING"}
    assert expected.items() <= end.items()


def test_what_the_handshake_had_not_is_left_out():
    """A browser names no meeting; a number stays a number, and a text a text."""
    browser = identity(Handshake.model_validate({"uid": "u", "meeting_id": "abc-defg"}))
    assert browser.fields() == {"meeting_id": "abc-defg", "uid": "u", "session_uid": "u", "connection_id": "01JQ"}


@pytest.mark.parametrize(
    "field", [{"token": "t" * 5000}, {"platform": "p" * 101}, {"meeting_id": "m" * 256}, {"meeting_id": 2**70}]
)
def test_what_is_too_long_is_left_out(field):
    """Every entry repeats these fields, so a hostile handshake cannot make them long."""
    assert not field.keys() & identity(Handshake.model_validate({"uid": "u", **field})).fields().keys()


def test_draft():
    """Drafts name the finals before them; the newest one is kept for readers that come later."""
    frame = payloads.draft_frame("01JQ", [Draft(41_200, 42_000, " and then", "en")], after=12)
    assert (frame.channel, frame.key) == ("tc:session:01JQ", "session:01JQ:pending")
    assert json.loads(frame.message) == {
        "type": "draft",
        "connection_id": "01JQ",
        "after": 12,
        "segments": [{"start": 41.2, "end": 42.0, "text": " and then", "language": "en"}],
    }


def test_half_a_surrogate_pair_becomes_a_question_mark():
    """A service may send one; UTF-8 cannot hold it."""
    assert payloads.to_json({"text": "a\ud800b 好"}) == '{"text":"a?b 好"}'
