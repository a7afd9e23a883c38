import json
from datetime import UTC, datetime
from itertools import pairwise

import jwt
import pytest

from app.contracts.whisperlive import Transcript
from app.live.policy.windows import Update
from app.live.protocols.whisperlive.renderer import WhisperLiveRenderer
from app.live.publish.dialects import DIALECTS
from app.live.publish.payloads import Identity
from app.live.publish.recorder import MAX_EVENTS_AT_ONCE, SessionRecorder, Target
from tests.collector.vexa_rules import g1a_objections, g1b_objections, g2_objections, g3_objections
from tests.live.publish.fakes import MemorySink, seg

START_MS = 1_771_147_203_101
NOW = datetime(2026, 2, 15, 9, 21, tzinfo=UTC)
SECRET = "the secret that both parts of Vexa share"  # noqa: S105  of this test
EVENT = {"event_type": "SPEAKER_START", "participant_name": "Ann", "relative_client_timestamp_ms": 5}


class Session:
    """A recorder with its sink and a clock in milliseconds."""

    def __init__(self, dialect="plain", **fields):
        self.sink = MemorySink()
        self.now_ms = START_MS
        identity = Identity(connection_id="c", uid="u", gateway="g", **fields)
        target = Target(dialect=DIALECTS[dialect])
        self.recorder = SessionRecorder(
            identity, target=target, sink=self.sink, language="en", now_ms=lambda: self.now_ms
        )

    def hear(self, seconds):
        """Audio in real time, in frames of 256 ms."""
        for _ in range(round(seconds / 0.256)):
            self.recorder.audio(4096)
            self.now_ms += 256

    @property
    def segments(self):
        """All final segments."""
        return [s for payload in self.sink.payloads if payload["type"] == "transcription" for s in payload["segments"]]

    @property
    def drafts(self):
        """All draft frames for live readers of sessions."""
        return [json.loads(f.message) for f in self.sink.frames if f.channel.startswith("tc:session:")]


def test_a_session_from_start_to_end():
    """The start comes with the first sample; finals are counted; the end has the count."""
    session = Session()
    session.now_ms += 5000  # the handshake was long before
    session.recorder.audio(0)
    assert session.sink.entries == []
    session.hear(10)
    session.recorder.update(Update(completed=(seg("a", 0.5, 2), seg("b", 2, 4))))
    session.recorder.update(Update(completed=(seg("c", 5, 6, language="de"),)))
    session.recorder.end("left", unheard_s=0.5)
    kinds = [payload["type"] for payload in session.sink.payloads]
    assert kinds == ["session_start", "transcription", "transcription", "session_end"]
    assert session.sink.payloads[0]["start_timestamp"] == "2026-02-15T09:20:08.101Z"
    assert [(s["seq"], s["segment_id"], s["language"]) for s in session.segments] == [
        (0, "c:0", "en"),
        (1, "c:1", "en"),
        (2, "c:2", "de"),
    ]
    assert session.segments[0]["absolute_start_time"] == "2026-02-15T09:20:08.601Z"
    end = session.sink.payloads[-1]
    assert (end["final_count"], end["unheard_s"], end["ending"]) == (3, 0.5, "left")
    assert end["audio_s"] == pytest.approx(10, abs=0.2)
    assert session.sink.ended == ["c"]


def test_a_session_without_audio_is_not_published():
    """A client that only connects leaves nothing behind."""
    session = Session()
    session.recorder.end("idle", unheard_s=0)
    assert session.sink.entries == []
    assert session.sink.ended == ["c"]


def test_times_are_those_that_the_client_gets():
    """Whatever the segments' times, storage and client have the same, and starts increase strictly."""
    segments = (seg("a", 0, 5), seg("b", 4, 4.5), seg("c", 4.2, 4.2), seg("d", 6.0004, 6.0004))
    session = Session()
    session.hear(10)
    session.recorder.update(Update(completed=segments))
    view = WhisperLiveRenderer("u", last_n=10, with_words=False)
    *_, last = [m for m in view.messages(Update(completed=segments)) if isinstance(m, Transcript)]
    assert [(f"{s['start']:.3f}", f"{s['end']:.3f}") for s in session.segments] == [
        (s.start, s.end) for s in last.segments
    ]
    starts = [s["start"] for s in session.segments]
    assert sorted(set(starts)) == starts


def test_audio_after_a_pause_of_the_client():
    """What is said after a minute without frames has the time at which it came."""
    session = Session()
    session.hear(5.12)
    session.now_ms += 60_000
    session.hear(5.12)
    session.recorder.update(Update(completed=(seg("a", 1, 2), seg("b", 6, 7))))
    assert [s["absolute_start_time"] for s in session.segments] == [
        "2026-02-15T09:20:04.101Z",
        "2026-02-15T09:21:09.101Z",
    ]


def test_segments_of_one_burst_follow_each_other():
    """Audio that arrives all at once after a stall still has segments in order and of their length."""
    session = Session()
    session.hear(1.024)
    session.now_ms += 30_000
    for _ in range(80):
        session.recorder.audio(4096)
    session.recorder.update(Update(completed=(seg("a", 2, 5), seg("b", 5, 9), seg("c", 9, 12))))
    times = [(s["absolute_start_time"], s["absolute_end_time"]) for s in session.segments]
    assert times == sorted(times)
    assert all(start < end for start, end in times)
    assert all(end <= start for (_, end), (start, _) in pairwise(times))


