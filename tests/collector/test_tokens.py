from __future__ import annotations

import base64
import json

import jwt
import pytest

from app.collector.tokens import BadToken, Claims, verify
from tests.collector.wire.entries import CLAIMS, SIGNING_KEY, meeting_token


def test_a_token_names_owner_and_meeting():
    """A token of Vexa's bot manager, whose time is over: expiry is not checked here."""
    expected = Claims(4, 8725, 1771154402000, platform="google_meet", native_id="abc-defg-hij")
    assert verify(meeting_token(), SIGNING_KEY) == expected


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")  # of the test, where it signs
def test_what_a_token_may_lack():
    """Owner, expiry and names; numbers may come as text, other issuers are known too, and any secret will do."""
    bare = meeting_token(user_id=None, exp=None, platform=None, native_meeting_id=None, iss="meeting-api")
    assert verify(bare, SIGNING_KEY) == Claims(None, 8725, None)
    assert verify(meeting_token(meeting_id="8725", user_id="4", sub=4, iss="stt-collector"), SIGNING_KEY).owner_id == 4
    assert verify(meeting_token("short"), "short").meeting_id == 8725


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "somebody"}, "issuer"),
        ({"iss": None}, "no iss"),
        ({"aud": "another"}, "audience"),
        ({"aud": None}, "no aud"),
        ({"scope": "read"}, "scope"),
        ({"meeting_id": None}, "no meeting_id"),
        ({"meeting_id": 0}, "meeting_id"),
        ({"meeting_id": True}, "meeting_id"),
        ({"meeting_id": "9" * 30}, "meeting_id"),
        ({"user_id": "Ann"}, "user_id"),
        ({"exp": "soon"}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": 1e300}, "exp"),
    ],
    ids=str,
)
def test_other_claims_are_refused(claims, reason):
    """Each claim that does not fit is named."""
    with pytest.raises(BadToken, match=reason):
        verify(meeting_token(**claims), SIGNING_KEY)


def test_other_signatures_are_refused():
    """Another secret, another algorithm, or none."""
    with pytest.raises(BadToken, match="another secret"):
        verify(meeting_token("another secret of more than 32 bytes"), SIGNING_KEY)
    other_algorithm = jwt.encode(CLAIMS, SIGNING_KEY * 2, algorithm="HS512")
    unsigned = jwt.encode(CLAIMS, None, algorithm="none")
    for token in (other_algorithm, unsigned):
        with pytest.raises(BadToken, match="not a JWT signed with HS256"):
            verify(token, SIGNING_KEY * 2)


def encoded(header: str) -> str:
    """A header as it stands in a token."""
    return base64.urlsafe_b64encode(header.encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "token",
    [
        "",
        "T",
        "a.b.c",
        "\ud800.b.c",
        encoded("[" * 3000) + ".e30.c2ln",
        encoded('{"alg":' + "9" * 5000 + "}") + ".e30.c2ln",
        encoded(json.dumps({"alg": "HS256", "crit": ["b64"], "b64": False})) + "..c2ln",
        "x" * 10_000,
    ],
    ids=lambda token: str(len(token)),
)
def test_what_is_no_token_is_refused(token: str):
    """Anything else is refused with a reason that does not hold it."""
    with pytest.raises(BadToken) as refusal:
        verify(token, SIGNING_KEY)
    assert not token or len(token) < 2 or token not in refusal.value.reason
