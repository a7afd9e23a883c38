"""The page for everyone: by keyboard, by screen reader, in both colour schemes, on a small screen."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.clients import live_server, tone_wav
from tests.e2e.browser import Tab, tab, url_of
from tests.fakes import SpeakingEngine

# Text and background of every visible text, as the browser computed them, with the text's size.
COLOURS = """() => {
    const seen = [];
    for (const element of document.querySelectorAll("body *")) {
        const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim() !== "");
        if (!own || !element.checkVisibility() || element.closest(":disabled, svg, option")) continue;
        const background = at => getComputedStyle(at).backgroundColor;
        let behind = element;
        while (background(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
        seen.push([element.textContent.trim().slice(0, 30), getComputedStyle(element).color, background(behind)]);
    }
    return seen;
}"""
# The edge of every control and what is behind it.
EDGES = """() => [...document.querySelectorAll("select, input[type=password], button:not(li *, .primary), .drop")]
    .filter(e => e.checkVisibility() && !e.disabled)
    .map(e => [e.id, getComputedStyle(e).borderTopColor, getComputedStyle(e.closest(".card")).backgroundColor])"""
# What a user can operate but not name: every control needs a name that is not its content's chance.
NAMELESS = """() => [...document.querySelectorAll("input, select, button, audio, progress, a, [role]:not(p, .notice)")]
    .filter(e => e.checkVisibility())
    .filter(e => !(e.labels?.length || e.ariaLabel || e.getAttribute("aria-labelledby") || e.textContent.trim()))
    .map(e => e.outerHTML)"""


def speaking() -> SpeakingEngine:
    """An engine with two lines to say."""
    return SpeakingEngine([(0.0, 1.5, " A first line."), (1.5, 3.0, " A second line, said by somebody.")], total_s=3.0)


def transcribe(page: Tab, engine: SpeakingEngine) -> None:
    """Bring the page to where everything is on it."""
    page.choose(tone_wav(3.0), "A recording with quite a long name, as people give them (final, 2).wav")
    page.start()
    engine.speak(2)
    expect(page["status"]).to_contain_text("Done")


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `rgb(r, g, b)`."""
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG's contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(browser: Browser, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for every text, with a line playing and a problem shown; 3 to 1 for controls' edges."""
    engine = speaking()
    with live_server(engine, api_keys="k") as address, tab(
        browser, url_of(address), color_scheme=scheme, reduced_motion="reduce", expected=["401"]
    ) as page:  # fmt: skip
        page.choose(tone_wav(3.0))
        page.start()
        expect(page["problem"]).to_be_visible()
        problem = page.page.evaluate(COLOURS)
        edges = page.page.evaluate(EDGES)
        page["key"].fill("k")
        page["key"].press("Enter")
        engine.speak(2)
        expect(page["status"]).to_contain_text("Done")
        page.lines.nth(1).click()
        expect(page.lines.nth(1)).to_have_attribute("aria-current", "true")
        seen = problem + page.page.evaluate(COLOURS)
    assert len(seen) > 30
    assert [each for each in seen if contrast(each[1], each[2]) < 4.5] == []
    assert len(edges) > 4
    assert [each for each in edges if contrast(each[1], each[2]) < 3.0] == []


def test_the_schemes_differ(browser: Browser) -> None:
    """The page follows the system's choice of dark or light."""
    grounds = []
    with live_server() as address:
        for scheme in ("light", "dark"):
            with tab(browser, url_of(address), color_scheme=scheme) as page:
                grounds.append(page.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert luminance(grounds[0]) > 0.8
    assert luminance(grounds[1]) < 0.05


def test_everything_has_a_name_and_a_role(browser: Browser) -> None:
    """A screen reader meets headings, labelled controls, a log that announces lines, and a status."""
    engine = speaking()
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        assert page.page.evaluate(NAMELESS) == []
        transcribe(page, engine)
        assert page.page.evaluate(NAMELESS) == []
        assert page.page.evaluate("document.documentElement.lang") == "en"
        for role, name in (
            ("heading", "Speech to text"), ("heading", "Transcript"), ("combobox", "Language spoken"),
            ("combobox", "Task"), ("button", "Record"), ("button", "Transcribe"), ("group", "Save as"),
            ("group", "State of the server"), ("log", "Segments"), ("button", "0:00.0 – 0:01.5 A first line."),
        ):  # fmt: skip
            expect(page.page.get_by_role(role, name=name, exact=True)).to_be_visible()  # type: ignore[arg-type]
        assert page.page.get_by_role("main").count() == page.page.get_by_role("banner").count() == 1
        assert page["file"].get_attribute("aria-describedby") == "file-hint"
        assert page.page.get_by_role("log").get_attribute("aria-live") == "polite"
        ids = page.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser) -> None:
    """Tab goes through the controls in their order, and each shows a ring."""
    ring = """() => {
        const at = document.activeElement;
        return [at.id || (at.dataset.format ?? ""), getComputedStyle(at.closest(".drop") ?? at).outlineStyle];
    }"""
    engine = speaking()
    with live_server(engine) as address, tab(browser, url_of(address)) as page:
        transcribe(page, engine)
        page.page.evaluate("const top = document.querySelector('h1'); top.tabIndex = -1; top.focus()")
        reached: list[str] = []
        for _ in range(20):
            page.page.keyboard.press("Tab")
            focused, outline = page.page.evaluate(ring)
            if reached[-1:] != [focused]:  # the player has several stops of its own
                reached.append(focused)
            if focused not in {"", "player"}:
                assert outline != "none", focused
        wanted = ["file", "record", "language", "task", "start", "srt", "vtt", "json", "txt", "player"]
        assert reached[: len(wanted)] == wanted


@pytest.mark.parametrize("width", [320, 768, 1600])
def test_no_screen_is_too_small(browser: Browser, width: int) -> None:
    """Nothing runs out of the page sideways, from 320 pixels on."""
    engine = speaking()
    viewport = {"width": width, "height": 640}
    with live_server(engine) as address, tab(browser, url_of(address), viewport=viewport) as page:
        transcribe(page, engine)
        assert page.page.evaluate("document.documentElement.scrollWidth") == width
        rights = "[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right)"
        assert max(page.page.evaluate(rights)) <= width


def test_motion_can_be_turned_off(browser: Browser) -> None:
    """With `prefers-reduced-motion` nothing moves."""
    with live_server() as address, tab(browser, url_of(address), reduced_motion="reduce") as page:
        moving = "document.getAnimations().length"
        page["record"].evaluate("record => record.classList.add('on')")
        assert page.page.evaluate(moving) == 0
