from __future__ import annotations

import re

import pytest

from app.collector.api.routes.page import TYPES, WEB, load_assets, load_page
from tests.collector.api.said import client
from tests.collector.fakes import services

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
BUNDLE_BYTES = 64_000  # all of it, before any compression: a page that loads slowly is a page that nobody uses


async def test_browsers_get_the_page_and_programs_get_facts():
    """`/` answers browsers with the page and others with JSON, both without a key."""
    parts = services(keys=("secret",), needs_key=True)
    async with client(parts) as http:
        page = await http.get("/", headers=BROWSER)
        before = await http.get("/")
        parts.health.set_database(ok=True)
        body = (await http.get("/")).json()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert 'data-key-required="true"' in page.text
    assert "secret" not in page.text
    assert page.headers["vary"] == before.headers["vary"] == "Accept"
    assert (before.json()["status"], body["status"]) == ("unready", "ready")
    assert (body["service"], body["endpoints"]["search"]) == ("transcript-collector", "/search")


async def test_the_page_may_talk_to_this_server_only():
    """The policy names no other source, no inline code, and no way to be framed."""
    async with client(services()) as http:
        headers = (await http.get("/", headers=BROWSER)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert set(policy.values()) <= {"'none'", "'self'", "'script'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_everything_the_page_names_is_there():
    """Each asset that the page or a module names is served, with its type, and nothing else is."""
    async with client(services()) as http:
        text = (await http.get("/", headers=BROWSER)).text
        named = {name.removeprefix("assets/") for name in re.findall(r'(?:href|src)="([^"]+)"', text) if "/" in name}
        for path in WEB.glob("*.js"):
            named |= set(re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")))
        assert named == set(load_assets())
        for name in sorted(named):
            answer = await http.get(f"/assets/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == TYPES["." + name.rsplit(".", 1)[1]]
        for name in ("nothing.js", "index.html", "../page.py", "%2e%2e/app.py", ""):
            assert (await http.get(f"/assets/{name}")).status_code == 404


def test_nothing_of_the_page_is_elsewhere():
    """No file refers to another host, except for the SVG namespace, which is not fetched."""
    for path in WEB.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == [], path.name


def test_the_bundle_is_small():
    """All files together."""
    assert sum(path.stat().st_size for path in WEB.iterdir()) < BUNDLE_BYTES


def test_strings_never_become_markup():
    """What people say enters the page as text: the ways to make markup or code of a string are not used at all."""
    makers = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function")
    assert [path.name for path in WEB.glob("*.js") if makers.search(path.read_text(encoding="utf-8"))] == []
    assert not re.search(r"\son[a-z]+=|style=|<script>|javascript:", (WEB / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/icon.svg"])
async def test_what_has_not_changed_is_not_sent_again(path: str):
    """The validator that came with the file answers 304, also in a list or marked weak; another does not."""
    async with client(services(), headers=BROWSER) as http:
        first = await http.get(path)
        etag = first.headers["etag"]
        assert first.headers["cache-control"] == "no-cache"
        for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
            again = await http.get(path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert (await http.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


def test_an_open_server_asks_for_no_key():
    """Nothing is left to fill in."""
    text = load_page(key_required=False).body.decode()
    assert 'data-key-required="false"' in text
    assert "$" not in text
