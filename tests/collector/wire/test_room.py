from __future__ import annotations

from typing import Any

import pytest

from app.collector.wire.errors import Unusable
from app.collector.wire.room import read_origin
from app.collector.wire.values import Problems
from tests.collector.wire.entries import SIGNING_KEY, meeting_token


def origin(secret: str = "", **fields: Any):
    """Meeting and session of an entry with these fields, and what was noted."""
    problems = Problems()
    return read_origin(fields, secret=secret, problems=problems), problems.reasons()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"meeting_id": 8725}, (8725, None)),
        ({"meeting_id": "8725"}, (8725, None)),
        ({"meeting_id": "8725", "token": "an API key"}, (None, "8725")),
        ({"meeting_id": 8725, "token": "an API key"}, (8725, None)),
        ({"meeting_id": "8725", "token": "aa.bb.cc"}, (8725, None)),
        ({"meeting_id": "12345678901"}, (None, "12345678901")),
        ({"meeting_id": 12345678901}, (None, "12345678901")),
        ({"meeting_id": "abc-defg-hij"}, (None, "abc-defg-hij")),
        ({"meeting_id": 7, "native_meeting_id": "abc"}, (7, "abc")),
        ({"meeting_id": "0"}, (None, "0")),
        ({"meeting_id": "٣"}, (None, "٣")),
    ],
    ids=str,
)
def test_numbers_and_native_ids_are_told_apart(fields, expected):
    """Small numbers are Vexa's; digits with an API key, or too many for a number of Vexa, are the platform's."""
    room = origin(platform="zoom", **fields)[0].room
    assert (room.meeting_id, room.native_id) == expected


def test_a_verified_token_decides():
    """The entry's own fields give way to the claims."""
    found, problems = origin(SIGNING_KEY, token=meeting_token(), platform="zoom", meeting_id=1)
    room = found.room
    assert (room.meeting_id, room.platform, room.native_id, room.owner_id) == (8725, "google_meet", "abc-defg-hij", 4)
    assert problems == ()


def test_a_meeting_without_name():
    """Platform `none`, and the session's uid as the meeting's name."""
    assert (origin(uid="u")[0].room.platform, origin(uid="u")[0].room.native_id) == ("none", "u")
    assert origin(connection_id="c")[0].room.native_id == "c"
    assert origin()[0].room.native_id == "-"
    assert (origin(platform="zoom", uid="u")[0].room.platform, origin(platform="zoom", uid="u")[0].room.native_id) == (
        "zoom",
        "u",
    )


def test_platforms_are_lower_case():
    """Other names than letters, digits and underscores are noted and not used."""
    assert origin(platform=" Google_Meet ", meeting_id="a")[0].room.platform == "google_meet"
    for bad in ("google meet", "../etc", "é", "x" * 101, 5.0):
        found, problems = origin(platform=bad, meeting_id="a")
        assert found.room.platform == "none"
        assert problems[0].startswith("platform ")


def test_ids_that_no_database_takes_are_noted():
    """The meeting is then found by what is left."""
    found, problems = origin(platform="zoom", meeting_id="\ud800", uid="u")
    assert (found.room.meeting_id, found.room.native_id) == (None, "u")
    assert problems == ("meeting_id holds half a surrogate pair or NUL",)


def test_sessions_are_told_apart_by_connection():
    """Our gateway's connection, else the uid, else one session for all."""
    assert origin(connection_id="c", uid="u")[0].session_key == "c"
    assert origin(session_uid="u")[0].session_key == "u"
    assert origin(uid="  ")[0].session_key == "-"


@pytest.mark.parametrize("uid", ["u" * 256, "a\0b", "\ud800", ["u"]])
def test_a_strange_uid_loses_no_text_of_our_gateway(uid: object):
    """The gateway accepts what clients choose as uid; its own connection id tells the session from others."""
    found, problems = origin(platform="zoom", meeting_id="m", connection_id="c", uid=uid)
    assert (found.session_key, found.session_uid, found.room.native_id) == ("c", None, "m")
    assert len(problems) == 1
    assert problems[0].startswith("uid ")
    with pytest.raises(Unusable):
        origin(platform="zoom", meeting_id="m", uid=uid)
