from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.collector.vexa_rules import g1a_objections, g1b_objections, g2_objections, g3_objections
from tests.collector.wire.entries import (
    G1_END,
    G1_SEGMENTS,
    G1_START,
    G2_SEGMENT,
    G3_RETRACT,
    G3_SEGMENT,
    OURS_END,
    OURS_SEGMENT,
    OURS_START,
    SIGNING_KEY,
    meeting_token,
)

IN_TIME = datetime(2026, 2, 15, 10, tzinfo=UTC)
LATE = datetime(2026, 2, 15, 13, tzinfo=UTC)


def g1a(payload):
    """The reasons of the oldest generation, which knows the key T."""
    return g1a_objections(payload, api_tokens={"T"})


def g1b(payload, now=IN_TIME):
    """The reasons of WhisperLive's last generation."""
    return g1b_objections(payload, secret=SIGNING_KEY, now=now)


def g2(payload, now=IN_TIME):
    """The reasons of the bot's first generation."""
    return g2_objections(payload, secret=SIGNING_KEY, now=now)


def test_each_generation_takes_its_own():
    """The golden entries pass the rules of their time."""
    assert [g1a(each) for each in (G1_START, G1_SEGMENTS, G1_END)] == [[], [], []]
    assert [g1b(each | {"token": meeting_token()}) for each in (G1_START, G1_SEGMENTS, G1_END)] == [[], [], []]
    assert g2(G2_SEGMENT | {"token": meeting_token(iss="meeting-api")}) == []
    assert g2(G2_SEGMENT | {"token": None}) == []
    assert g3_objections(G3_SEGMENT) == g3_objections(G3_RETRACT) == []


@pytest.mark.parametrize("payload", [OURS_START, OURS_SEGMENT, OURS_END], ids=lambda payload: payload["type"])
def test_all_generations_take_ours(payload):
    """With the token and id of a generation, the same entry passes all four."""
    assert g1a(payload) == []
    assert g1b(payload | {"token": meeting_token()}) == []
    assert g2(payload | {"token": meeting_token(iss="meeting-api")}) == []
    assert g3_objections(payload) == []


def test_what_each_generation_refuses():
    """Old entries do not pass newer rules, and the other way round; each reason is named."""
    assert g1a(OURS_SEGMENT | {"token": "X"}) == ["token is no API key"]
    assert g1b(G1_SEGMENTS) == ["token: Not enough segments"]
    assert g1b(G1_SEGMENTS | {"token": meeting_token()}, LATE) == ["token: expired"]
    assert g1b(G1_SEGMENTS | {"token": meeting_token(), "uid": ""}) == ["uid is missing"]
    assert g2(G1_SEGMENTS | {"token": None})[0] == "segments[0]: segment_id is missing"
    assert g2(G2_SEGMENT | {"token": meeting_token()}) == ["token: Invalid issuer"]
    assert g3_objections(G3_SEGMENT | {"meeting_id": "abc"}) == ["meeting_id is not numeric"]


def test_times_and_lengths():
    """An offset would be misread, and no length is dropped but in the chat of the last generation."""
    assert g1a(G1_START | {"start_timestamp": "2026-02-15T09:20:02+00:00"}) == ["start_timestamp does not end in Z"]
    empty = OURS_SEGMENT["segments"][0] | {"end": 0.0}  # type: ignore[index]
    assert g1a(OURS_SEGMENT | {"segments": [empty]}) == []
    assert g3_objections(OURS_SEGMENT | {"segments": [empty]}) == ["segments[0]: no length"]
    assert g3_objections(OURS_SEGMENT | {"segments": [empty | {"source": "chat"}]}) == []
    assert g1a(OURS_SEGMENT | {"segments": [{"text": 1}]}) == ["segments[0]: start or end is not a number"]
