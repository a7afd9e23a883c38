from __future__ import annotations

import logging
from typing import Any

import pytest

from app.ops.logs import JsonFormatter, TextFormatter
from tests.clients import MODEL, PATH, Exchange, Worker, tone_wav, worker


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """The fields of every access line."""
    return [record.__dict__["fields"] for record in caplog.records if record.name == "app.access"]


@pytest.mark.parametrize("sent", ["a", "req-1.2_3", "0123456789abcdef" * 4])
async def test_sane_request_id_is_kept(open_worker: Worker, sent: str):
    """A valid X-Request-ID of the client is kept, so that the logs of both sides can be matched."""
    answer = await open_worker.client.get("/health", headers={"X-Request-ID": sent})
    assert answer.headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent", [b"", b" ", b"a b", b"x" * 65, b"a\r\nSet-Cookie: a=b", b"a\n", b"\xc3\xbc", b"<script>", b'"', b"a\x00b"]
)
async def test_odd_request_id_is_replaced(open_worker: Worker, caplog: pytest.LogCaptureFixture, sent: bytes):
    """An invalid X-Request-ID is replaced, and appears in no header and no log line."""
    caplog.set_level(logging.DEBUG, "app.access")
    exchange = Exchange(open_worker.app, [(b"x-request-id", sent)], path="/health", method="GET")
    exchange.feed(b"")
    await exchange.run()
    made = exchange.answered["x-request-id"]
    assert made.startswith("req_")
    assert made[4:].isalnum()
    assert "set-cookie" not in exchange.answered
    assert access_lines(caplog)[-1]["request_id"] == made


async def test_every_answer_has_openais_headers(open_worker: Worker):
    """Successes and errors carry the id, the version and the processing time."""
    for answer in (await open_worker.transcribe(), await open_worker.client.get("/nowhere")):
        assert answer.headers["x-request-id"].startswith("req_")
        assert answer.headers["openai-version"] == "2020-10-01"
        assert int(answer.headers["openai-processing-ms"]) >= 0


async def test_one_line_for_each_request(open_worker: Worker, caplog: pytest.LogCaptureFixture):
    """One line with status, times, duration and language; never the text, the prompt or the file's name."""
    caplog.set_level(logging.DEBUG)
    file = {"file": ("private-name.wav", tone_wav(), "audio/wav")}
    fields = {**MODEL, "prompt": "private-prompt", "hotwords": "private-hotword"}
    answer = await open_worker.client.post(PATH, files=file, data=fields, headers={"x-request-id": "r1"})
    assert "word0001" in answer.text
    (line,) = access_lines(caplog)
    assert {"request_id": "r1", "method": "POST", "path": PATH, "status": 200, "language": "en"}.items() <= line.items()
    assert line["audio_s"] == 2.0
    assert line["upload_bytes"] == len(tone_wav())
    assert {"ms", "audio_decode_ms", "queue_ms", "model_ms"} <= set(line)
    everything = "\n".join(JsonFormatter().format(record) for record in caplog.records if record.name.startswith("app"))
    assert not any(word in everything for word in ("private", "word0001"))


async def test_no_key_is_logged(caplog: pytest.LogCaptureFixture):
    """No key appears in the log, valid or not, in a header or in a query: at most its fingerprint."""
    caplog.set_level(logging.DEBUG)
    async with worker(api_keys="sk-right") as running:
        right = await running.client.get("/v1/models", headers={"Authorization": "Bearer sk-right"})
        await running.client.get("/v1/models?api_key=sk-query", headers={"X-API-Key": "sk-wrong"})
    assert right.status_code == 200
    first, second = access_lines(caplog)
    assert len(first["key_id"]) == 8
    assert "key_id" not in second
    logged = "\n".join(JsonFormatter().format(record) for record in caplog.records if record.name.startswith("app"))
    assert "sk-" not in logged


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()], ids=["json", "text"])
async def test_path_cannot_forge_a_line(
    open_worker: Worker, caplog: pytest.LogCaptureFixture, formatter: logging.Formatter
):
    """A path with line ends and terminal sequences is one printable line, and not an endless one."""
    caplog.set_level(logging.INFO, "app.access")
    evil = '/x\n{"level":"error"}\r\x1b[2J\u2028' + "y" * 10_000
    exchange = Exchange(open_worker.app, path=evil, method="GET\n")
    exchange.feed(b"")
    await exchange.run()
    line = formatter.format(caplog.records[-1])
    assert line.isprintable()
    assert len(line) < 1000


async def test_probes_are_not_logged(open_worker: Worker, caplog: pytest.LogCaptureFixture):
    """Health probes come every few seconds and are not logged at info level."""
    caplog.set_level(logging.INFO)
    for path in ("/health", "/health/live", "/health/ready"):
        await open_worker.client.get(path)
    assert access_lines(caplog) == []