def test_drafts_replace_each_other():
    """Each change is shown with the number of finals before it; the same draft is not shown twice."""
    session = Session()
    session.hear(5)
    draft = seg("an", 2, 3, completed=False)
    session.recorder.update(Update(partial=draft))
    session.recorder.update(Update(partial=draft))
    session.recorder.update(Update(completed=(seg("a", 0, 2),), partial=draft))
    session.recorder.update(Update())
    session.recorder.update(Update())
    shown = [(frame["after"], [s["text"] for s in frame["segments"]]) for frame in session.drafts]
    assert shown == [(0, [" an"]), (1, [" an"]), (1, [])]


def test_the_end_withdraws_the_draft():
    """Nothing is being said any more."""
    session = Session()
    session.hear(5)
    session.recorder.update(Update(partial=seg("an", 2, 3, completed=False)))
    session.recorder.end("left", unheard_s=1)
    assert session.drafts[-1]["segments"] == []


def test_speaker_events_and_the_end_of_a_meeting():
    """Who speaks goes to its own stream; that the bot leaves is told with the end."""
    session = Session()
    session.recorder.control("speaker_activity", EVENT)
    session.hear(1)
    session.recorder.control("session_control", {"event": "LEAVING_MEETING", "uid": "random"})
    session.recorder.control("something_else", EVENT)
    session.recorder.end("left", unheard_s=0)
    assert [item.stream for item in session.sink.entries].count("speaker_events_relative") == 1
    assert session.sink.payloads[-1]["event"] == "LEAVING_MEETING"


def test_hostile_events_are_counted():
    """They change nothing else; a flood of valid ones is cut too, and later ones are accepted again."""
    session = Session()
    session.recorder.control("speaker_activity", {"event_type": [[]]})
    session.recorder.control("session_control", {})
    for _ in range(2 * MAX_EVENTS_AT_ONCE):
        session.recorder.control("speaker_activity", EVENT)
    assert session.sink.refused.count("unusable_event") == 2
    assert session.sink.refused.count("too_many_events") > 100
    n_before = len(session.sink.entries)
    session.now_ms += 3_600_000
    session.recorder.control("speaker_activity", EVENT)
    assert len(session.sink.entries) == n_before + 1


def test_vexa_09_gets_no_session_end():
    """Its collector would delete the speaker events."""
    session = Session("vexa-0.9", meeting_id=1)
    session.hear(2)
    session.recorder.end("left", unheard_s=0)
    assert [payload["type"] for payload in session.sink.payloads] == ["session_start"]
    assert session.sink.ended == ["c"]


def test_vexa_dialects_publish_bundles():
    """Finals and drafts go to the meeting's channel too."""
    session = Session("vexa-0.12", meeting_id="8725")
    session.hear(5)
    session.recorder.update(Update(completed=(seg("a", 1, 2),), partial=seg("b", 2, 3, completed=False)))
    bundles = [json.loads(f.message) for f in session.sink.frames if f.channel == "tc:meeting:8725:mutable"]
    assert [(len(bundle["confirmed"]), len(bundle["pending"])) for bundle in bundles] == [(1, 0), (0, 1)]
    assert session.segments[0]["start"] == START_MS / 1000 + 1
    assert session.sink.payloads[0]["meeting_id"] == 8725


def meeting_token(issuer):
    """A MeetingToken as that part of Vexa makes it."""
    claims = {"iss": issuer, "aud": "transcription-collector", "scope": "transcribe:write", "meeting_id": 8725}
    return jwt.encode({**claims, "exp": NOW.timestamp() + 7200}, SECRET, algorithm="HS256")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("objections", "fields"),
    [
        (lambda payload: g1a_objections(payload, api_tokens=["key"]), {"token": "key", "meeting_id": "abc-defg-hij"}),
        (
            lambda payload: g1b_objections(payload, secret=SECRET, now=NOW),
            {"token": meeting_token("bot-manager"), "meeting_id": "abc-defg-hij"},
        ),
        (
            lambda payload: g2_objections(payload, secret=SECRET, now=NOW),
            {"token": meeting_token("meeting-api"), "meeting_id": "8725"},
        ),
        (lambda payload: g2_objections(payload, secret=SECRET, now=NOW), {"meeting_id": "8725"}),
        (g3_objections, {"meeting_id": 8725}),
    ],
    ids=["G1a", "G1b", "G2", "G2 without token", "G3"],
)
def test_vexas_collectors_accept_every_entry(dialect, objections, fields):
    """Whatever its version, if the handshake has what that version needs."""
    session = Session(dialect, platform="google_meet", **fields)
    session.hear(5)
    session.recorder.update(Update(completed=(seg("a", 1, 1), seg("b", 2, 3))))
    session.recorder.end("left", unheard_s=0)
    assert len(session.sink.payloads) >= 2
    assert [problem for payload in session.sink.payloads for problem in objections(payload)] == []
