"""The page's pure modules, run in the browser: files as the server writes them, events cut anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from app.core.transcript import AudioInfo, Segment, Transcript
from app.http.response.formats import ResponseFormat, render
from tests.clients import live_server
from tests.e2e.browser import tab, url_of

RENDER = """async ([transcript, format]) => (await import("/assets/subtitles.js")).render(transcript, format)"""
PARSE = """async streams => {
    const { EventParser } = await import("/assets/sse.js");
    return streams.map(pieces => {
        const seen = [];
        const parser = new EventParser({ onData: data => seen.push(data), onComment: text => seen.push(`#${text}`) });
        for (const piece of pieces) parser.push(piece);
        return seen;
    });
}"""
CLOCK = """async times => {
    const { clock } = await import("/assets/subtitles.js");
    return times.map(([seconds, digits]) => clock(seconds, digits));
}"""
# start, end, text: overlaps, steps back, no length, hours, and what formats trip over
SAID = [
    (0.0, 1.7, " It's easy."),
    (1.7, 1.7, " No length"),
    (1.2, 5.0, ' steps back --> and ---> points <b>&amp; & "quotes"</b>'),
    (5.0005, 6.9994, " two\n\nlines\r\nthree\u2028four\x85five"),
    (7.0, 8.0, "   "),
    (8.0, 9.0, " \ttab\tand\x00control\x7f "),
    (9.0, 10.0, " \ufeffbom\u00a0no-break\u3000"),
    (3599.999, 3661.001, " Grüß Gott, “Anna”. 你好 😀"),
    (359_998.5, 359_999.0, " very late"),
]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A tab whose modules can be imported."""
    with live_server() as address, tab(browser, url_of(address)) as opened:
        yield opened.page


def transcript_of(said: list[tuple[float, float, str]]) -> Transcript:
    """What the engine would have answered."""
    segments = tuple(
        Segment(number, 0, start, end, text, (), -0.1, 1.0, 0.0, 0.0) for number, (start, end, text) in enumerate(said)
    )
    return Transcript(AudioInfo("en", 1.0, 10.0), segments)


def server_says(transcript: Transcript, response_format: ResponseFormat) -> str:
    """The body of a request for this format."""
    return render(
        transcript, response_format=response_format, task="transcribe", words=False, segments=True,
        logprobs=False, language_style="code",
    ).body.decode()  # fmt: skip


@pytest.mark.parametrize("said", [SAID, [], [(0.0, 1.0, "")]], ids=["everything", "nothing", "blank"])
@pytest.mark.parametrize(("name", "response_format"), [("srt", "srt"), ("vtt", "vtt"), ("txt", "text")])
def test_files_are_the_servers_byte_for_byte(
    page: Page, said: list[tuple[float, float, str]], name: str, response_format: ResponseFormat
) -> None:
    """Saving on the page and asking the server for the format give the same file."""
    transcript = transcript_of(said)
    verbose: dict[str, Any] = json.loads(server_says(transcript, "verbose_json"))
    assert page.evaluate(RENDER, [verbose, name]) == server_says(transcript, response_format)


def test_json_is_readable(page: Page) -> None:
    """What is saved as JSON is what the page knows, indented."""
    known = {"text": "Hello.", "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": " Hello."}]}
    assert json.loads(page.evaluate(RENDER, [known, "json"])) == known


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
def test_events_are_the_same_wherever_they_are_cut(page: Page, line_end: str) -> None:
    """Every way to cut the stream in two, and letter by letter, gives the same events and comments."""
    lines = [': progress {"done_s":1}', "", "data: one", "data:two", "id: 7", "", "event: x", "", "data: grüß", "", ""]
    text = line_end.join(lines) + "\n"  # whatever follows a last CR settles what it was
    expected = ['#progress {"done_s":1}', "one\ntwo", "grüß"]
    cuts = [[text[:cut], text[cut:]] for cut in range(len(text) + 1)]
    for pieces, seen in zip([*cuts, list(text)], page.evaluate(PARSE, [*cuts, list(text)]), strict=True):
        assert seen == expected, pieces


def test_times_for_people(page: Page) -> None:
    """Minutes and seconds, hours only where there are some, rounded down so that no line shows 60."""
    times = [[0, 0], [1.7, 1], [59.99, 1], [59.999, 0], [60, 1], [3599.95, 1], [3600, 0], [36_061.5, 1], [0.3, 1]]
    shown = ["0:00", "0:01.7", "0:59.9", "0:59", "1:00.0", "59:59.9", "1:00:00", "10:01:01.5", "0:00.3"]
    assert page.evaluate(CLOCK, times) == shown
