from __future__ import annotations

import logging
import sys

import pytest

from app.ops.tracing import NO_TRACER
from app.ops.tracing_setup import tracer_from_environment

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": " "},
        {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"},
        {**ENDPOINT, "OTEL_SDK_DISABLED": "True"},
        {**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_off_unless_an_endpoint_is_set(
    environment: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """Without an endpoint, or turned off, nothing is imported and nothing is said."""
    monkeypatch.setitem(sys.modules, "app.ops.tracing_otel", None)  # importing it would fail
    assert tracer_from_environment("stt-worker", environment) is NO_TRACER
    assert caplog.records == []


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_missing_packages_are_one_warning(name: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """Asked for without the packages: the process serves, and one line names the variable and the remedy."""
    monkeypatch.setitem(sys.modules, "app.ops.tracing_otel", None)
    assert tracer_from_environment("stt-worker", {name: "http://127.0.0.1:4318"}) is NO_TRACER
    (line,) = [record.getMessage() for record in caplog.records]
    assert name in line
    assert "pip install -r requirements-otel.txt" in line


def test_another_protocol_is_one_warning(caplog: pytest.LogCaptureFixture):
    """The exporter for gRPC is not installed: the line says what to set instead."""
    assert tracer_from_environment("x", {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is NO_TRACER
    (line,) = [record.getMessage() for record in caplog.records]
    assert "'grpc'" in line
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in line


def test_a_value_that_cannot_be_used_is_one_warning(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """The SDK refuses a queue of no length: tracing stays off, and the process serves."""
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    assert tracer_from_environment("x", ENDPOINT) is NO_TRACER
    (line,) = [record.getMessage() for record in caplog.records if record.name == "app.tracing"]
    assert "max_queue_size" in line


def test_on_with_an_endpoint(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    """A line says that requests are traced, and under which name."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "dictation")
    caplog.set_level(logging.INFO, "app.tracing")
    tracer = tracer_from_environment("stt-worker", ENDPOINT)
    tracer.close()
    assert tracer is not NO_TRACER
    assert [record.__dict__["fields"] for record in caplog.records] == [{"service_name": "dictation"}]
