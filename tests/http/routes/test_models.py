from __future__ import annotations

import pytest
from openai.types import Model

from app.engine.engine import EngineInfo
from app.http.state import ALIASES
from tests.clients import Worker, worker
from tests.fakes import HeldEngine


class HubEngine(HeldEngine):
    """An engine whose model's id has a slash."""

    info = EngineInfo("Systran/faster-whisper-small", "cpu", "int8", "int8")


async def test_list_holds_the_model_and_its_aliases_once(open_worker: Worker):
    """OpenAI's list: the model first, then the names that clients have built in."""
    body = (await open_worker.client.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["fake", *ALIASES]
    for model in body["data"]:
        assert set(model) == {"id", "object", "created", "owned_by", "shutdown_date"}
        Model.model_validate(model)


@pytest.mark.parametrize("path", ["Systran/faster-whisper-small", "Systran%2Ffaster-whisper-small"])
async def test_id_with_a_slash(path: str):
    """The SDK escapes the slash, people do not."""
    async with worker(HubEngine()) as running:
        answer = await running.client.get(f"/v1/models/{path}")
    assert answer.status_code == 200
    assert answer.json()["id"] == "Systran/faster-whisper-small"


@pytest.mark.parametrize("model", ["nobody", "a/b/c", "..%2F..%2Fetc%2Fpasswd", "%00", "x" * 5000, "whisper-1/", ""])
async def test_unknown_model(open_worker: Worker, model: str):
    """404 with OpenAI's param and code, and no more of the name than is useful."""
    answer = await open_worker.client.get(f"/v1/models/{model}")
    error = answer.json()["error"]
    assert answer.status_code == 404
    assert (error["param"], error["code"]) == ("model", "model_not_found")
    assert len(error["message"]) < 300


async def test_strict_server_refuses_other_names():
    """STRICT_MODELS: the ids of /v1/models work, any other is 404 and the message lists them."""
    async with worker(strict_models=True) as running:
        fine = [(await running.transcribe(model=name)).status_code for name in ("fake", "whisper-1", "default")]
        refused = await running.transcribe(model="large-v3\x1b" + "x" * 5000)
    assert fine == [200, 200, 200]
    assert refused.status_code == 404
    assert refused.json()["error"]["code"] == "model_not_found"
    assert "whisper-1" in refused.json()["error"]["message"]
    assert len(refused.json()["error"]["message"]) < 500


@pytest.mark.parametrize("model", ["default", "test", "large-v3-turbo", "openai/whisper-large-v3", "模型"])
async def test_lenient_server_takes_any_name(open_worker: Worker, model: str):
    """The default: Vexa and a dozen clients have their own names built in."""
    assert (await open_worker.transcribe(model=model)).status_code == 200
