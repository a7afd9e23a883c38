"""Changes of a meeting as frames of the live push. Pure.

A reader at `seq` S takes a frame whose `prev_seq` is S and is then at the frame's `seq`; a lower `prev_seq` is known
already, a higher one is a gap. Of the frames of one change only the last raises `seq`, so a reader that saw some of
them and reconnects is sent all of them again, and merging by segment_id makes that harmless.
Source: Vexa v0.9 (`transcript.mutable`) and v0.10 on (`transcript`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from app.collector.render.bodies import iso, segment_json
from app.collector.rows import Change, MeetingRow, SegmentRow
from app.collector.segment_ids import shown_id

Frame = dict[str, Any]


def frames(change: Change, *, now_ms: int) -> list[Frame]:
    """Return the frames of a change, in the order in which they must be sent.

    New sessions come first, then a frame for each speaker, then what is gone (after what replaces it, so that no text
    vanishes for a moment), then the meeting's status, which is also sent if nothing else tells of the change.

    Args:
        change: what one transaction changed.
        now_ms: Unix ms, for `ts`.
    """
    ts = iso(now_ms)
    meeting = change.meeting
    content = [*_sessions(change), *_transcripts(change, ts), *_retracted(change)]
    if change.status_changed or not content:
        content.append(status_frame(meeting, ts=ts))
    return list(_numbered(content, change))


def status_frame(meeting: MeetingRow, *, ts: str) -> Frame:
    """The status of a meeting, without `seq` and `prev_seq`: it may also be sent outside of a change."""
    return {
        "type": "meeting.status",
        "meeting": _identity(meeting),
        "payload": {"status": meeting.status},
        "ts": ts,
    }


def mutable_frame(frame: Mapping[str, Any]) -> Frame | None:
    """Return a `transcript` frame in the form of Vexa's first clients; None for a frame that they do not know.

    These clients merge segments by `absolute_start_time` and prefer the later `updated_at`.
    """
    if frame.get("type") != "transcript":
        return None
    segments = [_mutable_segment(each, frame["ts"]) for each in (*frame["confirmed"], *frame["pending"])]
    return {
        "type": "transcript.mutable",
        "meeting": {"id": frame["meeting"]["id"]},
        "payload": {"segments": segments},
        "seq": frame["seq"],
        "prev_seq": frame["prev_seq"],
        "ts": frame["ts"],
    }


def _numbered(content: list[Frame], change: Change) -> Iterator[Frame]:
    """Give each frame its place; `ts` stays the last field."""
    for number, frame in enumerate(content, start=1):
        ts = frame.pop("ts", None)
        seq = change.meeting.seq if number == len(content) else change.prev_seq
        yield frame | {"seq": seq, "prev_seq": change.prev_seq} | ({} if ts is None else {"ts": ts})


def _sessions(change: Change) -> Iterator[Frame]:
    for session_key in change.sessions:
        yield {"type": "session", "meeting": {"id": change.meeting.id}, "connection_id": session_key}


def _transcripts(change: Change, ts: str) -> Iterator[Frame]:
    """A frame for each speaker: `confirmed` is added or replaced by segment_id, `pending` replaces the drafts."""
    for speaker, rows in _by_speaker(row for row in change.segments if _is_shown(row)).items():
        yield {
            "type": "transcript",
            "meeting": _identity(change.meeting),
            "speaker": speaker,
            "confirmed": [segment_json(row) for row in rows if row.completed],
            "pending": [segment_json(row) for row in rows if not row.completed],
            "ts": ts,
        }


def _retracted(change: Change) -> Iterator[Frame]:
    """What was retracted or replaced, and what is hidden from now on because another segment says the same."""
    gone = (shown_id(row.session_key, row.key) for row in change.segments if not _is_shown(row))
    shown = {shown_id(row.session_key, row.key) for row in change.segments if _is_shown(row)}
    segment_ids = [each for each in dict.fromkeys((*change.retracted, *gone)) if each not in shown]
    if segment_ids:
        yield {"type": "transcript_retract", "meeting": {"id": change.meeting.id}, "segment_ids": segment_ids}


def _by_speaker(rows: Iterable[SegmentRow]) -> dict[str | None, list[SegmentRow]]:
    grouped = defaultdict[str | None, list[SegmentRow]](list)
    for row in rows:
        grouped[row.speaker].append(row)
    return grouped


def _is_shown(row: SegmentRow) -> bool:
    return not row.deleted and row.hidden_by is None


def _identity(meeting: MeetingRow) -> dict[str, Any]:
    return {"id": meeting.id, "platform": meeting.platform, "native_id": meeting.native_id}


def _mutable_segment(segment: Mapping[str, Any], updated_at: str) -> dict[str, Any]:
    return {
        "start": segment["start"],
        "end_time": segment["end_time"],
        "text": segment["text"],
        "speaker": segment["speaker"],
        "language": segment["language"],
        "completed": segment["completed"],
        "session_uid": segment["session_uid"],
        "speaker_mapping_status": segment["speaker_mapping_status"],
        "absolute_start_time": segment["absolute_start_time"],
        "absolute_end_time": segment["absolute_end_time"],
        "updated_at": updated_at,
    }
