"""Numbers with Grafana's units, as the pictures write them. Pure."""

from __future__ import annotations

import math
from typing import Final

from matplotlib.ticker import FuncFormatter

_MEBIBYTE: Final = 2**20
_KIBIBYTE: Final = 2**10
_SUFFIXES: Final = {"s": " s", "h": " h", "reqps": "/s", "percent": " %", "decmbytes": " MB", "short": ""}


def written(value: float, unit: str) -> str:
    """The value with its unit.

    Raises:
        KeyError: the unit is not one of those that the boards use.
    """
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "bytes":
        if value == 0:
            return "0"
        return f"{value / _MEBIBYTE:.3g} MiB" if value >= _MEBIBYTE else f"{value / _KIBIBYTE:.3g} KiB"
    return f"{value:.3g}{_SUFFIXES[unit]}"


def byte_step(maximum: float) -> float:
    """The distance of marks on an axis of bytes: a power of two, for three to six marks."""
    return float(2 ** max(0, math.ceil(math.log2(maximum / 6))))


def formatter(unit: str) -> FuncFormatter:
    """The same for the marks of an axis."""
    return FuncFormatter(lambda value, _: written(value, unit))
