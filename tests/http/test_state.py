from __future__ import annotations

from pathlib import Path

import pytest

from app.core.errors import NotReady, UnknownModel
from app.engine.engine import EngineInfo
from app.engine.fake import FakeEngine
from app.http.admission import Admission
from app.http.state import WorkerState, public_name
from tests.clients import worker
from tests.fakes import HeldEngine


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
    """Everything that needs the engine raises NotReady until it is loaded."""
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


def test_a_path_shows_only_its_last_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a path only the last component is shown; sizes and hub ids are shown as they are."""
    (tmp_path / "my-model").mkdir()
    monkeypatch.chdir(tmp_path)
    for model in (str(tmp_path / "my-model"), f"{tmp_path}/my-model/", "./my-model", "my-model", "~/models/my-model"):
        assert public_name(model) == "my-model"
    for model in ("large-v3-turbo", "Systran/faster-whisper-small", "demo"):
        assert public_name(model) == model


async def test_no_route_shows_the_path_of_the_model():
    """The public name stands wherever a model is named: models, health, metrics and the root."""

    class PathEngine(HeldEngine):
        info = EngineInfo("/srv/secret/my-model", "cpu", "int8", "int8")

    for overrides, name in (({}, "my-model"), ({"served_model_name": "our-whisper"}, "our-whisper")):
        async with worker(PathEngine(), strict_models=True, **overrides) as running:
            answers = [
                (await running.client.get(path)).text
                for path in ("/v1/models", "/health", "/metrics", "/", f"/v1/models/{name}", "/v1/models/x")
            ]
            answers.append((await running.transcribe(model="x")).text)
        assert not any("secret" in answer for answer in answers)
        assert all(name in answer for answer in answers[:5])
