"""The registry and the text formats that every process shares."""

from __future__ import annotations

import pytest
from prometheus_client import Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from app.ops.exposition import new_registry, render
from app.ops.version import VERSION


def test_every_registry_has_the_process_and_the_build():
    """Memory, descriptors, the start time and the version are there from the start; nothing ends in _created."""
    body, media_type = render(new_registry("demo", revision="abc"), "")
    names = {sample.name: sample for family in parse_plain(body.decode()) for sample in family.samples}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"} <= set(names)
    assert names["demo_build_info"].labels == {"version": VERSION, "revision": "abc"}
    assert not [name for name in names if name.endswith("_created")]
    assert media_type.startswith("text/plain; version=0.0.4")


def test_openmetrics_carries_exemplars():
    """A client that accepts OpenMetrics gets it, with the exemplar; others get the plain format without it."""
    registry = new_registry("demo")
    Counter("demo_things", "Things", registry=registry).inc(exemplar={"trace_id": "a" * 32})
    body, media_type = render(registry, "application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    samples = [sample for family in parse_openmetrics(body.decode()) for sample in family.samples]
    assert media_type.startswith("application/openmetrics-text")
    assert [sample.exemplar.labels for sample in samples if sample.exemplar] == [{"trace_id": "a" * 32}]
    assert b"trace_id" not in render(registry, "text/plain")[0]


@pytest.mark.parametrize(
    ("accept", "announced"),
    [
        ("application/openmetrics-text; version=abc", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=1.0.0 x", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=0.0.1", "text/plain; version=0.0.4"),
        ("application/openmetrics-text; version=99.9.9", "text/plain; version=0.0.4"),
        ("text/plain; version=x.y", "text/plain; version=0.0.4"),
        ("text/plain; version=1.0.0; escaping=values", "text/plain; version=0.0.4"),
        (";=;,,version=,application/openmetrics-text;=", "application/openmetrics-text; version=1.0.0"),
        ('APPLICATION/openmetrics-text; Version="1.0.0"', "application/openmetrics-text; version=1.0.0"),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
            "application/openmetrics-text; version=1.0.0",
        ),
    ],
)
def test_no_accept_header_is_an_error(accept: str, announced: str):
    """A strange header gets a format that it may have meant, and the answer announces the version that it is in."""
    assert render(new_registry("demo"), accept)[1].startswith(announced + ";")
