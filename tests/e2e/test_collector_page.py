"""The collector's page at `/`, in a real browser: meetings, a transcript that fills, search, files, deletion."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from app.collector.facts import Retract, Room
from app.collector.rows import MeetingRow
from tests.collector.api.said import START_MS, entry
from tests.collector.fakes import services
from tests.e2e.browser import Tab, tab
from tests.e2e.collector_app import HOSTILE, PLANNING, SAID, PageServer, PageStore, begun, collector, spoken
from tests.e2e.worker import ROOT

PICTURES: dict[Literal["light", "dark"], Path] = {
    "light": ROOT / "docs" / "collector-page.png",
    "dark": ROOT / "docs" / "collector-page-dark.png",
}
NO_SOCKET = ["WebSocket"]  # the browser's own complaint when a server has no /ws
RETRO = Room(platform="zoom", native_id="83012345678")
INTERVIEW = Room(platform="teams", native_id="9387167464734")


def lines(page: Tab) -> Locator:
    """The lines of the transcript."""
    return page["lines"].get_by_role("listitem")


def words(page: Tab) -> list[str]:
    """What the lines say."""
    return page["lines"].locator(".words").all_inner_texts()


def choose(page: Tab, title: str) -> None:
    """Open a meeting from the list."""
    page["meetings"].get_by_role("button", name=title).click()
    expect(page["title"]).to_have_text(title)


def test_a_transcript_shows_who_said_what_and_when(browser: Browser) -> None:
    """Names once above what one person says in a row, times since the first second, files as the server writes them."""
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        choose(page, "zqe-gfmd-knr")
        expect(lines(page)).to_have_count(len(SAID))
        assert words(page) == [text for _, text in SAID]
        assert page["lines"].locator("time").all_inner_texts()[:3] == ["0:00", "0:05", "0:10"]
        shown = page["lines"].locator(".speaker:visible").all_inner_texts()
        assert shown == ["Ann Berg", "Bruno Keller", "Chidi Okafor", "Bruno Keller", "Ann Berg", "Dana Lev", "Ann Berg"]
        address = f"{server.url}/transcripts/google_meet/zqe-gfmd-knr"
        for label in ("SRT", "VTT", "TXT", "JSON"):
            written = httpx.get(address, params={"format": label.lower()}).raise_for_status().text
            assert page.save(label) == (f"transcript-google_meet-zqe-gfmd-knr.{label.lower()}", written)


def test_markup_is_text(browser: Browser) -> None:
    """What people say, their names and the meeting's name are shown as they are, also in search."""
    with collector() as server:
        server.say(spoken(20, "<i>Eve</i>", HOSTILE))
        server.patch(PLANNING, name=HOSTILE)
        with tab(browser, server.url, expected=NO_SOCKET) as page:
            choose(page, HOSTILE)
            expect(lines(page).last.locator(".words")).to_have_text(HOSTILE)
            expect(lines(page).last.locator(".speaker")).to_have_text("<i>Eve</i>")
            page["words"].fill("onerror")
            page["words"].press("Enter")
            expect(page["hits"].locator(".words")).to_have_text(HOSTILE)
            assert page["hits"].locator("mark").all_inner_texts() == ["onerror"]
            assert page.page.locator("main img, main b, main i, nav img, nav b, nav i").count() == 0
            assert page.page.title() == "Transcripts"


def test_lines_arrive_while_people_speak(browser: Browser) -> None:
    """A draft is shown lighter and replaced by its final; a retracted line goes; the status follows."""
    with collector(live=True) as server, tab(browser, server.url) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("live")
        body = httpx.get(f"{server.url}/transcripts/google_meet/zqe-gfmd-knr").json()
        room = {"platform": "google_meet", "native_id": "zqe-gfmd-knr"}
        room |= {"meeting_id": body["id"], "since_seq": body["seq"]}  # this one, also if the room has a newer one
        assert server.subscribed == [{"action": "subscribe", "meetings": [room]}]
        server.say(spoken(9, "Dana Lev", "I will send", completed=False), push=True)
        expect(lines(page).last).to_contain_class("draft")
        server.say(spoken(9, "Dana Lev", "I will send it today."), push=True)
        expect(lines(page).last.locator(".words")).to_have_text("I will send it today.")
        expect(page["lines"].locator(".draft")).to_have_count(0)
        expect(page["last-final"]).to_have_text("Dana Lev: I will send it today.")
        server.say(spoken(8, "Bruno Keller", "This came late."), push=True)
        expect(lines(page).nth(8).locator(".words")).to_have_text("This came late.")
        server.say(entry(60_000, Retract(("c1:8",))), push=True)
        expect(lines(page)).to_have_count(len(SAID) + 1)
        assert words(page)[-2:] == [SAID[-1][1], "I will send it today."]


