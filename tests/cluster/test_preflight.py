from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from app.cluster import preflight
from app.cluster.layout import Layout
from app.cluster.transcripts import Transcripts
from app.core.errors import StartupError
from tests.cluster.ports import free_ports, free_run_of_ports


@pytest.fixture
def layout() -> Layout:
    """Give a layout whose ports are all free."""
    port, live_port = free_ports(2)
    first = free_run_of_ports(6)
    return Layout(
        root=Path("/code"),
        run_dir=Path("/run/here"),
        port=port,
        live_port=live_port,
        worker_port=first,
        gateway_port=first + 3,
    )


def test_a_cluster_with_free_ports_may_start(layout):
    """Nothing is raised, and nothing is left listening."""
    for _ in range(2):
        preflight.check_start(layout, workers=3, gateways=3)


@pytest.mark.parametrize("attribute", ["port", "live_port", "worker_port", "gateway_port"])
def test_each_port_in_use_is_named(layout, attribute):
    """Public ports and the members' own: the message names the port and the remedy."""
    port = getattr(layout, attribute)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(StartupError, match=f"port {port} on 127.0.0.1 is in use: stop what listens there"),
    ):
        preflight.check_start(layout, workers=1, gateways=1)


def test_the_live_port_matters_with_gateways_only(layout):
    """Without gateways nothing listens there."""
    with socket.create_server(("127.0.0.1", layout.live_port)):
        preflight.check_start(layout, workers=1, gateways=0)
        with pytest.raises(StartupError, match=f"port {layout.live_port} "):
            preflight.check_scale(layout, "gateway", current=0, wanted=1)
        preflight.check_scale(layout, "gateway", current=1, wanted=2)


@pytest.mark.parametrize("kind", ["redis", "collector"])
def test_the_ports_of_what_stores_transcripts_matter_if_it_runs(layout, kind, tmp_path):
    """Without a collector nothing listens there, and a Redis of somebody else has its own port."""
    ports = free_ports(2)
    stores = Transcripts(tmp_path, redis_port=ports[0], collector_port=ports[1])
    port = {"redis": ports[0], "collector": ports[1]}[kind]
    with socket.create_server(("127.0.0.1", port)):
        preflight.check_start(layout, workers=1, gateways=0)
        with pytest.raises(StartupError, match=f"port {port} on 127.0.0.1 is in use"):
            preflight.check_start(replace(layout, transcripts=stores), workers=1, gateways=0)
        if kind == "redis":
            foreign = replace(stores, redis_url="redis://elsewhere/0")
            preflight.check_start(replace(layout, transcripts=foreign), workers=1, gateways=0)


def test_scaling_checks_the_new_ports_only(layout):
    """The ports of running members are in use, of course."""
    with socket.create_server(("127.0.0.1", layout.worker_port)):
        preflight.check_scale(layout, "worker", current=1, wanted=3)
        with pytest.raises(StartupError, match=f"port {layout.worker_port} "):
            preflight.check_scale(layout, "worker", current=0, wanted=3)


@pytest.mark.parametrize(("kind", "count"), [("worker", 0), ("worker", 65), ("gateway", -1), ("gateway", 65)])
def test_a_size_out_of_range_is_refused(layout, kind, count):
    """A cluster has 1 to 64 workers and 0 to 64 gateways."""
    with pytest.raises(StartupError, match=f"{count} {kind}s: choose "):
        preflight.check_scale(layout, kind, current=1, wanted=count)


@pytest.mark.parametrize("port", [0, 65_536])
def test_a_port_that_does_not_exist_is_refused(port):
    """Ports end at 65535; 0 would mean any port."""
    with pytest.raises(StartupError, match=f"port {port} does not exist"):
        preflight.check_port("127.0.0.1", port)


def test_the_ports_of_later_members_must_exist(layout):
    """The third worker's port follows the first one's."""
    with pytest.raises(StartupError, match="port 65536 does not exist"):
        preflight.check_member_ports(replace(layout, worker_port=65_534), "worker", 3, 3)


def test_an_address_of_another_machine_is_refused():
    """192.0.2.0/24 is reserved for documentation."""
    with pytest.raises(StartupError, match=r"nothing can listen on 192\.0\.2\.1"):
        preflight.check_port("192.0.2.1", 8083)
