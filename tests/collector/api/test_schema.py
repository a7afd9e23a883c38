from __future__ import annotations

import dataclasses

from pydantic import ConfigDict, TypeAdapter

from app.collector.api.schema import MeetingBody, SegmentBody, TranscriptBody
from app.collector.render.bodies import meeting_json, segment_json, transcript_json
from tests.collector.render.rows import HELLO, MEETING


def fits(kind: type, body: dict[str, object]) -> None:
    """The body has exactly the fields of the type, with their types."""

    class Strict(kind):  # type: ignore[misc]
        __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    TypeAdapter(Strict).validate_python(body)


def test_bodies_are_what_the_document_says():
    """Every field of the renderers is documented, and no other."""
    full = dataclasses.replace(
        HELLO,
        hidden_by="x",
        promoted=True,
        deleted=True,
        words=({"word": "Hello", "start": 0.0},),
        speaker_key="ch-0",
        source="merged",
    )
    fits(SegmentBody, segment_json(HELLO))
    fits(SegmentBody, segment_json(full))
    fits(MeetingBody, meeting_json(MEETING))
    fits(TranscriptBody, transcript_json(MEETING, [HELLO, full]))
