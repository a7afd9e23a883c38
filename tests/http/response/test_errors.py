from __future__ import annotations

import inspect
import json
from typing import Annotated, Any

import pytest
from fastapi import Query
from starlette.exceptions import HTTPException

from app.core import errors
from app.http.response.errors import TABLE, envelope, to_response
from tests.clients import MODEL_PART, PATH, Exchange, Worker, body_of, part, worker
from tests.fakes import BrokenEngine

KEYS = {"message", "type", "param", "code"}
EXAMPLES: list[tuple[errors.TranscriptionError, int, str, str | None, str | None]] = [
    (errors.InvalidRequest("m", param="language"), 400, "invalid_request_error", "language", None),
    (errors.InvalidRequest("m"), 400, "invalid_request_error", None, None),
    (errors.UnsupportedValue("m", param="task"), 400, "invalid_request_error", "task", "unsupported_value"),
    (errors.UnsupportedContentType("m"), 415, "invalid_request_error", None, "unsupported_content_type"),
    (errors.AudioUndecodable("m"), 400, "invalid_request_error", "file", "unsupported_format"),
    (errors.AudioTooShort("m"), 400, "invalid_request_error", "file", "audio_too_short"),
    (errors.AudioTooLong("m"), 400, "invalid_request_error", "file", "audio_too_long"),
    (errors.TooLarge("m"), 413, "invalid_request_error", "file", "request_too_large"),
    (errors.UploadStalled("m"), 408, "invalid_request_error", None, "upload_stalled"),
    (errors.UnknownModel("m"), 404, "invalid_request_error", "model", "model_not_found"),
    (errors.Unauthorized("m", presented=True), 401, "invalid_request_error", None, "invalid_api_key"),
    (errors.Unauthorized("m", presented=False), 401, "invalid_request_error", None, None),
    (errors.TierNotAllowed("m"), 403, "invalid_request_error", "transcription_tier", "tier_not_allowed"),
    (errors.KeyLimitReached("m", limit="requests", retry_after_s=3), 429, "requests", None, "rate_limit_exceeded"),
    (errors.AudioQuotaUsed("m", retry_after_s=3), 429, "insufficient_quota", None, "insufficient_quota"),
    (errors.Overloaded("m", retry_after_s=3), 503, "server_error", None, "server_is_overloaded"),
    (errors.TooManyConnections("m", retry_after_s=3), 503, "server_error", None, "server_is_overloaded"),
    (errors.MemoryFull("m", retry_after_s=3), 503, "server_error", None, "server_is_overloaded"),
    (errors.DeviceLost("m", retry_after_s=3), 503, "server_error", None, "shutting_down"),
    (errors.NotReady("m", retry_after_s=3), 503, "server_error", None, "model_loading"),
    (errors.ShuttingDown("m", retry_after_s=3), 503, "server_error", None, "shutting_down"),
    (errors.StorageFull("m", retry_after_s=3), 503, "server_error", None, "insufficient_storage"),
    (errors.Cancelled("m"), 499, "invalid_request_error", None, "client_closed_request"),
    (errors.EngineFailure("m"), 500, "server_error", None, None),
]  # fmt: skip


def body_of_error(raw: bytes) -> dict[str, Any]:
    """The inside of the envelope, which has exactly OpenAI's four keys."""
    envelope_ = json.loads(raw)
    assert set(envelope_) == {"error"}
    assert set(envelope_["error"]) == KEYS
    error: dict[str, Any] = envelope_["error"]
    assert isinstance(error["message"], str)
    assert error["message"]
    return error


