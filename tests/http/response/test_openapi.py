"""The document describes what the server does: checked by hand where it matters, by schemathesis everywhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from app.http.app import create_app
from tests.clients import PATH, Worker, live_server, settings_for_test, tone_wav

AUDIO_PATHS = (PATH, "/v1/audio/translations")
WAV = tone_wav(0.2)
Case = schemathesis.Case[Any]

load_all_checks()
BOUNDED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


async def document(running: Worker) -> dict[str, Any]:
    """The document as it is served."""
    body: dict[str, Any] = (await running.client.get("/openapi.json")).json()
    return body


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server on a real socket, with the fake engine."""
    with live_server() as (host, port):
        yield f"http://{host}:{port}"


schema = schemathesis.openapi.from_dict(create_app(settings_for_test()).openapi())


@schema.parametrize()
@BOUNDED
def test_no_request_gets_an_answer_that_is_not_documented(case: Case, address: str):
    """Whatever is sent: no 5xx, no undocumented status, type, header or body, and bad data is refused.

    Data that fits the schema may still be refused: no schema can say that a file has to hold audio.
    """
    case.call_and_validate(base_url=address, excluded_checks=[positive_data_acceptance])


@schema.include(method="POST").parametrize()
@settings(BOUNDED, max_examples=6)
def test_documented_request_with_real_audio_is_served(case: Case, address: str):
    """With a WAV where the schema says file, whatever fits the schema is a 200.

    One pair of fields excludes another, which a schema cannot say: logprobs and a format without them.
    What does not fit may still be taken: clients send numbers as texts, and lists as commas.
    """
    if not isinstance(case.body, dict):
        return
    if case.media_type == "application/json":
        case.body["input_audio"] = {"data": base64.b64encode(WAV).decode(), "format": "wav"}
    else:
        case.body["file"] = cast("Any", WAV)
    answer = case.call(base_url=address)
    if case.meta is not None and case.meta.generation.mode.is_positive and answer.status_code != 200:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "include")
    case.validate_response(answer, excluded_checks=[positive_data_acceptance, negative_data_rejection])


def test_every_check_is_at_work():
    """The important checks of schemathesis are loaded; one is excluded by name."""
    assert {"not_a_server_error", "status_code_conformance", "response_schema_conformance"} <= set(
        CHECKS.get_all_names()
    )


async def test_every_status_has_its_envelope_and_an_example(open_worker: Worker):
    """Errors are documented one by one, 503 with its Retry-After; 422 does not exist here."""
    described = await document(open_worker)
    for path in AUDIO_PATHS:
        responses = described["paths"][path]["post"]["responses"]
        assert set(responses) == {"200", "400", "401", "403", "404", "408", "413", "415", "429", "500", "503"}
        for status, response in responses.items():
            if status != "200":
                content = response["content"]["application/json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}
                assert set(content["example"]["error"]) == {"message", "type", "param", "code"}
        assert "Retry-After" in responses["429"]["headers"]
        assert "Retry-After" in responses["503"]["headers"]
        assert set(responses["200"]["content"]) == {"application/json", "text/plain", "text/event-stream"}
    assert "422" not in str(described)
    assert "ValidationError" not in str(described)


async def test_every_reference_leads_somewhere(open_worker: Worker):
    """Event bodies are described too, and no schema is missing."""
    described = await document(open_worker)
    schemas = described["components"]["schemas"]
    assert {"TextDeltaEvent", "TextDoneEvent", "DeltaSegment", "LogprobBody"} <= set(schemas)
    for name in re.findall(r"#/components/schemas/(\w+)", str(described)):
        assert name in schemas


async def test_keys_may_come_in_two_headers_or_not_at_all(open_worker: Worker):
    """Swagger UI offers both headers; a server without keys needs neither."""
    described = await document(open_worker)
    assert described["security"] == [{}, {"Bearer": []}, {"X-API-Key": []}]
    assert set(described["components"]["securitySchemes"]) == {"Bearer", "X-API-Key"}
