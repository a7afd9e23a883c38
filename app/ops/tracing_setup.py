"""Whether spans are recorded: the standard OTEL_* variables say so, see docs/tracing.md.

Without them nothing of this program imports OpenTelemetry.
Source: opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import Final

from app.ops.tracing import NO_TRACER, Tracer

log = logging.getLogger("app.tracing")

REMEDY: Final = "pip install -r requirements-otel.txt"
_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"


def tracer_from_environment(service: str, environment: Mapping[str, str] = os.environ) -> Tracer:
    """The tracer that the standard variables describe. Tracing that cannot be set up is a warning, not an error.

    Args:
        service: the name of this process, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES give another.
        environment: of the process.
    """
    endpoint = next((name for name in _ENDPOINTS if environment.get(name, "").strip()), None)
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if endpoint is None or disabled or environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "none":
        return NO_TRACER
    protocol = next((found for name in _PROTOCOLS if (found := environment.get(name, "").strip())), _PROTOCOL)
    if protocol != _PROTOCOL:
        _warn(f"the protocol {protocol[:40]!r} is not supported; set OTEL_EXPORTER_OTLP_PROTOCOL={_PROTOCOL}", endpoint)
        return NO_TRACER
    try:
        from app.ops.tracing_otel import OtelTracer  # noqa: PLC0415 - an optional package, and only when asked for
    except ImportError:
        _warn(f"the OpenTelemetry packages are not installed; {REMEDY}", endpoint)
        return NO_TRACER
    try:
        tracer = OtelTracer(service)
    except Exception as error:  # noqa: BLE001 - the SDK raises ValueError and others for values that it cannot read
        _warn(f"a variable of OpenTelemetry cannot be used ({error}); see docs/tracing.md", endpoint)
        return NO_TRACER
    log.info("tracing", extra={"fields": {"service_name": tracer.service}})
    return tracer


def _warn(reason: str, asked_by: str) -> None:
    log.warning("%s is set, but nothing is traced: %s", asked_by, reason)
