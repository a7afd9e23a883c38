"""The page at `/`, in a real browser, from choosing a file to saving the transcript."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import httpx
from playwright.sync_api import Browser, expect

from tests.clients import live_server, poll, tone_wav
from tests.e2e.browser import INSECURE_HOST, Tab, tab, url_of
from tests.e2e.worker import ROOT, Worker
from tests.fakes import SpeakingEngine
from tests.samples import joined, sample

PICTURES: dict[Literal["light", "dark"], Path] = {
    "light": ROOT / "docs" / "page.png",
    "dark": ROOT / "docs" / "page-dark.png",
}
# Sentences that the demo model hears well, so that there are lines to jump to.
SENTENCES = ("en-18.wav", "en-11.wav", "en-19.wav", "en-06.wav", "en-00.wav")
TALK = joined(*SENTENCES)


def transcribed(worker: Worker, response_format: str) -> httpx.Response:
    """The server's own answer for the talk."""
    return httpx.post(
        f"{worker.url}/v1/audio/transcriptions",
        data={"model": "whisper-1", "response_format": response_format},
        files={"file": ("talk.wav", TALK)},
        timeout=120,
    ).raise_for_status()


def clock(seconds: float) -> str:
    """Minutes and tenths of seconds, rounded down as the page shows them."""
    tenths = int(seconds * 10 + 1e-6)
    return f"{tenths // 600}:{tenths % 600 // 10:02d}.{tenths % 10}"


def test_a_file_becomes_lines_that_play_and_can_be_saved(browser: Browser, worker: Worker) -> None:
    """A real upload: lines with the server's text and times, played from their start, saved as the server writes."""
    verbose = transcribed(worker, "verbose_json").json()
    with tab(browser, worker.url, viewport={"width": 1000, "height": 800}, reduced_motion="reduce") as page:
        expect(page["health-state"]).to_have_text("ready")
        page.choose(TALK, "Town hall, 14 May.wav")
        page.start()
        expect(page["status"]).to_contain_text("Done: 0:16 transcribed in")
        expect(page["status"]).to_contain_text("Language: English.")
        shown = [(line.split("\n")[0], line.split("\n")[-1]) for line in page.lines.all_inner_texts()]
        assert [text for _, text in shown] == [sample(file).text for file in SENTENCES]
        assert shown == [
            (f"{clock(each['start'])} – {clock(each['end'])}", each["text"].strip()) for each in verbose["segments"]
        ]
        check_playing(page, verbose["segments"][1]["start"])
        take_picture(page)
        assert page.save("SRT") == ("Town hall, 14 May.srt", transcribed(worker, "srt").text)
        assert page.save("VTT")[1].startswith("WEBVTT\n\n00:00:00.")
        assert page.save("TXT") == ("Town hall, 14 May.txt", f"{verbose['text']}\n")
        saved = json.loads(page.save("JSON")[1])
    assert saved["text"] == verbose["text"]
    assert saved["language"] == "en"
    assert saved["duration"] == verbose["duration"]
    spoken = [{key: each[key] for key in ("id", "start", "end", "text")} for each in verbose["segments"]]
    spoken[0]["text"] = spoken[0]["text"].lstrip()  # a stream's text begins without the space
    assert saved["segments"] == spoken


def check_playing(page: Tab, start_s: float) -> None:
    """The second line by mouse, the first by keyboard: the player goes there and the line is marked."""
    at = "player => player.currentTime"
    page.lines.nth(1).click()
    expect(page.lines.nth(1)).to_have_attribute("aria-current", "true")
    page["player"].evaluate("player => player.pause()")
    assert start_s <= page["player"].evaluate(at) < start_s + 5
    page.lines.nth(1).press("ArrowUp")
    expect(page.lines.nth(0)).to_be_focused()
    page.page.keyboard.press("Enter")
    expect(page.lines.nth(0)).to_have_attribute("aria-current", "true")
    assert page["player"].evaluate("player => !player.paused")
    page["player"].evaluate("player => player.pause()")
    assert page["player"].evaluate(at) < start_s
    assert page.page.locator("[aria-current]").count() == 1


