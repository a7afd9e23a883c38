"""The page when things do not go well: busy, refused, cancelled, hostile, silent."""

from __future__ import annotations

import threading

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.clients import live_server, poll, tone_wav
from tests.e2e.browser import tab, url_of
from tests.fakes import HeldEngine, SpeakingEngine
from tests.samples import AUDIO


def test_cancelling_stops_the_work(browser: Browser) -> None:
    """The slot is free again at once, and the page is ready for another try."""
    engine = HeldEngine()
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        page.choose(tone_wav())
        page["start"].press("Enter")
        expect(page["health-busy"]).to_contain_text("1 of ")
        expect(page["cancel"]).to_be_focused()
        page["cancel"].press("Enter")
        expect(page["status"]).to_have_text("Cancelled.")
        expect(page["start"]).to_be_focused()
        poll(lambda: httpx.get(f"{url_of(address)}health").json()["active"] == 0)
        assert engine.n_left == 1
        expect(page["cancel"]).to_be_hidden()


def test_a_busy_server_is_retried(browser: Browser) -> None:
    """503: the server's message and a countdown from its Retry-After; then the transcript, without a click."""
    engine = SpeakingEngine([(0.0, 1.0, " Hello.")], total_s=2.0)
    with live_server(engine, max_concurrent_transcriptions=1, busy_retry_after_s=3) as address:
        first = threading.Thread(target=occupy, args=(address,))
        first.start()
        poll(lambda: httpx.get(f"{url_of(address)}health").json()["active"] == 1)
        with tab(browser, url_of(address), expected=["503"]) as page:
            page.choose(tone_wav())
            page.start()
            expect(page["problem"]).to_contain_text("slots are busy")
            expect(page["problem"]).to_contain_text("Trying again in 1 s")
            expect(page["cancel"]).to_be_visible()
            engine.speak(2)
            first.join()
            expect(page["status"]).to_contain_text("Done")
            expect(page["problem"]).to_be_hidden()
            expect(page.lines).to_have_count(1)


def occupy(address: tuple[str, int]) -> None:
    """Take a slot until the engine has spoken."""
    files = {"file": ("talk.wav", tone_wav())}
    httpx.post(f"{url_of(address)}v1/audio/transcriptions", data={"model": "whisper-1"}, files=files, timeout=60)


def test_cancelling_a_countdown_ends_it(browser: Browser) -> None:
    """Waiting for a busy server can be stopped."""
    engine = SpeakingEngine([(0.0, 1.0, " Hello.")], total_s=2.0)
    with live_server(engine, max_concurrent_transcriptions=1, busy_retry_after_s=60) as address:
        first = threading.Thread(target=occupy, args=(address,))
        first.start()
        poll(lambda: httpx.get(f"{url_of(address)}health").json()["active"] == 1)
        with tab(browser, url_of(address), expected=["503"]) as page:
            page.choose(tone_wav())
            page.start()
            expect(page["problem"]).to_contain_text("Trying again in")
            page["cancel"].click()
            expect(page["status"]).to_have_text("Cancelled.")
            expect(page["problem"]).to_be_hidden()
        engine.speak()
        first.join()


