from __future__ import annotations

import re

import pytest

from app.core import languages
from app.http.routes.page import TYPES, WEB, load_assets, load_page
from tests.clients import Worker, worker

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
# A page that loads slowly is a page that nobody uses: all of it, before any compression.
BUNDLE_BYTES = 64_000


async def test_browsers_get_the_page_and_programs_get_facts(open_worker: Worker):
    """`/` answers browsers with the page and others with JSON, with `Vary: Accept` for caches."""
    page = await open_worker.client.get("/", headers=BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.text.startswith("<!doctype html>")
    for accept in ("*/*", "application/json", "application/json, text/plain, */*"):
        record = await open_worker.client.get("/", headers={"Accept": accept})
        assert record.json()["service"] == "speech-to-text"
        assert record.headers["vary"] == page.headers["vary"] == "Accept"


async def test_root_says_what_this_is(open_worker: Worker):
    """Vexa's start script uses / if /health fails."""
    body = (await open_worker.client.get("/")).json()
    assert (body["status"], body["model"]) == ("ready", "fake")
    assert body["endpoints"]["transcribe"] == "/v1/audio/transcriptions"


async def test_the_page_may_talk_to_this_server_only(open_worker: Worker):
    """The policy names no other source, no inline code, and no way to be framed."""
    headers = (await open_worker.client.get("/", headers=BROWSER)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert set(policy.values()) <= {"'none'", "'self'", "blob:", "'script'"}
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_everything_the_page_names_is_there(open_worker: Worker):
    """Each asset that the page or a module names is served, with its type; none has an address of elsewhere."""
    text = (await open_worker.client.get("/", headers=BROWSER)).text
    named = {name.removeprefix("assets/") for name in re.findall(r'(?:href|src)="([^"]+)"', text) if "/" in name}
    for path in WEB.glob("*.js"):
        named |= set(re.findall(r'from "\./([^"]+)"', path.read_text(encoding="utf-8")))
    assert named == set(load_assets())
    for name in sorted(named):
        answer = await open_worker.client.get(f"/assets/{name}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == TYPES["." + name.rsplit(".", 1)[1]]
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_of_the_page_is_elsewhere():
    """No file refers to another host, except for the SVG namespace, which is not fetched."""
    for path in WEB.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]", text) == [], path.name


def test_the_bundle_is_small():
    """All files together."""
    assert sum(path.stat().st_size for path in WEB.iterdir()) < BUNDLE_BYTES


def test_strings_never_become_markup():
    """Words enter the page as text: the ways to make markup or code of a string are not used at all."""
    makers = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function")
    assert [path.name for path in WEB.glob("*.js") if makers.search(path.read_text(encoding="utf-8"))] == []
    assert not re.search(r"\son[a-z]+=|style=|<script>|javascript:", (WEB / "index.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", ["/", "/assets/app.js", "/assets/app.css", "/assets/icon.svg"])
async def test_what_has_not_changed_is_not_sent_again(open_worker: Worker, path: str):
    """The validator that came with the file answers 304, also in a list or marked weak; another does not."""
    first = await open_worker.client.get(path, headers=BROWSER)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = await open_worker.client.get(path, headers={**BROWSER, "If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await open_worker.client.get(path, headers={**BROWSER, "If-None-Match": '"other"'})
    assert other.status_code == 200


@pytest.mark.parametrize("path", ["/", "/assets/app.js"])
async def test_head_answers_as_get_would(open_worker: Worker, path: str):
    """The same status and headers."""
    got, headed = [await open_worker.client.request(method, path, headers=BROWSER) for method in ("GET", "HEAD")]
    assert headed.status_code == 200
    for name in ("content-type", "content-length", "etag", "cache-control"):
        assert headed.headers[name] == got.headers[name]


async def test_head_for_programs(open_worker: Worker):
    """Load balancers may probe / with HEAD."""
    assert (await open_worker.client.head("/")).headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "index.html", "../page.py", "..%2fapi%2fpage.py", "%2e%2e/main.py", "app.js/", "", "a" * 3000],
)
async def test_other_files_do_not_exist(open_worker: Worker, name: str):
    """Only names of the table are served; everything else is an ordinary 404 in the API's shape."""
    answer = await open_worker.client.get(f"/assets/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_the_page_knows_this_servers_settings():
    """The page knows whether a key is needed and the largest file; it is served without a key."""
    async with worker(api_keys="secret", max_upload_bytes=12_345) as running:
        text = (await running.client.get("/", headers=BROWSER)).text
        asset = await running.client.get("/assets/app.js")
    assert 'data-key-required="true" data-max-upload-bytes="12345"' in text
    assert "secret" not in text
    assert asset.status_code == 200


def test_every_language_can_be_chosen():
    """The list of the server, by English name; nothing is left to fill in."""
    text = load_page(key_required=False, max_upload_bytes=1).body.decode()
    offered = dict(re.findall(r'<option value="([a-z]+)">([^<]+)</option>', text))
    assert {code: name.lower() for code, name in offered.items() if code in languages.NAMES} == dict(languages.NAMES)
    assert 'data-key-required="false"' in text
    assert "$" not in text
