"""The wire types say what OpenAI's SDK types say, and their examples are true."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from openai.pagination import SyncPage
from openai.types import Model as SdkModel
from openai.types.audio import (
    Transcription,
    TranscriptionSegment,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
    TranscriptionWord,
)
from openai.types.audio import transcription as sdk_transcription
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

from app.contracts import openai as wire

BODIES: list[tuple[Any, type[BaseModel]]] = [
    (wire.ErrorBody, ErrorObject),
    (wire.TranscriptionJson, Transcription),
    (wire.TranscriptionVerbose, TranscriptionVerbose),
    (wire.SegmentBody, TranscriptionSegment),
    (wire.WordBody, TranscriptionWord),
    (wire.UsageDuration, sdk_transcription.UsageDuration),
    (wire.UsageTokens, sdk_transcription.UsageTokens),
    (wire.TextDeltaEvent, TranscriptionTextDeltaEvent),
    (wire.TextDoneEvent, TranscriptionTextDoneEvent),
    (wire.Model, SdkModel),
]
EXEMPLARY = [
    wire.ErrorBody,
    wire.ErrorEnvelope,
    wire.TranscriptionJson,
    wire.TranscriptionVerbose,
    wire.SegmentBody,
    wire.SegmentWordBody,
    wire.WordBody,
    wire.UsageDuration,
    wire.TextDeltaEvent,
    wire.Model,
    wire.ModelList,
]


def schema_of(body: Any) -> dict[str, Any]:
    """Give the JSON schema that pydantic, and so the OpenAPI document, makes of a body."""
    return TypeAdapter(body).json_schema()


def example(body: Any) -> Any:
    """Give the one example of a body."""
    (only,) = schema_of(body)["examples"]
    return only


@pytest.mark.parametrize(("ours", "theirs"), BODIES, ids=lambda kind: kind.__name__)
def test_every_key_the_sdk_requires_is_always_sent(ours: Any, theirs: type[BaseModel]):
    """What is required in the SDK's type is required in ours."""
    required = {key for key, field in theirs.model_fields.items() if field.is_required()}
    assert required <= set(schema_of(ours)["required"])


@pytest.mark.parametrize("body", EXEMPLARY, ids=lambda kind: kind.__name__)
def test_examples_are_valid_and_complete(body: Any):
    """The example in the document validates strictly, with every key that is always sent and none unknown."""
    shown = example(body)
    TypeAdapter(body).validate_python(shown, strict=True)
    schema = schema_of(body)
    assert set(schema["required"]) <= set(shown) <= set(schema["properties"])


@pytest.mark.parametrize(
    ("ours", "theirs"), [pair for pair in BODIES if pair[0] in EXEMPLARY], ids=lambda kind: kind.__name__
)
def test_examples_are_read_by_the_sdk(ours: Any, theirs: type[BaseModel]):
    """The SDK's own types accept every example."""
    theirs.model_validate(example(ours))


def test_model_list_is_read_by_the_sdk():
    """The SDK's page of models holds our models."""
    page = SyncPage[SdkModel].model_validate(example(wire.ModelList))
    assert [model.object for model in page.data] == ["model"]


def test_error_envelope_always_has_four_keys():
    """Keys without a value are null, never left out: SDKs read all four."""
    assert wire.error_envelope("No.", kind="server_error") == {
        "error": {"message": "No.", "type": "server_error", "param": None, "code": None}
    }


def without_nulls(value: Any) -> Any:
    """FastAPI leaves nulls out of the examples in its document; `http.response.openapi` puts them back."""
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return [without_nulls(each) for each in value] if isinstance(value, list) else value


def test_fastapi_documents_the_bodies_with_their_examples():
    """A route that names the types has named schemas with examples and optional lists in its document."""
    app = FastAPI()

    @app.post("/t", responses={200: {"model": wire.TranscriptionVerbose}, 400: {"model": wire.ErrorEnvelope}})
    async def transcribe() -> None: ...

    schemas = app.openapi()["components"]["schemas"]
    verbose = schemas["TranscriptionVerbose"]
    assert verbose["examples"] == [without_nulls(example(wire.TranscriptionVerbose))]
    assert {"segments", "words"}.isdisjoint(verbose["required"])
    assert sorted(schemas["ErrorBody"]["required"]) == ["code", "message", "param", "type"]
