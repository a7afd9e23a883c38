from __future__ import annotations

import pytest

from app.core.errors import NotReady, UnknownModel
from app.engine.fake import FakeEngine
from app.http.admission import Admission
from app.http.state import WorkerState


def state(*, strict: bool = False, loaded: bool = True) -> WorkerState:
    """A service of its own, without application."""
    return WorkerState(
        admission=Admission(slots=1, max_queue=0, fail_fast=True, retry_after_s=1),
        worker_id="1",
        max_upload_bytes=1024,
        language_style="code",
        strict_models=strict,
        loaded=FakeEngine() if loaded else None,
    )


def test_engine_that_is_not_there_yet():
    """Whoever needs the engine before it is loaded is told to come back."""
    for ask in (lambda s: s.engine, lambda s: s.model_ids, lambda s: s.check_model("x")):
        with pytest.raises(NotReady) as refused:
            ask(state(strict=True, loaded=False))
        assert refused.value.retry_after_s >= 1


def test_model_comes_first_and_no_id_twice():
    """The ids start with what really runs."""
    ids = state().model_ids
    assert ids[0] == "fake"
    assert len(set(ids)) == len(ids)


def test_only_a_strict_service_checks_names():
    """Any name by default; strict: the served ones."""
    state().check_model("anything")
    state(strict=True).check_model("whisper-1")
    with pytest.raises(UnknownModel, match="'anything' does not exist here; served: fake, whisper-1"):
        state(strict=True).check_model("anything")
