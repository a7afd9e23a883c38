"""Errors as `{"detail": "..."}`: what was wrong, with which value, and the remedy.

No answer holds the text of an exception that was not written for the client.
Source: Vexa's bodies; its 404 and 403 texts are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.collector.errors import BadCursor, DatabaseAway

DATABASE_RETRY_S: Final = 2
_SHOWN: Final = 60  # characters of a wrong value
_HINTS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "missing": lambda _: "is missing",
    "int_parsing": lambda _: "is not a whole number",
    "int_parsing_size": lambda _: "has too many digits",
    "int_type": lambda _: "is not a whole number",
    "bool_parsing": lambda _: "is neither true nor false",
    "string_type": lambda _: "is not a text",
    "list_type": lambda _: "is not a list",
    "dict_type": lambda _: "is not an object",
    "string_too_short": lambda limits: f"must have at least {limits['min_length']} characters",
    "string_too_long": lambda limits: f"must have at most {limits['max_length']} characters",
    "too_long": lambda limits: f"must have at most {limits['max_length']} items",
    "greater_than_equal": lambda limits: f"must be at least {limits['ge']}",
    "less_than_equal": lambda limits: f"must be at most {limits['le']}",
    "string_pattern_mismatch": lambda limits: f"must match {limits['pattern']}",
    "literal_error": lambda limits: f"is not one of {limits['expected']}",
}


class ApiError(Exception):
    """A refusal whose text is written for the client."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def invalid(param: str, value: object, why: str) -> ApiError:
    """A refusal of one parameter, 422."""
    return ApiError(422, f"{param}: {_shown(value)} {why}.")


def meeting_not_found(platform: str, native_id: str) -> ApiError:
    """No such meeting, or it is somebody else's, which must look the same."""
    return ApiError(404, f"Meeting not found for platform {platform} and ID {native_id}")


def meeting_id_not_found(meeting_id: int) -> ApiError:
    """No meeting of this owner has this number."""
    return ApiError(404, f"Meeting not found: {meeting_id}")


def explain(errors: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence about the first of pydantic's errors."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in {"query", "path", "body", "header"}]
    name = ".".join(place) or "body"
    if first["type"] == "missing":
        return f"{name}: is missing."
    hint = _HINTS.get(first["type"])
    why = hint(first.get("ctx") or {}) if hint else "is not valid"
    return f"{name}: {_shown(first.get('input'))} {why}."


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A body with one text."""
    return JSONResponse({"detail": detail}, status_code=status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Register the handlers for everything that a route raises on purpose."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(DatabaseAway, _database_away)
    app.add_exception_handler(BadCursor, _bad_cursor)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


def _shown(value: object) -> str:
    """A wrong value, short and without characters that move a terminal's cursor."""
    if isinstance(value, dict | list):
        return "the value"
    text = str(value)
    shortened = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"'{''.join(each if each.isprintable() else '?' for each in shortened)}'"


async def _api_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for it alone
    return answer(error.status, error.detail, error.headers)


async def _database_away(_: Request, __: Exception) -> JSONResponse:
    return answer(503, "The database does not answer. Try again shortly.", {"Retry-After": str(DATABASE_RETRY_S)})


async def _bad_cursor(_: Request, __: Exception) -> JSONResponse:
    return answer(422, "cursor: this server did not give it out for this list; start again without it.")


async def _framework_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    headers = dict(error.headers or {})
    if error.status_code == 405:  # noqa: PLR2004
        allowed = _allowed(request)
        return answer(405, f"Method not allowed; allowed: {allowed}", {**headers, "Allow": allowed})
    texts = {404: "Not Found"}
    return answer(error.status_code, texts.get(error.status_code, "The request could not be read."), headers)


def _allowed(request: Request) -> str:
    """Every method of this path: the framework names those of the first route only."""
    found = {
        method
        for method in ("DELETE", "GET", "PATCH", "POST")
        for route in request.app.routes
        if route.matches({**request.scope, "method": method})[0] is Match.FULL
    }
    return ", ".join(sorted(found | ({"HEAD"} if "GET" in found else set())))  # see the HeadAsGet middleware


async def _validation_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it alone
    return answer(422, explain(error.errors()))
