"""The document describes what the server does: by hand where it matters, by schemathesis everywhere."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import positive_data_acceptance

from app.collector.api.app import create_app
from tests.collector.api.said import say
from tests.collector.api.server import listening
from tests.collector.fakes import FakeStore, services

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


def filled_app() -> FastAPI:
    """An application with one meeting."""
    store = FakeStore()
    asyncio.run(say(store, "Hello.", "Good morning."))
    parts = services(store=store)
    parts.health.set_database(ok=True)
    parts.health.set_redis(ok=True)
    return create_app(parts)


schema = schemathesis.openapi.from_dict(filled_app().openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The application on a real socket."""
    with listening(filled_app()) as url:
        yield url


@schema.parametrize()
@BOUNDED
def test_no_request_gets_an_answer_that_is_not_documented(case: Case, address: str):
    """Whatever is sent: no 5xx, no undocumented status, type, header or body, and bad data is refused.

    Data that fits the schema may still be refused: no schema can say which meetings there are.
    """
    case.call_and_validate(base_url=address, excluded_checks=[positive_data_acceptance])


def test_every_route_is_described():
    """Errors are listed with their body, 503 with its Retry-After; every reference leads somewhere."""
    document = filled_app().openapi()
    for path in ("/meetings", "/search", "/transcripts/{platform}/{native_id}", "/transcripts/by-id/{meeting_id}"):
        responses = document["paths"][path]["get"]["responses"]
        assert {"200", "403", "422", "503"} <= set(responses)
        assert "Retry-After" in responses["503"]["headers"]
        schema_of_refusal = responses["422"]["content"]["application/json"]["schema"]
        assert schema_of_refusal == {"$ref": "#/components/schemas/ErrorBody"}
    files = document["paths"]["/transcripts/{platform}/{native_id}"]["get"]["responses"]["200"]["content"]
    assert set(files) == {"application/json", "application/x-subrip", "text/vtt", "text/plain"}
    for name in re.findall(r"#/components/schemas/(\w+)", str(document)):
        assert name in document["components"]["schemas"]
    assert "HTTPValidationError" not in str(document)
    assert document["security"] == [{}, {"X-API-Key": []}, {"Bearer": []}]