def test_a_server_with_keys_prompts_for_one(browser: Browser) -> None:
    """The key field is shown at once; a wrong key shows the server's message, the right one continues."""
    with (
        live_server(api_keys="sesame") as address,
        tab(browser, url_of(address), expected=["401"]) as page,
    ):
        expect(page.page.get_by_role("heading", name="API key")).to_be_visible()
        page.choose(tone_wav())
        page.start()
        expect(page["problem"]).to_contain_text("No API key was sent")
        expect(page["key"]).to_be_focused()
        page["key"].fill("wrong")
        page["key"].press("Enter")
        expect(page["problem"]).to_contain_text("Incorrect API key")
        page["key"].fill("sesame")
        page.page.get_by_role("button", name="Use this key").click()
        expect(page["status"]).to_contain_text("Done")
        expect(page["key"]).to_be_hidden()
        assert page.page.evaluate("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
        page.page.get_by_role("button", name="Remove key").click()
        assert page.page.evaluate("sessionStorage.length") == 0
        expect(page["key"]).to_be_visible()


def test_an_open_server_prompts_for_no_key(browser: Browser) -> None:
    """No entry where none is needed."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        expect(page["health-state"]).to_have_text("ready")
        expect(page["key-card"]).to_be_hidden()


def test_the_servers_error_message_is_shown(browser: Browser) -> None:
    """A text file: the message of the 400, as an alert, and another file may be chosen."""
    with live_server() as address, tab(browser, url_of(address), expected=["400"]) as page:
        page.choose(b"no audio at all", "notes.txt")
        page.start()
        expect(page.page.get_by_role("alert")).to_contain_text("file")
        expect(page["player-hint"]).to_contain_text("cannot play")
        page.choose(tone_wav())
        expect(page["problem"]).to_be_hidden()
        page.start()
        expect(page["status"]).to_contain_text("Done")


def test_a_file_that_is_too_large_is_not_sent(browser: Browser) -> None:
    """The page names the limit before anything is uploaded."""
    with live_server(max_upload_bytes=20_000) as address, tab(browser, url_of(address)) as page:
        page.choose(tone_wav(2.0))
        expect(page["problem"]).to_contain_text("larger than the 20 kB")
        expect(page["start"]).to_be_disabled()


def test_silence_is_reported(browser: Browser) -> None:
    """A file without speech ends with a message, and an empty file to save."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        page.choose(AUDIO / "silence.wav")
        page.start()
        expect(page["empty"]).to_have_text("No speech was heard in this audio.")
        assert page.save("TXT")[1] == "\n"


@pytest.mark.parametrize(
    "hostile", ["<img src=x onerror=\"document.title='owned'\">", "<script>document.title='owned'</script>"]
)
def test_words_are_never_markup(browser: Browser, hostile: str) -> None:
    """The text and the file's name are shown literally, and create no elements."""
    engine = SpeakingEngine([(0.0, 1.0, f" {hostile}")], total_s=2.0)
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        page.choose(tone_wav(), f"{hostile.replace('/', '|')}.wav")
        page.start()
        engine.speak()
        expect(page["status"]).to_contain_text("Done")
        assert page.lines.locator(".words").inner_text() == hostile
        assert page["file-name"].inner_text() == f"{hostile.replace('/', '|')}.wav"
        assert page.page.title() == "Speech to text"
        assert page.page.locator("main img, main script").count() == 0


def answer_with(body: str, content_type: str):
    """A server, or a proxy before it, that answers every transcription like this."""

    def fulfill(route: Route) -> None:
        route.fulfill(status=200, content_type=content_type, body=body)

    return fulfill


DELTA = 'data: {"type":"transcript.text.delta","delta":"Half","segment":{"id":0,"start":0.0,"end":1.0}}\n\n'


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ('data: {"error":{"message":"The device broke.","type":"server_error"}}\n\n', "The device broke."),
        ("", "before the transcript was complete"),
    ],
    ids=["error event", "cut off"],
)
def test_a_stream_that_breaks_keeps_what_came(browser: Browser, rest: str, said: str) -> None:
    """Lines that have arrived stay and can be saved, and the page shows the error."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        page.page.route("**/v1/audio/transcriptions", answer_with(DELTA + rest, "text/event-stream; charset=utf-8"))
        page.choose(tone_wav())
        page.start()
        expect(page["problem"]).to_contain_text(said)
        expect(page.lines).to_have_count(1)
        assert page.save("TXT")[1] == "Half\n"


def test_an_answer_that_is_no_stream_is_shown_at_once(browser: Browser) -> None:
    """A proxy that knows no events gives one body: its segments become the lines."""
    body = (
        '{"text":"One. Two.","language":"en","duration":2.0,"segments":['
        '{"id":0,"start":0.0,"end":0.9,"text":" One."},{"id":1,"start":1.0,"end":2.0,"text":" Two."}]}'
    )
    with live_server() as address, tab(browser, url_of(address)) as page:
        page.page.route("**/v1/audio/transcriptions", answer_with(body, "application/json"))
        page.choose(tone_wav())
        page.start()
        expect(page["status"]).to_contain_text("Done: 0:02")
        assert page.lines.locator(".words").all_inner_texts() == ["One.", "Two."]
        assert page.save("SRT")[1].startswith("1\n00:00:00,000 --> 00:00:00,900\nOne.\n\n2\n")


def test_words_without_times_are_shown_too(browser: Browser) -> None:
    """OpenAI's plain json has a text and no segments: it is shown and can be saved."""
    with live_server() as address, tab(browser, url_of(address)) as page:
        page.page.route("**/v1/audio/transcriptions", answer_with('{"text":"Only words."}', "application/json"))
        page.choose(tone_wav())
        page.start()
        expect(page["empty"]).to_have_text("Only words.")
        assert page.save("TXT")[1] == "Only words.\n"


def test_a_server_that_is_gone_is_reported(browser: Browser) -> None:
    """The page's header shows it, and a transcription ends with a message."""
    with live_server() as address, tab(browser, url_of(address), expected=["ERR_"]) as page:
        expect(page["health-state"]).to_have_text("ready")
        page.page.context.set_offline(True)
        page.choose(tone_wav())
        page.start()
        expect(page["problem"]).to_contain_text("cannot be reached")
        expect(page["health-state"]).to_have_text("no answer")
