import base64
import json

import pytest

from app.live.publish.dialects import DIALECTS, adapted, bundle_frame, meeting_number
from app.live.publish.payloads import Draft, Final, Identity

START_MS = 1_771_147_203_101


def identity(**fields):
    """A session with these fields of the handshake."""
    return Identity(connection_id="c", uid="u", gateway="g", **fields)


def jwt(claims):
    """A token that nobody has signed."""
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("fields", "number"),
    [
        ({"meeting_id": 8725}, 8725),
        ({"meeting_id": "8725"}, 8725),
        ({"meeting_id": "abc-defg-hij"}, None),
        ({"meeting_id": "abc", "token": jwt({"meeting_id": 8725})}, 8725),
        ({"meeting_id": "abc", "token": jwt([8725])}, None),
        ({"token": "an API key"}, None),
        ({"token": "not.!base64.s"}, None),
        ({"token": "not.AAAA.s"}, None),
        ({"meeting_id": "٣"}, None),
        ({"meeting_id": -3}, None),
        ({}, None),
    ],
)
def test_the_number_of_a_meeting(fields, number):
    """From the token's claims, or from a meeting id that is a number; a token that is none is no error."""
    assert meeting_number(identity(**fields)) == number


def test_numeric_meeting_id_where_the_reader_needs_one():
    """Only vexa-0.12 does."""
    fields = {"meeting_id": "abc", "token": jwt({"meeting_id": 8725})}
    written = {name: adapted(identity(**fields), dialect).meeting_id for name, dialect in DIALECTS.items()}
    assert written == {"plain": "abc", "vexa-0.9": "abc", "vexa-0.10": "abc", "vexa-0.12": 8725}
    assert adapted(identity(meeting_id="abc"), DIALECTS["vexa-0.12"]).meeting_id == "abc"


def test_dialects_differ_as_their_readers_do():
    """Which entries are written, and in which units."""
    assert [name for name, dialect in DIALECTS.items() if not dialect.session_end] == ["vexa-0.9"]
    assert [name for name, dialect in DIALECTS.items() if dialect.unix_times] == ["vexa-0.12"]
    assert [name for name, dialect in DIALECTS.items() if not dialect.bundles] == ["plain"]


def test_bundle():
    """New finals and all drafts for the meeting's channel; the drafts also under a key."""
    final = Final(3, 1000, 2000, START_MS + 1000, START_MS + 2000, " a", "en")
    draft = Draft(2000, 2500, " b", None)
    frame = bundle_frame(
        identity(meeting_id=8725), [final], [draft], start_ms=START_MS, now_ms=START_MS + 2500, unix=False
    )
    assert frame is not None
    assert (frame.channel, frame.key) == ("tc:meeting:8725:mutable", "meeting:8725:pending:u")
    bundle = json.loads(frame.message)
    assert bundle["type"] == "transcript"
    assert [segment["segment_id"] for segment in bundle["confirmed"]] == ["c:3"]
    assert bundle["pending"] == json.loads(frame.value)
    assert bundle["pending"][0]["absolute_start_time"] == "2026-02-15T09:20:05.101Z"


def test_bundle_in_unix_seconds():
    """As vexa-0.12 has them."""
    frame = bundle_frame(
        identity(meeting_id=1), [], [Draft(2000, 2500, " b", None)], start_ms=START_MS, now_ms=START_MS, unix=True
    )
    assert frame is not None
    assert json.loads(frame.message)["pending"][0]["start"] == START_MS / 1000 + 2


def test_no_bundle_without_a_number():
    """There is no channel for it."""
    assert bundle_frame(identity(), [], [], start_ms=0, now_ms=0, unix=False) is None
