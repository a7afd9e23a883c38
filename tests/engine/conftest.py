"""The bundled demo model, loaded once for all tests of the engine."""

from __future__ import annotations

import pytest

from app.engine.model import Model, load
from app.engine.transcriber import Transcriber


@pytest.fixture(scope="session")
def demo() -> Model:
    """The demo model on this machine's CPU."""
    return load(model_size="demo", device="cpu", compute_type="int8", cpu_threads=0)


@pytest.fixture(scope="session")
def transcriber(demo: Model) -> Transcriber:
    """A transcriber with the server's defaults."""
    return Transcriber(demo, beam_size=5, vad_filter=True)
