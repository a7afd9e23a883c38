from __future__ import annotations

import asyncio
import runpy
import subprocess
import sys

import pytest

from tests.clients import live_server
from tests.helm.chart import containers, named, rendered
from tools.kube.chart import CHART

PATH = "/v1/audio/transcriptions"


def script() -> str:
    """Return what the pod of `helm test` runs."""
    (container,) = containers(named(rendered({}), "Pod", "test")["spec"])
    python, option, text = container["command"]
    assert (python, option) == ("python", "-c")
    found: str = text
    return found


@pytest.mark.parametrize(
    ("keys", "variables"),
    [("", {}), ("first,second", {"API_KEYS": " first , second"}), ("first,second", {"API_KEY": "second"})],
    ids=["open", "the service's keys", "one key"],
)
async def test_the_pod_succeeds_where_the_service_transcribes(keys, variables):
    """It sends a tone to a real worker, with the key that its Secrets hold, and ends with 0."""
    with live_server(api_keys=keys) as (host, port):
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", script()],
            env={"URL": f"http://{host}:{port}{PATH}", **variables},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "200: the service transcribes\n", "")


async def test_every_other_answer_is_a_failure():
    """A refused key and a service that is not there are named with the address."""
    ask = runpy.run_path(str(CHART / "files/transcribe.py"))["ask"]
    with live_server(api_keys="first") as (host, port):
        url = f"http://{host}:{port}{PATH}"
        assert (await asyncio.to_thread(ask, url, "other")).startswith(f"{url}: 401 ")
    assert (await asyncio.to_thread(ask, url, "first")).startswith(f"{url}: ConnectError")
