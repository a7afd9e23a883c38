"""What a query returns over a time: asked of Prometheus, with gaps as NaN. Blocking."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tools.dashboards.panels import Query
from tools.dashboards.queries import resolved

STEP_S: Final = 5

Values = npt.NDArray[np.float64]
"""[n_times], NaN where there is no value."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel: its name in the legend, times in minutes from the start, values."""

    name: str
    minutes: Values
    values: Values

    @property
    def has_data(self) -> bool:
        """Is there any value?"""
        return bool(np.isfinite(self.values).any())

    @property
    def is_current(self) -> bool:
        """Does it have a value at the end?"""
        return bool(np.isfinite(self.values[-1]))

    @property
    def last(self) -> float:
        """The last value, as Grafana's `lastNotNull`."""
        return float(self.values[np.isfinite(self.values)][-1])


def bucket_counts(ordered: Sequence[Series]) -> Values:
    """[n_buckets, n_times], each without the smaller buckets that Prometheus counts in; the smallest is first."""
    cumulative = np.nan_to_num(np.array([each.values for each in ordered]))
    return np.diff(cumulative, axis=0, prepend=0)


@dataclass(frozen=True, slots=True)
class Source:
    """A Prometheus, and the time to show, in Unix seconds."""

    url: str
    start_s: float
    end_s: float

    def series(self, query: Query, *, window: str) -> list[Series]:
        """What a query returns, one series for each combination of labels, in the order of their names."""
        parameters = {
            "query": resolved(query, window=window, span=f"{max(1, round(self.end_s - self.start_s))}s"),
            "start": self.start_s,
            "end": self.end_s,
            "step": STEP_S,
        }
        address = f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - the address of the caller's Prometheus
            result = json.load(answer)["data"]["result"]
        return sorted((self._series(query, each) for each in result), key=lambda each: each.name)

    def _series(self, query: Query, result: Mapping[str, Any]) -> Series:
        times = np.arange(0, self.end_s - self.start_s + 0.001, STEP_S)
        values = np.full(len(times), np.nan)
        for at, value in result["values"]:
            values[round((float(at) - self.start_s) / STEP_S)] = float(value)
        values[~np.isfinite(values)] = np.nan
        return Series(_name(query, result["metric"]), times / 60, values)


def _name(query: Query, labels: Mapping[str, str]) -> str:
    """The legend; Prometheus drops a label without a value, such as the commit outside of images."""
    name = query.legend
    for label, value in labels.items():
        name = name.replace("{{" + label + "}}", value)
    return re.sub(r" ?{{\w+}}", "", name) or ", ".join(labels.values())
