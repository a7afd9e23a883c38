"""The rules and their cases, as the tests read them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "monitoring"
RULES: dict[str, Any] = yaml.safe_load((FILES / "rules.yml").read_text())
CASES: list[dict[str, Any]] = yaml.safe_load((FILES / "rules_test.yml").read_text())["tests"]


@dataclass(frozen=True, slots=True)
class Selector:
    """A selection of series in an expression: the metric, and the labels that it names with their values."""

    metric: str
    labels: tuple[tuple[str, str], ...]


def rules() -> list[dict[str, Any]]:
    """Return every rule of every group."""
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """Return every alert."""
    return [rule for rule in rules() if "alert" in rule]


def recorded() -> set[str]:
    """Return the names of the series that the rules record."""
    return {rule["record"] for rule in rules() if "record" in rule}


def run_book_queries() -> list[str]:
    """Return every query that the run book has its reader ask."""
    return re.findall(r"\bq '([^']+)'", (ROOT / "docs" / "operations.md").read_text())


def selectors(expression: str) -> list[Selector]:
    """Return every selection of series in an expression; raises ValueError if it is not PromQL."""
    return list(_selectors(promql_parser.parse(expression)))


def _selectors(node: Any) -> Iterator[Selector]:
    if isinstance(node, promql_parser.VectorSelector):
        matchers = node.matchers.matchers if node.matchers is not None else []
        yield Selector(node.name or "", tuple((each.name, each.value) for each in matchers))
        return
    for name in ("lhs", "rhs", "expr", "param", "vector_selector"):
        child = getattr(node, name, None)
        if child is not None:
            yield from _selectors(child)
    for argument in getattr(node, "args", ()):
        yield from _selectors(argument)
