from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.collector.render.bodies import transcript_json
from app.collector.render.export import MEDIA_TYPES, Export, content_disposition, export
from app.collector.rows import SegmentRow
from tests.collector.properties import PROPERTY
from tests.collector.render.rows import HELLO, MEETING, START_MS


def row(start_s: float, end_s: float, text: str, speaker: str | None = "Alice", *, session: str = "a") -> SegmentRow:
    """A final at seconds of the meeting; the second session counts from 600 s."""
    shift_ms = 600_000 if session == "b" else 0
    return replace(
        HELLO,
        session_key=session,
        key=f"{session}:{start_s}",
        start_ms=round(start_s * 1000) - shift_ms,
        end_ms=round(end_s * 1000) - shift_ms,
        abs_start_ms=START_MS + round(start_s * 1000),
        abs_end_ms=START_MS + round(end_s * 1000),
        text=text,
        speaker=speaker,
    )


ROWS = [
    row(0, 3.2, "Hello everyone."),
    row(3.2, 4, "好\n<b> & -->", "Bob <bob@x> & --> co\n"),
    row(600, 601, "Again.", None, session="b"),
]


def text_of(file_format, rows, zero_ms: int | None = START_MS) -> str:
    """A whole file."""
    return "".join(export(file_format, MEETING, rows, zero_ms=zero_ms))


def test_text():
    """Vexa's header and a line for each segment, with the time of day and `Unknown` for nobody."""
    assert text_of("txt", ROWS) == (
        "MEETING TRANSCRIPT\n"
        "Platform: google_meet\n"
        "Meeting ID: zqe-gfmd-knr\n"
        "Start: 2026-02-15T09:20:03.101000Z\n"
        "End: 2026-02-15T10:02:11Z\n"
        "---\n"
        "[2026-02-15 09:20:03] Alice: Hello everyone.\n"
        "[2026-02-15 09:20:06] Bob <bob@x> & --> co: 好 <b> & -->\n"
        "[2026-02-15 09:30:03] Unknown: Again.\n"
    )


def test_srt():
    """Names before the text; the second session goes on where the meeting is, not at 0."""
    assert text_of("srt", ROWS) == (
        "1\n00:00:00,000 --> 00:00:03,200\nAlice: Hello everyone.\n\n"
        "2\n00:00:03,200 --> 00:00:04,000\nBob <bob@x> & -> co: 好\n<b> & ->\n\n"
        "3\n00:10:00,000 --> 00:10:01,000\nAgain.\n\n\n"
    )


def test_vtt():
    """Names as voices, escaped so that they cannot end their tag."""
    assert text_of("vtt", ROWS) == (
        "WEBVTT\n\n"
        "00:00:00.000 --> 00:00:03.200\n<v Alice>Hello everyone.\n\n"
        "00:00:03.200 --> 00:00:04.000\n<v Bob &lt;bob@x&gt; &amp; --&gt; co>好\n&lt;b> &amp; --&gt;\n\n"
        "00:10:00.000 --> 00:10:01.000\nAgain.\n\n"
    )


def test_json():
    """The body of the transcript, whatever the number of segments."""
    for rows in (ROWS, ROWS[:1], []):
        assert json.loads(text_of("json", rows)) == transcript_json(MEETING, rows)


def test_the_clock_without_a_session():
    """Without the first session's start, the first segment is second 0."""
    assert "00:00:00,000 --> 00:00:00,800" in text_of("srt", ROWS[1:2], zero_ms=None)


def test_only_finals_are_written():
    """Drafts and deleted rows leave no trace."""
    rows = [replace(ROWS[0], completed=False), replace(ROWS[0], deleted=True)]
    for file_format in ("json", "srt", "vtt", "txt"):
        assert text_of(file_format, rows) == text_of(file_format, [])
    assert text_of("srt", []) == ""


def test_files_are_written_piecewise():
    """A piece comes out before the next row is read, and pages may follow each other."""
    taken: list[str] = []

    def rows() -> Iterator[SegmentRow]:
        for each in ROWS:
            taken.append(each.key)
            yield each

    pieces = export("srt", MEETING, rows(), zero_ms=START_MS)
    assert (next(pieces), taken) == ("", [])
    assert next(pieces).startswith("1\n")
    assert taken == [ROWS[0].key]
    paged = Export("vtt", MEETING, zero_ms=START_MS)
    pages = [*paged.page(ROWS[:2]), *paged.page(ROWS[2:])]
    assert paged.begin() + "".join(pages) + paged.end() == text_of("vtt", ROWS)


@pytest.mark.parametrize(
    ("platform", "native_id", "name"),
    [
        ("google_meet", "abc-defg-hij", "transcript-google_meet-abc-defg-hij.srt"),
        ("zoom", '../"x\r\n', "transcript-zoom-x.srt"),
        ("none", "好", "transcript-none.srt"),
        ("none", None, "transcript-129.srt"),
    ],
)
def test_the_file_has_a_safe_name(platform, native_id, name):
    """Nothing in it can leave the header or the folder."""
    meeting = replace(MEETING, platform=platform, native_id=native_id)
    assert content_disposition(meeting, "srt") == f'attachment; filename="{name}"'
    assert len(content_disposition(replace(MEETING, native_id="x" * 255), "srt")) < 150


def test_each_format_has_a_media_type():
    """What is written can be named."""
    assert MEDIA_TYPES["vtt"] == "text/vtt; charset=utf-8"
    assert [text_of(file_format, ROWS) != "" for file_format in MEDIA_TYPES] == [True] * 4


ANY_TEXT = st.text(st.sampled_from("ab \n\r\t<>&-:.,0\u2028\u0085\x00é好"), max_size=20)
ANY_ROWS = st.lists(
    st.builds(row, st.floats(-5, 500_000), st.floats(-5, 500_000), ANY_TEXT, st.none() | ANY_TEXT), max_size=8
)
TIMES = {
    "srt": re.compile(r"\d{2,}:\d\d:\d\d,\d{3} --> \d{2,}:\d\d:\d\d,\d{3}"),
    "vtt": re.compile(r"\d{2,}:\d\d:\d\d\.\d{3} --> \d{2,}:\d\d:\d\d\.\d{3}"),
}


@PROPERTY
@given(rows=ANY_ROWS)
def test_subtitles_are_always_valid(rows):
    """Whatever was said by whom and when: cues are whole, in order, and hold neither blank lines nor arrows."""
    for file_format, times in TIMES.items():
        text = text_of(file_format, rows).removeprefix("WEBVTT\n\n")
        blocks = (
            [block.split("\n") for block in text.removesuffix("\n\n").removesuffix("\n").split("\n\n")] if text else []
        )
        head = 1 if file_format == "srt" else 0
        spans = []
        for number, block in enumerate(blocks, start=1):
            assert file_format == "vtt" or block[0] == str(number)
            assert times.fullmatch(block[head])
            assert len(block) > head + 1
            assert all(line.strip() for line in block)
            assert not any("-->" in line for line in block[head + 1 :])
            spans.append(block[head].split(" --> "))
        assert all(start < end for start, end in spans)
        assert all(one[0] <= other[0] for one, other in pairwise(spans))
