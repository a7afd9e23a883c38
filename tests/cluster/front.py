"""Run nginx with the repository's configuration in front of stub upstreams."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import httpx

from tests.cluster.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
RENDER = ROOT / "deploy" / "nginx" / "render.sh"
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
# Fetched by deploy/nginx/fetch-newer.sh, which `make packages` runs.
NEWER_NGINX = str(ROOT / ".cache" / "nginx-newer" / "nginx")


@dataclass(frozen=True, slots=True)
class Front:
    """A running nginx: its transcription and live ports, its folder, its access log."""

    port: int
    live_port: int
    run_dir: Path
    log: Path
    client: httpx.AsyncClient

    async def post(self, body: bytes = b"audio", **headers: str) -> httpx.Response:
        """Post a body to the transcription route."""
        return await self.client.post("/v1/audio/transcriptions", content=body, headers=headers)


def render(
    run_dir: Path,
    workers: Sequence[int] = (),
    gateways: Sequence[int] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the configuration for upstreams on these loopback ports; `env` adds or replaces settings."""
    names = {
        "NGINX_WORKER_ADDRESSES": " ".join(f"127.0.0.1:{port}" for port in workers),
        "NGINX_GATEWAY_ADDRESSES": " ".join(f"127.0.0.1:{port}" for port in gateways),
        "NGINX_RUN_DIR": str(run_dir),
        "MAX_CONCURRENT_TRANSCRIPTIONS": "1",
        "PATH": os.environ["PATH"],
    }
    return subprocess.run(
        ["sh", str(RENDER)], env={**names, **env}, check=True, capture_output=True, text=True, timeout=10
    ).stdout


@asynccontextmanager
async def front(
    run_dir: Path,
    workers: Sequence[int] = (),
    gateways: Sequence[int] = (),
    env: Mapping[str, str] = MappingProxyType({}),
    *,
    nginx: str = NGINX,
    outside: bool = False,
) -> AsyncIterator[Front]:
    """Run nginx until the block ends; `outside`: requests from this machine do not count as a private network."""
    port, live_port = free_ports(2)
    listen = {"NGINX_LISTEN": f"127.0.0.1:{port}", "NGINX_LIVE_LISTEN": f"127.0.0.1:{live_port}"}
    config = run_dir / "nginx.conf"
    text = render(run_dir, workers, gateways, {**listen, **env})
    config.write_text(text.replace("allow 127.0.0.0/8;", "") if outside else text)
    log = run_dir / "nginx.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            nginx, "-c", str(config), "-p", str(run_dir), "-e", "stderr", "-g", "daemon off;",
            stdout=output, stderr=output,
        )  # fmt: skip
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=20, limits=httpx.Limits(max_connections=None)
        ) as client:
            await _listening(client, log)
            yield Front(port, live_port, run_dir, log, client)
    finally:
        process.terminate()
        await process.wait()


async def _listening(client: httpx.AsyncClient, log: Path) -> None:
    for _ in range(100):
        try:
            await client.get("/lb-status")
        except httpx.ConnectError:
            await asyncio.sleep(0.02)
        else:
            return
    raise AssertionError(f"nginx does not listen: see {log}")


async def until(condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it did not hold within `timeout_s`.
    """
    for _ in range(int(timeout_s / 0.01)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the condition did not hold in time")


def assert_envelope(response: httpx.Response, status: int, code: str) -> None:
    """Check OpenAI's error shape: four keys, and JSON by its content type."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
