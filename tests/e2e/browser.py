"""Headless Chromium from Debian's packages, watched: what it asks for, and what it complains about."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE_MS = 60_000  # of a machine with better things to do
# A name that is loopback but, unlike localhost, no secure context: what a plain http:// address is.
INSECURE_HOST = "speech.test"
SWITCHES = (
    "--no-sandbox",  # root in a container has no other way
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    f"--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1",
)


def url_of(address: tuple[str, int]) -> str:
    """The page of a server that listens there."""
    return f"http://127.0.0.1:{address[1]}/"


def launch(playwright: Playwright) -> Browser:
    """Start the browser, or say how to get it."""
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing: run `make packages`"
    return playwright.chromium.launch(executable_path=str(CHROMIUM), headless=True, args=list(SWITCHES))


@dataclass  # without slots: Playwright notes things on the object whose method it calls
class Tab:
    """One tab with nothing remembered, and everything it did."""

    page: Page
    hosts: set[str] = field(default_factory=set)
    complaints: list[str] = field(default_factory=list)

    def __getitem__(self, element_id: str) -> Locator:
        """An element by its id."""
        return self.page.locator(f"#{element_id}")

    @property
    def lines(self) -> Locator:
        """The lines of the transcript."""
        return self.page.get_by_role("log").get_by_role("button")

    def heard(self, message: ConsoleMessage) -> None:
        """Keep what the console complains of."""
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def choose(self, audio: bytes | Path, name: str = "talk.wav") -> None:
        """Choose a file as the file dialog does."""
        if isinstance(audio, Path):
            self["file"].set_input_files(audio)
        else:
            self["file"].set_input_files({"name": name, "mimeType": "audio/wav", "buffer": audio})

    def start(self) -> None:
        """Press the button."""
        self.page.get_by_role("button", name="Transcribe").click()

    def save(self, label: str) -> tuple[str, str]:
        """Press a download button; the file's name and text."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name=label, exact=True).click()
        return download.value.suggested_filename, download.value.path().read_bytes().decode()


@contextmanager
def tab(browser: Browser, url: str, *, expected: Sequence[str] = (), **options: object) -> Iterator[Tab]:
    """A tab on the page; afterwards: it never left this machine and complained of nothing unexpected.

    Args:
        browser: where to open it.
        url: the address of the page.
        expected: patterns of console errors that the test provokes.
        options: of Playwright's `new_context`.
    """
    context = browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    opened = Tab(context.new_page())
    opened.page.on("request", lambda request: opened.hosts.add(urlsplit(request.url).hostname or ""))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.page.on("console", opened.heard)
    opened.page.goto(url)
    yield opened
    context.close()
    # blob: addresses, the chosen file and what is saved, have no host
    assert opened.hosts - {""} <= {"127.0.0.1", INSECURE_HOST}
    assert [each for each in opened.complaints if not any(re.search(pattern, each) for pattern in expected)] == []
