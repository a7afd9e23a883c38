from __future__ import annotations

from pydantic import TypeAdapter

from app.contracts.health import HealthBody, LiveBody, ReadyBody, RootBody
from tests.clients import Worker


async def test_health_routes_answer_what_the_types_say(open_worker: Worker):
    """Strictly, with every key and none beside."""
    for path, kind in (
        ("/health", HealthBody),
        ("/health/live", LiveBody),
        ("/health/ready", ReadyBody),
        ("/", RootBody),
    ):
        body = (await open_worker.client.get(path, headers={"accept": "application/json"})).json()
        adapter: TypeAdapter[object] = TypeAdapter(kind)
        adapter.validate_python(body, strict=True)
        assert set(body) == set(adapter.json_schema()["properties"])
