"""Map errors to OpenAI's status, type and code, and to the headers that belong to them.

Every error is sent as `{"error": {"message", "type", "param", "code"}}`, also those of the framework
(404, 405, validation) and unexpected exceptions, whose text is logged and never sent.
Source: OpenAI's error guide and the parsing in openai-python `_base_client.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.contracts.openai import ErrorEnvelope, error_envelope
from app.core import errors
from app.http.request_record import record_of
from app.http.response.formats import encode_json

# The SDKs obey this header whatever the status.
NO_RETRY = {"x-should-retry": "false"}


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    kind: str
    code: str | None


# The first class that matches applies, so specific classes come before general ones.
TABLE: tuple[tuple[type[errors.TranscriptionError], _Row], ...] = (
    (errors.AudioUndecodable, _Row(400, "invalid_request_error", "unsupported_format")),
    (errors.AudioTooShort, _Row(400, "invalid_request_error", "audio_too_short")),
    (errors.AudioTooLong, _Row(400, "invalid_request_error", "audio_too_long")),
    (errors.UnsupportedContentType, _Row(415, "invalid_request_error", "unsupported_content_type")),
    (errors.UnsupportedValue, _Row(400, "invalid_request_error", "unsupported_value")),
    (errors.InvalidRequest, _Row(400, "invalid_request_error", None)),
    (errors.TooLarge, _Row(413, "invalid_request_error", "request_too_large")),
    (errors.UploadStalled, _Row(408, "invalid_request_error", "upload_stalled")),
    (errors.UnknownModel, _Row(404, "invalid_request_error", "model_not_found")),
    (errors.Unauthorized, _Row(401, "invalid_request_error", "invalid_api_key")),
    (errors.TierNotAllowed, _Row(403, "invalid_request_error", "tier_not_allowed")),
    (errors.AudioQuotaUsed, _Row(429, "insufficient_quota", "insufficient_quota")),
    (errors.KeyLimitReached, _Row(429, "requests", "rate_limit_exceeded")),
    (errors.TooManyConnections, _Row(503, "server_error", "server_is_overloaded")),
    (errors.MemoryFull, _Row(503, "server_error", "server_is_overloaded")),
    (errors.Overloaded, _Row(503, "server_error", "server_is_overloaded")),
    (errors.NotReady, _Row(503, "server_error", "model_loading")),
    (errors.DeviceLost, _Row(503, "server_error", "shutting_down")),
    (errors.ShuttingDown, _Row(503, "server_error", "shutting_down")),
    (errors.StorageFull, _Row(503, "server_error", "insufficient_storage")),
    # Only for the log: the client is gone. nginx uses this number for the same case.
    (errors.Cancelled, _Row(499, "invalid_request_error", "client_closed_request")),
    (errors.TranscriptionError, _Row(500, "server_error", None)),
)


def to_response(error: errors.TranscriptionError) -> Response:
    """The response for an error."""
    row = _row_of(error)
    headers = dict[str, str]()
    if isinstance(error, errors.RetryLater):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.UploadStalled):
        headers["Connection"] = "close"  # the rest of the body may never arrive
    # the same request would fail again, or until tomorrow: a retry only adds load
    if row.status == 500 or isinstance(error, errors.AudioQuotaUsed):  # noqa: PLR2004
        headers |= NO_RETRY
    return _json(row.status, envelope_of(error), headers)


def envelope_of(error: errors.TranscriptionError) -> ErrorEnvelope:
    """The body for an error; also the last event of a stream that fails."""
    row = _row_of(error)
    param, code = None, row.code
    if isinstance(error, errors.InvalidRequest):
        param = error.param
    if isinstance(error, errors.TooLarge):
        param = "file"
    if isinstance(error, errors.UnknownModel):
        param = "model"
    if isinstance(error, errors.TierNotAllowed):
        param = "transcription_tier"
    if isinstance(error, errors.Unauthorized) and not error.presented:
        code = None
    return error_envelope(error.message, kind=row.kind, param=param, code=code)


def envelope(
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A response in OpenAI's error shape; all four keys are always present."""
    return _json(status, error_envelope(message, kind=kind, param=param, code=code), headers)


def install(app: FastAPI) -> None:
    """Register the handlers for every error that a route can raise."""
    app.add_exception_handler(errors.TranscriptionError, _service_error)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


def _row_of(error: errors.TranscriptionError) -> _Row:
    return next(row for kind, row in TABLE if isinstance(error, kind))


def _json(status: int, body: ErrorEnvelope, headers: Mapping[str, str] | None) -> Response:
    return Response(encode_json(body), status_code=status, media_type="application/json", headers=headers)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.TranscriptionError)  # noqa: S101 - registered for it alone
    record_of(request.scope).error = error
    return to_response(error)


async def _framework_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    headers = dict(error.headers or {})
    # not request.url: building it from a hostile query or Host can fail
    target = f"{request.method} {request.scope['path'][:200]}"
    if error.status_code == 404:  # noqa: PLR2004
        return envelope(404, f"Invalid URL ({target})", headers=headers)
    if error.status_code == 405:  # noqa: PLR2004
        allowed = headers.get("Allow", "POST").replace("GET", "GET, HEAD")  # see the HeadAsGet middleware
        message = f"Not allowed: {target}; allowed: {allowed}."
        return envelope(405, message, code="method_not_supported", headers={**headers, "Allow": allowed})
    return envelope(error.status_code, "The request could not be read.", headers=headers)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    first = error.errors()[0]
    param = str(first["loc"][-1])
    return envelope(400, f"{param}: {first['msg']}.", param=param)
