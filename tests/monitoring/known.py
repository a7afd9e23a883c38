"""Which metrics exist: what the running processes show at /metrics, and what mtail makes of nginx's access log."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.rules import FILES

SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
# Prometheus itself makes this one, and adds these labels to every series.
OWN_METRICS = {"up"}
OWN_LABELS = {"job", "instance", "cluster"}


@dataclass
class Known:
    """The series of one process or of several.

    Attributes:
        labels: the labels of each series by its name; empty also for a series that has no value yet.
        buckets: the values of `le` of each histogram that has values, by the name of its buckets.
    """

    labels: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    buckets: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def add(self, exposition: str) -> None:
        """Add what a process shows at /metrics."""
        for family in text_string_to_metric_families(exposition):
            for suffix in SUFFIXES.get(family.type, ("",)):
                self.labels[family.name + suffix] |= set()
            for sample in family.samples:
                self.labels[sample.name] |= set(sample.labels)
                if "le" in sample.labels:
                    self.buckets[sample.name].add(sample.labels["le"])


def of_mtail() -> Known:
    """Return what mtail exports: its program declares each metric in a line `counter NAME by LABEL, LABEL`."""
    known = Known()
    program = (FILES / "access.mtail").read_text()
    declared = re.findall(r"^(counter|gauge|histogram) (\w+) by ([\w, ]+?)(?: buckets .*)?$", program, re.MULTILINE)
    for kind, name, labels in declared:
        for suffix in SUFFIXES[kind] if kind == "histogram" else ("",):
            known.labels[name + suffix] |= set(labels.split(", ")) | ({"le"} if suffix == "_bucket" else set())
    return known
