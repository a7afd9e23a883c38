"""Check 40: what others may not see, what is not logged, files that players read, and restarts on a filled database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av

from bench.collector.collector import Collector
from bench.collector.words import Talk
from tests.collector.checks.system import System, new_meeting

FIRST, SECRET = "the-key-of-owner-1", "the-internal-secret"
APP = [sys.executable, "-m", "app"]


def create_key(system: System, owner: int) -> str:
    """A key of this owner, made on the command line."""
    command = [*APP, "collector", "token", "create", "--owner", str(owner), "--scopes", "read,write,delete"]
    environment = {**os.environ, "DATABASE_URL": system.database_url}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


async def with_two_owners(system: System) -> tuple[Collector, Talk, Talk, str]:
    """A collector with a meeting of owner 1 and one of owner 2, and the key of owner 2."""
    collector = await system.start(COLLECTOR_API_KEYS=FIRST, INTERNAL_API_SECRET=SECRET)
    second = create_key(system, 2)
    now_ms = int(time.time() * 1000)
    own, foreign = Talk(new_meeting(), now_ms), Talk(new_meeting(), now_ms, token=second)
    for talk in (own, foreign):
        await system.add(talk.start(), *(talk.final(number) for number in range(3)), talk.end(3))
    await system.settled()
    return collector, own, foreign, second


async def test_40_meetings_of_other_owners(system: System):
    """404 on every route, no hit in search, an error in authorize-subscribe and in the socket; the owner sees it."""
    collector, own, foreign, second = await with_two_owners(system)
    room = f"google_meet/{foreign.meeting}"
    stranger, owner = {"X-API-Key": FIRST}, {"X-API-Key": second}
    requests: list[tuple[str, str, Any]] = [
        ("GET", f"/meetings/{foreign.meeting}", None),
        ("GET", f"/transcripts/by-id/{foreign.meeting}", None),
        ("GET", f"/transcripts/{room}", None),
        ("GET", f"/transcripts/{room}?format=srt", None),
        ("GET", f"/transcripts/{room}?meeting_id={foreign.meeting}", None),
        ("GET", f"/transcripts/{room}/stream", None),
        ("PATCH", f"/meetings/{room}", {"data": {"name": "mine"}}),
        ("POST", f"/meetings/{room}/end", None),
        ("DELETE", f"/meetings/{room}", None),
    ]
    for method, path, body in requests:
        answer = await collector.http.request(method, path, json=body, headers=stranger)
        assert answer.status_code == 404, (method, path, answer.text)
        assert foreign.word(0) not in answer.text
    for method, path, body in requests[:5]:
        assert (await collector.http.request(method, path, json=body, headers=owner)).status_code == 200, path
    found = await collector.http.get("/search", params={"q": foreign.word(0)}, headers=stranger)
    assert found.json()["hits"] == []
    assert len((await collector.http.get("/search", params={"q": foreign.word(0)}, headers=owner)).json()["hits"]) == 1
    listed = (await collector.http.get("/meetings", headers=stranger)).json()["meetings"]
    assert [each["id"] for each in listed] == [own.meeting]
    wanted = {"meetings": [{"platform": "google_meet", "native_meeting_id": str(t.meeting)} for t in (own, foreign)]}
    answer = (await collector.http.post("/ws/authorize-subscribe", json=wanted, headers=stranger)).json()
    assert [each["meeting_id"] for each in answer["authorized"]] == [str(own.meeting)]
    assert len(answer["errors"]) == 1


async def test_40_keys_are_asked_for(system: System):
    """No key and a wrong one are 403; the internal route is 404 without its secret, and needs no key with it."""
    collector, own, foreign, second = await with_two_owners(system)
    path = f"/transcripts/by-id/{own.meeting}"
    assert (await collector.http.get(path)).json() == {"detail": "Missing API token"}
    wrong = await collector.http.get(path, headers={"X-API-Key": "wrong"})
    assert (wrong.status_code, wrong.json()) == (403, {"detail": "Invalid API token"})
    internal = f"/internal/transcripts/{foreign.meeting}"
    assert (await collector.http.get(internal, headers={"X-API-Key": second})).status_code == 404
    answer = await collector.http.get(internal, headers={"X-Internal-Secret": SECRET})
    assert [each["text"] for each in answer.json()] == [foreign.word(number) for number in range(3)]


def test_40_no_start_without_a_key(tmp_path: Path):
    """On an address that others can reach, the program ends with status 2."""
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/c.db", "COLLECTOR_HOST": "0.0.0.0"}  # noqa: S104 - refused
    done = subprocess.run([*APP, "collect"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "COLLECTOR_API_KEYS is empty" in done.stderr


async def test_40_nothing_said_is_logged(system: System):
    """Neither texts nor keys nor tokens, at the level debug, whatever readers send."""
    collector, own, foreign, second = await with_two_owners(system)
    for key in (FIRST, second, "wrong-key"):
        headers = {"X-API-Key": key}
        for path in (f"/transcripts/by-id/{own.meeting}", f"/search?q={own.word(1)}", f"/nothing/{own.word(2)}"):
            await collector.http.get(path, headers=headers)
        await collector.http.get(f"/transcripts/google_meet/{new_meeting()}/stream", params={"api_key": key})
    await system.add(f"no JSON {own.word(0)} {FIRST}", foreign.final(0) | {"segments": [{"text": own.word(1)}]})
    await system.settled()
    assert len(await system.dead()) == 2
    await collector.stop()
    assert collector.log.count('"level"') > 10, "nothing was logged at all"
    for secret in (FIRST, second, "wrong-key", SECRET, *(t.word(n) for t in (own, foreign) for n in range(3))):
        assert secret not in collector.log


async def test_40_players_read_the_files(shared_system: System, collector: Collector, tmp_path: Path):
    """FFmpeg finds every subtitle of srt and vtt, with its time and its text, whatever the text is."""
    talk = Talk(new_meeting(), int(time.time() * 1000))
    texts = ["Plain.", "1 < 2 & 3 > 2", "two\nlines", "-->", "好", "{curly}", "WEBVTT"]
    finals = [
        talk.final(number) | {"segments": [talk.segment(number) | {"text": text, "speaker": "Ann <b> & co"}]}
        for number, text in enumerate(texts)
    ]
    await shared_system.add(talk.start(), *finals)
    await shared_system.settled()
    for name in ("srt", "vtt"):
        answer = await collector.http.get(f"/transcripts/by-id/{talk.meeting}", params={"format": name})
        file = tmp_path / f"meeting.{name}"
        file.write_bytes(answer.content)
        with av.open(str(file)) as opened:
            stream = opened.streams.subtitles[0]
            packets = [packet for packet in opened.demux(stream) if packet.size]
        assert [round(float((packet.pts or 0) * packet.time_base)) for packet in packets] == [
            2 * number for number in range(len(texts))
        ]


async def test_40_a_restart_keeps_every_row(system: System):
    """Migrations at start change nothing in a database that is up to date; `check` accepts it."""
    collector, own, foreign, second = await with_two_owners(system)
    before = [
        (await collector.http.get(f"/transcripts/by-id/{talk.meeting}", headers={"X-API-Key": key})).json()
        for talk, key in ((own, FIRST), (foreign, second))
    ]
    for mode in ("auto", "check"):
        await collector.stop()
        collector.environment["COLLECTOR_MIGRATE"] = mode
        await collector.start()
        after = [
            (await collector.http.get(f"/transcripts/by-id/{talk.meeting}", headers={"X-API-Key": key})).json()
            for talk, key in ((own, FIRST), (foreign, second))
        ]
        assert after == before
        assert len(after[0]["segments"]) == 3


async def test_40_a_database_from_the_future(system: System):
    """A newer revision than this program knows is refused, with what to do."""
    collector = await system.start()
    await collector.stop()
    _set_revision(system.database_url, "9999")
    await collector.start(ready=False)
    assert await collector.ended() == 2
    assert "newer than this version" in collector.log


def _set_revision(url: str, revision: str) -> None:
    import sqlite3  # noqa: PLC0415 - only here

    import psycopg  # noqa: PLC0415 - only here

    statement = f"UPDATE alembic_version SET version_num = '{revision}'"  # noqa: S608 - a constant
    if url.startswith("sqlite"):
        with sqlite3.connect(url.removeprefix("sqlite:///")) as file:
            file.execute(statement)
        file.close()
        return
    with psycopg.connect(url) as connection:
        connection.execute(statement)