@pytest.mark.parametrize(("error", "status", "kind", "param", "code"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_table(error: errors.TranscriptionError, status: int, kind: str, param: str | None, code: str | None):
    """Each error has its row: status, type, param, code."""
    response = to_response(error)
    assert response.status_code == status
    assert response.media_type == "application/json"
    assert body_of_error(bytes(response.body)) == {"message": "m", "type": kind, "param": param, "code": code}


def test_every_error_of_the_tree_has_an_example_above_and_its_own_row():
    """A new class cannot be forgotten, and no row hides behind a more general one."""
    tree = {
        kind for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.TranscriptionError) and kind is not errors.RetryLater
    }  # fmt: skip
    assert tree - {errors.TranscriptionError} == {type(error) for error, *_ in EXAMPLES}
    rows = [kind for kind, _ in TABLE]
    for number, kind in enumerate(rows):
        assert not any(issubclass(kind, earlier) for earlier in rows[:number])


def test_headers_that_belong_to_errors():
    """Retry-After is an integer, a 401 names its scheme, a failure of ours is not worth a retry."""
    assert to_response(errors.Overloaded("m", retry_after_s=3)).headers["retry-after"] == "3"
    assert to_response(errors.Unauthorized("m", presented=False)).headers["www-authenticate"] == "Bearer"
    assert to_response(errors.UploadStalled("m")).headers["connection"] == "close"
    assert to_response(errors.EngineFailure("m")).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in to_response(errors.Overloaded("m", retry_after_s=3)).headers


def test_envelope_survives_any_message():
    """Half a surrogate pair in a message must not become a second error."""
    assert body_of_error(bytes(envelope(400, 'q"\ud800\n').body))["message"] == 'q"?\n'


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/v1/audio/transcribe", 404),
        ("POST", f"{PATH}/", 404),
        ("POST", f"/{PATH}", 404),
        ("GET", "/v1/models/nobody/knows", 404),
        ("GET", PATH, 405),
        ("HEAD", PATH, 405),
        ("PUT", PATH, 405),
        ("PATCH", PATH, 405),
        ("DELETE", "/v1/models", 405),
        ("TRACE", PATH, 405),
        ("OPTIONS", PATH, 405),
        ("POST", "/health", 405),
        ("BREW", "/health/live", 405),
    ],
)
async def test_unknown_routes_and_methods(open_worker: Worker, method: str, path: str, status: int):
    """404 and 405 have the envelope, 405 its Allow header."""
    answer = await open_worker.client.request(method, path)
    assert answer.status_code == status
    if method == "HEAD":
        assert answer.headers["allow"] == "POST"
        return
    error = body_of_error(answer.content)
    assert error["type"] == "invalid_request_error"
    if status == 405:
        assert error["code"] == "method_not_supported"
        assert answer.headers["allow"]
        assert answer.headers["allow"] in error["message"]


async def test_unknown_route_names_method_and_path(open_worker: Worker):
    """As OpenAI does; the query stays out of it."""
    answer = await open_worker.client.post("/v1/x?api_key=sk-secret")
    assert body_of_error(answer.content)["message"] == "Invalid URL (POST /v1/x)"


@pytest.mark.parametrize("host", [b"[", b"a:b:c", b"\xff", b"", b"x" * 10_000, b"evil\r\nSet-Cookie: a=b"])
@pytest.mark.parametrize("query", [b"", b"\xff\xfe", b"%00"])
async def test_hostile_host_and_query_stay_a_404(open_worker: Worker, host: bytes, query: bytes):
    """An error about a URL must not fail over the URL, nor repeat the host."""
    for path in ("/nowhere", "/health/", "//evil/%2e%2e", "/" + "x" * 10_000):
        exchange = Exchange(open_worker.app, [(b"host", host)], path=path, method="GET", query=query)
        exchange.feed(b"")
        await exchange.run()
        assert exchange.status == 404
        assert len(body_of_error(exchange.body)["message"]) < 300
        assert "location" not in exchange.answered


async def test_framework_errors_say_nothing_of_their_own(open_worker: Worker):
    """The text of an HTTPException of a library is not ours to send."""

    @open_worker.app.get("/teapot")
    async def teapot() -> None:
        raise HTTPException(418, "secret detail")

    answer = await open_worker.client.get("/teapot")
    assert answer.status_code == 418
    assert "secret" not in answer.text
    body_of_error(answer.content)


async def test_validation_error_is_a_400_that_names_the_parameter(open_worker: Worker):
    """FastAPI's 422 with its list is never seen."""

    @open_worker.app.get("/typed")
    async def typed(number: Annotated[int, Query()]) -> int:
        return number

    for query in ("", "?number=abc"):
        answer = await open_worker.client.get(f"/typed{query}")
        assert answer.status_code == 400
        assert body_of_error(answer.content)["param"] == "number"


async def test_engine_that_breaks_leaks_nothing():
    """Also behind the route, with the audio on its way, and the slot comes back."""
    async with worker(BrokenEngine()) as running:
        answer = await running.transcribe()
        assert running.state.admission.active == 0
    assert answer.status_code == 500
    body_of_error(answer.content)
    assert not any(word in answer.text for word in ("secret", "CUDA", "RuntimeError"))


async def test_errors_of_a_request_have_the_envelope(open_worker: Worker):
    """No body, a wrong type, no file, no model, no audio, zero bytes: 400 or 415 that names the field."""
    file = part('name="file"; filename="a.wav"', b"not audio at all" * 100)
    cases = [
        (await open_worker.client.post(PATH), 400, "file"),
        (await open_worker.client.post(PATH, json={"model": "whisper-1"}), 400, "file"),
        (await open_worker.client.post(PATH, data={"model": "whisper-1"}), 415, None),
        (await open_worker.post(body_of(MODEL_PART)), 400, "file"),
        (await open_worker.post(body_of(file)), 400, "model"),
        (await open_worker.post(body_of(MODEL_PART, file)), 400, "file"),
        (await open_worker.post(body_of(MODEL_PART, part('name="file"; filename="a.wav"', b""))), 400, "file"),
        (await open_worker.post(body_of(MODEL_PART, part('name="file"', b""))), 400, "file"),
    ]
    for answer, status, param in cases:
        assert answer.status_code == status
        assert body_of_error(answer.content)["param"] == param
