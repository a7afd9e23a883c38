from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from app.collector.render.bodies import segment_json
from app.collector.render.frames import frames, mutable_frame, status_frame
from app.collector.rows import Change, SegmentRow
from tests.collector.render.rows import HELLO, MEETING

NOW_MS = 1771147207500
TS = "2026-02-15T09:20:07.500000Z"
DRAFT = replace(HELLO, key="01JQ8Z:1", completed=False, text="and then")
IDENTITY = {"id": 129, "platform": "google_meet", "native_id": "zqe-gfmd-knr"}


def pushed(*segments: SegmentRow, **changes: Any) -> list[dict[str, Any]]:
    """The frames of a change from seq 410 to 412."""
    return frames(Change(MEETING, 410, segments, **changes), now_ms=NOW_MS)


def test_a_final_and_a_draft_of_one_speaker():
    """One transcript frame, field by field in the documented order."""
    (frame,) = pushed(HELLO, DRAFT)
    assert json.dumps(frame) == json.dumps(
        {
            "type": "transcript",
            "meeting": IDENTITY,
            "speaker": "Alice",
            "confirmed": [segment_json(HELLO)],
            "pending": [segment_json(DRAFT)],
            "seq": 412,
            "prev_seq": 410,
            "ts": TS,
        }
    )


def test_a_frame_for_each_speaker():
    """Frames before the last do not raise seq, so a reader that saw only some of them is sent all again."""
    both = pushed(HELLO, replace(HELLO, key="x", speaker=None), replace(HELLO, key="y"))
    assert [(frame["speaker"], len(frame["confirmed"]), frame["seq"], frame["prev_seq"]) for frame in both] == [
        ("Alice", 2, 410, 410),
        (None, 1, 412, 410),
    ]


def test_what_is_gone():
    """Retracted, deleted and hidden segments in one frame, after what replaces them, each by its shown id."""
    hidden = replace(HELLO, key="t:0", hidden_by="t:20")
    shown, gone = pushed(HELLO, hidden, replace(HELLO, key="z", deleted=True), retracted=("turn:1", "01JQ8Z:0"))
    assert shown["type"] == "transcript"
    assert gone == {
        "type": "transcript_retract",
        "meeting": {"id": 129},
        "segment_ids": ["turn:1", "01JQ8Z:t:0", "z"],
        "seq": 412,
        "prev_seq": 410,
    }


def test_new_sessions():
    """Readers learn whose drafts to follow before anything else."""
    first, second = pushed(HELLO, sessions=("01JQ8Z",))
    assert first == {
        "type": "session",
        "meeting": {"id": 129},
        "connection_id": "01JQ8Z",
        "seq": 410,
        "prev_seq": 410,
    }
    assert second["type"] == "transcript"


def test_the_status():
    """Sent when it changed, and when nothing else would tell that seq grew."""
    expected = {"type": "meeting.status", "meeting": IDENTITY, "payload": {"status": "completed"}}
    numbers = {"seq": 412, "prev_seq": 410}
    assert pushed(HELLO, status_changed=True)[-1] == pushed()[-1] == expected | numbers | {"ts": TS}
    assert status_frame(MEETING, ts=TS) == expected | {"ts": TS}


def test_mutable_frames():
    """The form of Vexa's first clients, from the same change; other frames are unknown to them."""
    mutable = mutable_frame(pushed(HELLO, DRAFT)[0])
    assert mutable is not None
    assert list(mutable) == ["type", "meeting", "payload", "seq", "prev_seq", "ts"]
    assert mutable["meeting"] == {"id": 129}
    assert mutable["payload"]["segments"][0] == {
        "start": 0.0,
        "end_time": 3.2,
        "text": "Hello everyone.",
        "speaker": "Alice",
        "language": "en",
        "completed": True,
        "session_uid": "6f1c",
        "speaker_mapping_status": "MAPPED",
        "absolute_start_time": "2026-02-15T09:20:03.101000Z",
        "absolute_end_time": "2026-02-15T09:20:06.301000Z",
        "updated_at": TS,
    }
    assert [each["completed"] for each in mutable["payload"]["segments"]] == [True, False]
    assert mutable_frame(pushed(retracted=("a",))[0]) is None


def test_a_reader_has_no_gap():
    """Frames of changes that follow each other form a chain, wherever a reader joins it."""
    changes = [
        Change(replace(MEETING, seq=2), 0, (HELLO, replace(HELLO, speaker="Bob")), retracted=("a",)),
        Change(replace(MEETING, seq=3), 2),
        Change(replace(MEETING, seq=7), 3, (DRAFT,), sessions=("s",)),
    ]
    chain = [frame for change in changes for frame in frames(change, now_ms=NOW_MS)]
    seq = 0
    for frame in chain:
        assert frame["prev_seq"] == seq
        seq = frame["seq"]
    assert seq == 7