def test_drafts_without_a_name_are_not_called_unknown(browser: Browser) -> None:
    """Our gateway does not know who says a draft; the final has the name, or nobody told one."""
    with collector(live=True) as server, tab(browser, server.url) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("live")
        server.say(spoken(9, None, "I will send", completed=False), push=True)
        expect(lines(page).last.locator(".speaker")).to_have_text("Speaking now")
        server.say(spoken(9, None, "I will send it today."), push=True)
        expect(lines(page).last.locator(".speaker")).to_have_text("Unknown")


def test_a_lost_frame_is_asked_for(browser: Browser) -> None:
    """A frame whose `prev_seq` does not fit makes the page read what it missed; nothing is shown twice."""
    with collector(live=True) as server, tab(browser, server.url) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("live")
        server.say(spoken(9, "Ann Berg", "Nobody pushed this."))
        server.say(spoken(10, "Ann Berg", "This was pushed."), push=True)
        expect(lines(page)).to_have_count(len(SAID) + 2)
        assert words(page)[-2:] == ["Nobody pushed this.", "This was pushed."]


def test_a_frame_that_is_lost_while_the_page_asks(browser: Browser) -> None:
    """An answer that was written before the last frame is asked for again: nothing is missing at the end."""
    with collector(live=True) as server, tab(browser, server.url) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("live")

        asked: list[str] = []

        def answer_late(route: Route) -> None:
            asked.append(route.request.url)
            if len(asked) > 1:
                route.continue_()
                return
            early = route.fetch()
            server.say(spoken(10, "Ann Berg", "Said while the page asked."), push=True)
            route.fulfill(response=early)

        page.page.route("**/*since_seq*", answer_late)
        server.say(spoken(9, "Ann Berg", "Nobody pushed this."))
        server.push({"type": "transcript", "meeting": {"id": _number(server)}, "seq": 99, "prev_seq": 98})
        expect(lines(page)).to_have_count(len(SAID) + 2)


def _number(server: PageServer) -> int:
    return next(id_ for id_, each in server.store.found.items() if each.row.native_id == PLANNING.native_id)


def test_a_broken_connection_comes_back(browser: Browser) -> None:
    """What was said meanwhile is shown, and the page subscribes from where it is."""
    with collector(live=True) as server, tab(browser, server.url) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("live")
        server.push(None)
        server.say(spoken(9, "Ann Berg", "Said in between."))
        expect(lines(page).last.locator(".words")).to_have_text("Said in between.")
        expect(page["live"]).to_have_text("live")
        assert len(server.subscribed) == 2


def test_without_a_socket_the_page_asks(browser: Browser) -> None:
    """Every two seconds: finals come, drafts that are gone go."""
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["live"]).to_have_text("checked every 2 seconds")
        server.say(spoken(9, "Ann Berg", "A draft that", completed=False))
        expect(lines(page).last).to_contain_class("draft")
        server.say(entry(60_000, Retract(("c1:9",))), spoken(10, "Ann Berg", "A final."))
        expect(lines(page).last.locator(".words")).to_have_text("A final.")
        expect(page["lines"].locator(".draft")).to_have_count(0)


def test_a_hit_leads_to_its_segment(browser: Browser) -> None:
    """The words are marked; a click opens the meeting at the segment, by keyboard too."""
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        page["words"].fill("budget")
        page["words"].press("Enter")
        expect(page["side-hint"]).to_have_text("1 place")
        page["hits"].get_by_role("button").press("Enter")
        marked = page["lines"].locator("[aria-current]")
        expect(marked.locator(".words")).to_have_text(SAID[4][1])
        expect(marked).to_be_focused()
        expect(marked).to_be_in_viewport()
        page["words"].fill("unheard of")
        page["words"].press("Enter")
        expect(page["side-hint"]).to_have_text("Nobody said this.")
        page["search-close"].click()
        expect(page["meetings"].get_by_role("button")).to_have_count(1)


