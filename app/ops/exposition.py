"""What the metrics of every process have in common: the registry, and the two text formats of Prometheus.

Source: https://prometheus.io/docs/instrumenting/exposition_formats and OpenMetrics 1.0.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from app.ops.version import VERSION

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
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type
