"""The collector's page for everyone: by keyboard, by screen reader, in both colour schemes, on a small screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from app.collector.facts import Room
from tests.e2e.browser import Tab, tab
from tests.e2e.collector_app import HOSTILE, collector, spoken
from tests.e2e.test_page_access import COLOURS, NAMELESS, contrast

NO_SOCKET = ["WebSocket"]
OTHER = Room(platform="zoom", native_id="1")


def show_everything(page: Tab) -> None:
    """Open the meeting at a hit, so that a line, a hit and a matched word are on the page."""
    page["words"].fill("budget")
    page["words"].press("Enter")
    page["hits"].get_by_role("button").click()
    expect(page["lines"].locator("[aria-current]")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text, drafts, matches and names included."""
    with collector() as server, tab(browser, server.url, color_scheme=scheme, expected=NO_SOCKET) as page:
        server.say(
            *(spoken(10 + number, f"Speaker {number}", "Something.") for number in range(6)),
            spoken(17, "Ann Berg", "A draft", completed=False),
        )
        show_everything(page)
        expect(page["lines"].locator(".draft")).to_have_count(1)
        seen = page.page.evaluate(COLOURS)
        page["search-close"].click()
        expect(page["meetings"].get_by_role("button")).to_have_count(1)
        page["end"].click()
        page["delete"].click()
        seen += page.page.evaluate(COLOURS)
    assert len(seen) > 60
    assert [each for each in seen if contrast(each[1], each[2]) < 4.5] == []


def test_everything_has_a_name_and_a_role(browser: Browser) -> None:
    """A screen reader meets landmarks, headings and labelled controls; only the last final is announced."""
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        show_everything(page)
        assert page.page.evaluate(NAMELESS) == []
        assert page.page.evaluate("document.documentElement.lang") == "en"
        for role in ("main", "banner", "search", "navigation"):
            assert page.page.get_by_role(role).count() == 1
        expect(page.page.get_by_role("list", name="What was said")).to_have_attribute("aria-live", "off")
        expect(page["last-final"]).to_have_attribute("aria-live", "polite")
        ids = page.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_everything(browser: Browser) -> None:
    """Tab goes through the controls in their order, each shows a ring, and arrow keys go through the list."""
    ring = "[document.activeElement.id || document.activeElement.textContent, \
        getComputedStyle(document.activeElement).outlineStyle]"
    with collector() as server, tab(browser, server.url, expected=NO_SOCKET) as page:
        server.say(spoken(1, "Eve", "Hello.", room=OTHER, session="c9"))
        expect(page["meetings"].get_by_role("button")).to_have_count(2)
        page["words"].focus()
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("ArrowDown")
        page.page.keyboard.press("Enter")
        expect(page["tools"]).to_be_visible()
        page["words"].focus()
        reached = []
        for _ in range(8):
            page.page.keyboard.press("Tab")
            name, outline = page.page.evaluate(ring)
            assert outline != "none", name
            reached.append(name)
    assert reached[3:] == ["SRT", "VTT", "JSON", "TXT", "end"]


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_no_screen_is_too_small(browser: Browser, width: int) -> None:
    """Nothing runs out of the page sideways, whatever people say."""
    viewport = {"width": width, "height": 640}
    with collector() as server:
        server.say(spoken(20, "A person with a name that is quite long", f"{HOSTILE} {'x' * 300}"))
        with tab(browser, server.url, viewport=viewport, expected=NO_SOCKET) as page:
            show_everything(page)
            assert page.page.evaluate("document.documentElement.scrollWidth") == width