def test_a_key_is_asked_for_and_kept_in_the_tab(browser: Browser) -> None:
    """Sent in a header to the API, in the address to the socket only; a wrong one is asked for again."""
    parts = services(store=PageStore(), keys=("right-key",), needs_key=True)
    addresses: list[str] = []
    with collector(live=True, parts=parts) as server, tab(browser, server.url, expected=["403"]) as page:
        page.page.on("request", lambda request: addresses.append(request.url))
        expect(page["problem"]).to_have_text("Missing API token")
        page["key"].fill("wrong")
        page["key"].press("Enter")
        expect(page["problem"]).to_have_text("Invalid API token")
        page["key"].fill("right-key")
        page["key"].press("Enter")
        choose(page, "zqe-gfmd-knr")
        expect(page["problem"]).to_be_hidden()
        expect(page["live"]).to_have_text("live")
        assert page.page.evaluate("Object.values(sessionStorage)") == ["right-key"]
        assert page.page.evaluate("localStorage.length + document.cookie.length") == 0
        assert [each for each in addresses if "right-key" in each] == []
        assert server.keys == ["right-key"]
        page["key-forget"].click()
        expect(page["title"]).to_have_text("No meeting chosen")


def test_deleting_is_asked_twice(browser: Browser) -> None:
    """An active meeting is ended first; the first button closes the question, Escape too; the second deletes."""
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        choose(page, "zqe-gfmd-knr")
        expect(page["delete"]).to_be_disabled()
        page["end"].click()
        expect(page["facts"]).to_contain_text("completed")
        for leave in ("Enter", "Escape"):
            page["delete"].click()
            expect(page["confirm-no"]).to_be_focused()
            page.page.keyboard.press(leave)
            expect(page["confirm"]).to_be_hidden()
        assert server.store.deleted == set()
        page["delete"].click()
        page["confirm-yes"].click()
        expect(page["facts"]).to_have_text("The transcript was deleted.")
        expect(page["side-hint"]).to_have_text("No meetings yet.")
        expect(lines(page)).to_have_count(0)
        assert server.store.texts() == []


@pytest.mark.parametrize("live", [False, True])
def test_a_meeting_that_somebody_else_deletes_is_closed(browser: Browser, *, live: bool) -> None:
    """The page says so, and shows nothing of it any more; with a socket, the server tells the page."""
    with collector(live=live) as server, tab(browser, server.url, expected=[*NO_SOCKET, "404"]) as page:
        choose(page, "zqe-gfmd-knr")
        if live:
            expect(page["live"]).to_have_text("live")
        room = f"{server.url}/meetings/google_meet/zqe-gfmd-knr"
        httpx.post(f"{room}/end").raise_for_status()
        httpx.delete(room).raise_for_status()
        if live:
            server.push({"type": "unsubscribed", "meetings": [], "reason": "deleted"})
        expect(page["problem"]).to_have_text("This meeting is no longer here.")
        expect(lines(page)).to_have_count(0)


def fill(server: PageServer) -> None:
    """Three meetings, two of them over."""
    for room, session, minutes in ((RETRO, "c2", -1500), (INTERVIEW, "c3", -4200)):
        start_ms = START_MS + minutes * 60_000
        server.say(begun(room, session, start_ms), spoken(1, "Bruno Keller", "Hello.", room=room, session=session))
        number = next(id_ for id_, each in server.store.found.items() if each.row.native_id == room.native_id)
        server.store.found[number].row = _over(server, number, start_ms)
    server.patch(PLANNING, name="Release planning")
    server.patch(RETRO, name="Retrospective of sprint 14")
    server.patch(INTERVIEW, name="Interview with a customer")


def _over(server: PageServer, number: int, start_ms: int) -> MeetingRow:
    row = server.store.found[number].row
    return dataclasses.replace(
        row, status="completed", start_ms=start_ms, end_ms=start_ms + 2_712_000, created_ms=start_ms
    )


def test_the_page_as_people_see_it(browser: Browser) -> None:
    """Three meetings, one going on with a draft; pictures for the documentation, if missing or UPDATE_PICTURES=1."""
    viewport = {"width": 1180, "height": 760}
    with collector(live=True) as server:
        fill(server)
        with tab(
            browser, server.url, viewport=viewport, reduced_motion="reduce", locale="en-GB", timezone_id="UTC"
        ) as page:
            expect(page["meetings"].get_by_role("button")).to_have_count(3)
            choose(page, "Release planning")
            expect(page["live"]).to_have_text("live")
            server.say(spoken(8, "Chidi Okafor", "I can take the screenshot this", completed=False), push=True)
            expect(lines(page).last).to_contain_class("draft")
            page.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
            page.page.mouse.move(0, 0)
            for scheme, path in PICTURES.items():
                if os.environ.get("UPDATE_PICTURES") or not path.exists():
                    page.page.emulate_media(color_scheme=scheme)
                    page.page.screenshot(path=path)
