"""What the OpenAPI document says beyond the types: errors, files, request bodies, keys."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from app.collector.api.schema import ErrorBody, MeetingPatch, WantedMeetings
from app.collector.render.export import MEDIA_TYPES

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

_TEXTS: Final = {
    400: "Nothing to change.",
    403: "No key, an unknown one, or one without the scope that this needs.",
    404: "No such meeting; one of another owner looks the same.",
    408: "The body did not arrive.",
    409: "The meeting is not over.",
    413: "The body is too large.",
    422: "A parameter or the body is not valid.",
    503: "The database does not answer.",
}
_RETRY_AFTER: Final[Schema] = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_BODIES: Final = {"MeetingPatch": MeetingPatch, "WantedMeetings": WantedMeetings}


def errors(*statuses: int) -> Responses:
    """The documented errors of a route that asks the database; 403, 422 and 503 belong to all of them."""
    return {status: _error(status) for status in sorted({403, 422, 503, *statuses})}


def transcript(model: Any) -> Responses:
    """The answers of a transcript: as JSON, as a file, or unchanged."""
    files: Schema = {
        media_type.partition(";")[0]: {"schema": {"type": "string"}}
        for name, media_type in MEDIA_TYPES.items()
        if name != "json"
    }
    etag: Schema = {"ETag": {"description": "Grows with each change.", "schema": {"type": "string"}}}
    return {
        200: {"model": model, "content": files, "headers": etag, "description": "The transcript, or a file of it."},
        304: {"description": "Nothing changed since the ETag in If-None-Match.", "headers": etag},
        **errors(404),
    }


def body(name: str) -> Schema:
    """The request body of a route that reads it itself."""
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    return {"requestBody": {"required": True, "content": content}}


def install(app: FastAPI) -> None:
    """Replace FastAPI's document by one that knows these bodies and the keys."""

    def document() -> Schema:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the documented way to replace it


def _error(status: int) -> Schema:
    described: Schema = {"model": ErrorBody, "description": _TEXTS[status]}
    return described | ({"headers": _RETRY_AFTER} if status == 503 else {})  # noqa: PLR2004


def _document(app: FastAPI) -> Schema:
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name, kind in _BODIES.items():
        described = TypeAdapter(kind).json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(described.pop("$defs", {}))
        schemas[name] = described
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    document["components"]["securitySchemes"] = {
        "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    }
    document["security"] = [{}, {"X-API-Key": []}, {"Bearer": []}]  # {}: a server without keys needs none
    return document
