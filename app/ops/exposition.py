"""What the metrics of every process have in common: the registry, and the two text formats of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats and OpenMetrics 1.0.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from app.ops.version import VERSION

_OPENMETRICS_VERSION: Final = "1.0.0"

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


def new_registry(prefix: str, *, revision: str = "") -> CollectorRegistry:
    """A registry of its own with the series that every process has: `process_*`, `python_gc_*` and the version.

    Args:
        prefix: of this process's metrics, such as "whisper".
        revision: the commit that the image was built from; "" if unknown.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    build = Gauge(
        f"{prefix}_build_info", "Always 1; its labels name the build", ("version", "revision"), registry=registry
    )
    build.labels(VERSION, revision).set(1)
    return registry


def render(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """All metrics of a registry, and their media type.

    Args:
        registry: what to render.
        accept: the request's Accept header. Prometheus asks for OpenMetrics, which alone carries exemplars.
    """
    if any(_is_openmetrics(each) for each in accept.split(",")):
        return openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


def _is_openmetrics(media_range: str) -> bool:
    """Whether a part of an Accept header asks for OpenMetrics 1.0.0.

    The library's own choice raises TypeError for a version that is not made of numbers, and repeats the client's.
    """
    media_type, *parameters = (each.strip().lower() for each in media_range.split(";"))
    pairs = (each.partition("=") for each in parameters)
    versions = {value.strip('"') for name, _, value in pairs if name == "version"}
    return media_type == "application/openmetrics-text" and versions <= {_OPENMETRICS_VERSION}
