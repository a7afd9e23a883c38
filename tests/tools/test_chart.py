from __future__ import annotations

import pytest

from tools.kube.chart import VALUES, Value, at, values

SMALL = """\
# About the file.

# What runs.
device: cpu
worker:
  # How many,
  # for everybody.
  replicas: 2
  # Labels of nodes.
  nodeSelector:
    gpu: "yes"
    # A remark inside a value.
    zone: a
  limits:
    # Per second.
    rate: 1.5
"""


def test_a_comment_describes_the_value_below_it():
    """Comments join to one line, and what is indented below a value belongs to it."""
    assert values(SMALL) == [
        Value("device", "cpu", "What runs."),
        Value("worker.replicas", 2, "How many, for everybody."),
        Value("worker.nodeSelector", {"gpu": "yes", "zone": "a"}, "Labels of nodes."),
        Value("worker.limits.rate", 1.5, "Per second."),
    ]


def test_a_value_without_a_comment_is_named():
    """A value that nobody describes is an error with its path."""
    with pytest.raises(ValueError, match=r"no comment above other, worker\.size;"):
        values("worker:\n  size: 1\n  # Known.\n  kind: a\nother: []\n")


def test_an_empty_line_ends_a_comment():
    """A comment further up is about the file, not about the next value."""
    with pytest.raises(ValueError, match="no comment above device"):
        values("# About the file.\n\ndevice: cpu\n")


def test_every_value_of_the_chart_is_described():
    """values.yaml of the chart reads without an error, each path once and with a whole sentence."""
    found = values(VALUES.read_text(encoding="utf-8"))
    assert len({value.path for value in found}) == len(found) > 100
    assert [value.path for value in found if not value.description.endswith(".")] == []


def test_a_path_leads_to_its_value():
    """Keys are separated by dots."""
    assert at({"a": {"b": [1]}}, "a.b") == [1]