def take_picture(page: Tab) -> None:
    """The page in both colour schemes, for the documentation: when missing, or with UPDATE_PICTURES=1."""
    page.page.evaluate("document.activeElement.blur()")
    page.page.mouse.move(0, 0)
    for scheme, path in PICTURES.items():
        if os.environ.get("UPDATE_PICTURES") or not path.exists():
            page.page.emulate_media(color_scheme=scheme)
            page.page.screenshot(path=path)


def test_lines_arrive_while_the_server_works(browser: Browser) -> None:
    """The first line, the progress and the time left are there before the second line is."""
    engine = SpeakingEngine([(0.0, 1.5, " First."), (1.5, 3.0, " Second.")], total_s=3.0)
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        page.choose(tone_wav(3.0))
        page.start()
        engine.speak()
        expect(page.lines).to_have_count(1)
        expect(page["fact-done"]).to_have_text("0:01 of 0:03")
        expect(page["fact-left"]).to_contain_text("about")
        expect(page["fact-speed"]).to_contain_text("× real time")
        expect(page["health-busy"]).to_contain_text("1 of ")
        expect(page.page.get_by_role("button", name="SRT")).to_be_enabled()
        engine.speak()
        expect(page["status"]).to_contain_text("Done: 0:03")
        assert page.lines.all_inner_texts() == ["0:00.0 – 0:01.5\nFirst.", "0:01.5 – 0:03.0\nSecond."]


def test_the_task_and_the_language_are_sent(browser: Browser) -> None:
    """The task and the language chosen on the page are sent to the server."""
    engine = SpeakingEngine([(0.0, 1.0, " Good day.")], total_s=2.0)
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        page["language"].select_option("German")
        page["task"].select_option("Translate to English")
        page.choose(tone_wav())
        page.start()
        engine.speak()
        expect(page["status"]).to_contain_text("Done")
        saved = json.loads(page.save("JSON")[1])
    assert [(options.language, options.task) for options in engine.received] == [("de", "translate")]
    assert (saved["task"], saved["language"]) == ("translate", "de")


def test_a_recording_is_a_file_like_any_other(browser: Browser) -> None:
    """Record, stop, play, transcribe: the fake engine writes a word for each second."""
    with live_server() as address, tab(browser, url_of(address), permissions=["microphone"]) as page:
        page["record"].click()
        expect(page["record-label"]).to_have_text("Stop 0:02")
        page["record"].click()
        expect(page["file-name"]).to_contain_text("recording-")
        expect(page["player"]).to_be_visible()
        poll_length = "player => Number.isFinite(player.duration) && player.duration > 1 && player.currentTime === 0"
        poll(lambda: bool(page["player"].evaluate(poll_length)))
        page.start()
        expect(page["status"]).to_contain_text("Done")
        expect(page.lines.first).to_contain_text("word0000")


def test_a_refused_microphone_is_explained(browser: Browser) -> None:
    """Without the permission the page says what to do."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        page["record"].click()
        expect(page.page.get_by_role("alert")).to_contain_text("refused the microphone")
        expect(page["record"]).to_be_enabled()


def test_a_plain_http_address_cannot_record(browser: Browser) -> None:
    """Browsers hide the microphone there; the page says where it works."""
    with live_server() as address, tab(browser, f"http://{INSECURE_HOST}:{address[1]}/", expected=["Opener"]) as page:
        page["record"].click()
        expect(page.page.get_by_role("alert")).to_contain_text("https:// or on localhost")


def test_a_file_can_be_dropped(browser: Browser) -> None:
    """Dropping anywhere on the page chooses the file."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        drop = """wav => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([new Uint8Array(wav)], "dropped.wav", { type: "audio/wav" }));
            for (const type of ["dragover", "drop"])
                document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
        }"""
        page.page.evaluate(drop, list(tone_wav(0.5)))
        expect(page["file-name"]).to_have_text("dropped.wav")
        expect(page["veil"]).to_be_hidden()
        expect(page["start"]).to_be_enabled()
