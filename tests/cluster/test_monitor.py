from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from pathlib import Path

import httpx
import pytest

from app.cluster.monitor import Monitor
from app.cluster.monitor_config import MonitorLayout
from app.core.errors import StartupError
from tests.cluster.ports import free_ports
from tests.cluster.real import running

FILES = Path(__file__).resolve().parents[2] / "deploy" / "monitoring"


def layout(folder: Path, **changed: object) -> MonitorLayout:
    """Describe real programs that watch an empty list of targets."""
    (folder / "targets.json").write_text("[]")
    prometheus_port, alertmanager_port = free_ports(2)
    values: dict[str, object] = {
        "files": FILES,
        "data_dir": folder / "data",
        "targets": folder / "targets.json",
        "prometheus": shutil.which("prometheus"),
        "alertmanager": shutil.which("prometheus-alertmanager"),
        "prometheus_port": prometheus_port,
        "alertmanager_port": alertmanager_port,
    }
    return MonitorLayout(**{**values, **changed})  # type: ignore[arg-type]  # values of many types by name


async def test_both_run_until_the_stop(tmp_path):
    """Once both answer, `on_ready` is called; after `stop` neither is left, and the lock is free."""
    ready = asyncio.Event()
    monitor = Monitor(layout(tmp_path), show_line=lambda *_: None)
    run = asyncio.create_task(monitor.run(on_ready=ready.set))
    await asyncio.wait_for(ready.wait(), 60)
    pids = [child.pid for child in monitor._children]
    assert len(pids) == 2
    monitor.stop()
    await asyncio.wait_for(run, 30)
    assert not any(running(pid) for pid in pids)
    assert not (tmp_path / "data.lock").exists()
    assert (tmp_path / "data").stat().st_mode & 0o77 == 0


async def test_a_cluster_that_starts_again_is_found(tmp_path):
    """It removes its folder and makes another: Prometheus forgets the old targets and reads the new ones."""
    folder = tmp_path / "run"
    folder.mkdir()
    targets = folder / "targets.json"
    watched = layout(tmp_path, targets=targets, interval_s=1)

    async def until_known(port: int) -> None:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                data = (await client.get(f"{watched.prometheus_url}/api/v1/targets")).json()["data"]
                if [target["labels"]["instance"] for target in data["activeTargets"]] == [f"127.0.0.1:{port}"]:
                    return
                await asyncio.sleep(0.1)

    def write(port: int) -> None:
        group = {"targets": [f"127.0.0.1:{port}"], "labels": {"job": "stt-worker", "cluster": "local"}}
        targets.write_text(json.dumps([group]))

    write(1)
    ready = asyncio.Event()
    monitor = Monitor(watched, show_line=lambda *_: None)
    run = asyncio.create_task(monitor.run(on_ready=ready.set))
    await asyncio.wait_for(ready.wait(), 60)
    await until_known(1)
    shutil.rmtree(folder)
    folder.mkdir()
    write(2)
    await until_known(2)
    monitor.stop()
    await run


@pytest.mark.parametrize("number", [0, 1], ids=["prometheus", "alertmanager"])
async def test_a_program_that_dies_ends_the_other(tmp_path, number):
    """The error names it and how it ended."""
    ready = asyncio.Event()
    monitor = Monitor(layout(tmp_path), show_line=lambda *_: None)
    run = asyncio.create_task(monitor.run(on_ready=ready.set))
    await asyncio.wait_for(ready.wait(), 60)
    pids = [child.pid for child in monitor._children]
    os.kill(pids[number], signal.SIGKILL)
    name = ("prometheus", "alertmanager")[number]
    with pytest.raises(StartupError, match=f"^{name} has ended \\(signal 9\\)"):
        await asyncio.wait_for(run, 30)
    assert not any(running(pid) for pid in pids)


async def test_a_program_that_refuses_its_configuration_is_quoted(tmp_path):
    """The last lines of its output are part of the error."""
    files = tmp_path / "files"
    files.mkdir()
    shutil.copy(FILES / "alertmanager.yml", files)
    (files / "rules.yml").write_text("groups: nonsense\n")
    monitor = Monitor(layout(tmp_path, files=files), show_line=lambda *_: None)
    with pytest.raises(StartupError, match=r"(?s)^prometheus has ended \(exit code 1\):\n.*nonsense"):
        await monitor.run(on_ready=lambda: None)


async def test_a_program_that_cannot_be_started_is_one_line(tmp_path):
    """Nothing is left running."""
    monitor = Monitor(layout(tmp_path, alertmanager=str(tmp_path)), show_line=lambda *_: None)
    with pytest.raises(StartupError, match=r"^alertmanager has ended \(exit code 12[67]\)|could not be started"):
        await monitor.run(on_ready=lambda: None)
    assert [child for child in monitor._children if child.running] == []


async def test_a_second_monitor_of_the_same_cluster_is_refused(tmp_path):
    """Both would write to the same folder."""
    ready = asyncio.Event()
    first = Monitor(layout(tmp_path), show_line=lambda *_: None)
    run = asyncio.create_task(first.run(on_ready=ready.set))
    await asyncio.wait_for(ready.wait(), 60)
    with pytest.raises(StartupError, match="watches that cluster already"):
        await Monitor(layout(tmp_path), show_line=lambda *_: None).run(on_ready=lambda: None)
    first.stop()
    await run


async def test_the_folder_of_somebody_else_is_refused(tmp_path):
    """In /tmp anybody may have made a link there."""
    (tmp_path / "data").symlink_to("/nowhere")
    with pytest.raises(StartupError, match="belongs to another user"):
        await Monitor(layout(tmp_path), show_line=lambda *_: None).run(on_ready=lambda: None)
