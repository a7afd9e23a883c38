from __future__ import annotations

from dataclasses import dataclass

from app.core.subtitles import SrtWriter, VttWriter, srt, vtt


@dataclass(frozen=True)
class Line:
    """The least that can be written: times and text."""

    start: float
    end: float
    text: str


def test_srt_of_lines():
    """Numbers, times with commas, text, a blank line between cues and OpenAI's blank lines at the end."""
    lines = [Line(0.5, 1.25, " One."), Line(3661.0, 3662.5, " Two.")]
    assert srt(lines) == "1\n00:00:00,500 --> 00:00:01,250\nOne.\n\n2\n01:01:01,000 --> 01:01:02,500\nTwo.\n\n\n"


def test_vtt_of_lines():
    """A header, times with points, and markup characters escaped."""
    assert vtt([Line(0.0, 1.0, " A <b> & c --> d")]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\nA &lt;b> &amp; c --&gt; d\n\n"
    )


def test_no_text_gives_no_cue():
    """Without text SRT is empty and WebVTT is its header."""
    assert srt([Line(0.0, 1.0, " \n ")]) == ""
    assert vtt([]) == "WEBVTT\n\n"


def test_cues_start_in_order():
    """A line that starts before the last one is moved behind its start."""
    times = [line for line in srt([Line(5.0, 6.0, "b"), Line(1.0, 2.0, "a")]).splitlines() if "-->" in line]
    assert times == ["00:00:05,000 --> 00:00:06,000", "00:00:05,000 --> 00:00:05,001"]


def test_speakers_are_written_before_the_text():
    """SRT has a prefix, WebVTT a voice; a name of white space is none."""
    line = Line(0.0, 1.0, "Hi.")
    assert SrtWriter().cue(line, speaker=" Ann\nLee ").endswith("\nAnn Lee: Hi.")
    assert VttWriter().cue(line, speaker="Ann > Lee").endswith("\n<v Ann &gt; Lee>Hi.\n\n")
    assert VttWriter().cue(line, speaker="\n\x00").endswith("\nHi.\n\n")


def test_files_are_written_cue_by_cue():
    """The pieces form the file that is written at once; a segment without text is no piece."""
    lines = [Line(0.0, 1.0, "a"), Line(1.0, 2.0, " "), Line(0.5, 2.0, "b")]
    subrip, webvtt = SrtWriter(), VttWriter()
    assert "".join(map(subrip.cue, lines)) + subrip.end() == srt(lines)
    assert webvtt.begin() + "".join(map(webvtt.cue, lines)) == vtt(lines)
    assert subrip.cue(lines[1]) == webvtt.cue(lines[1]) == ""
