"""Describe an unexpected error for the log without its message, which may hold what somebody said."""

from __future__ import annotations

import traceback
from pathlib import Path


def describe(error: BaseException) -> dict[str, str]:
    """The error's type, its cause's type, and the line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    found = {"error": type(error).__name__}
    if error.__cause__ is not None:
        found["cause"] = type(error.__cause__).__name__
    if frames:
        found["at"] = f"{Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}"
    return found
