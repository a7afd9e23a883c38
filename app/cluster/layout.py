"""Where everything of a cluster lives: ports, folders, environments. Pure.

One folder per user and public port, so that the tools find the control socket of a running cluster, and the
next cluster finds, and removes, what a crashed one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cluster.reconciler import Member

MOST_THREADS = 4
LONGEST_STREAM_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Layout:
    """The cluster's shape as the command line and the settings gave it.

    Attributes:
        host, port: the public address of transcription.
        live_port: the public port of the live gateways.
        worker_port, gateway_port: the first worker's and gateway's own port, on loopback; the others follow.
        cpu_threads, replicas: of one worker, so that all of them together fill the machine once. 0 replicas: the
            worker's own choice.
        slots, queue, fail_fast: one worker's places; nginx must know the same. 0 slots: the worker's own
            choice, learned from the first one that is ready.
        shutdown_grace_s, drain_grace_s: what a worker and a gateway may take to finish.
        max_clients: one gateway's streams; nginx must know the same.
        api_key: one the gateways may use to call the workers; "" where they are open.
        model_size: the workers' model, where it is not theirs to read from the settings.
    """

    root: Path
    run_dir: Path
    host: str = "127.0.0.1"
    port: int = 8083
    live_port: int = 8990
    worker_port: int = 8001
    gateway_port: int = 9091
    cpu_threads: int = 1
    replicas: int = 0
    slots: int = 0
    queue: int = 10
    fail_fast: bool = True
    max_upload_bytes: int = 524_288_000
    shutdown_grace_s: float = 60.0
    drain_grace_s: float = 25.0
    max_clients: int = 100
    api_key: str = ""
    model_size: str = ""

    @property
    def control_socket(self) -> Path:
        """Return where the running cluster listens for orders."""
        return self.run_dir / "control.sock"

    def temp_dir(self, member: Member) -> Path:
        """Return the member's own folder for temporary files, emptied whenever it starts."""
        return self.run_dir / member.name

    def port_of(self, member: Member) -> int:
        """Return the member's own port on loopback."""
        first = self.worker_port if member.kind == "worker" else self.gateway_port
        return first + member.number - 1

    def environment_of(self, member: Member, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the member's environment: what was inherited, and what makes it this member."""
        own = {"TMPDIR": str(self.temp_dir(member)), "PYTHONUNBUFFERED": "1"}
        if member.kind == "worker":
            own |= {
                "HOST": "127.0.0.1",
                "PORT": str(self.port_of(member)),
                "WORKER_ID": str(member.number),
                "CPU_THREADS": str(self.cpu_threads),
                "REPLICAS": str(self.replicas),
            }
            if self.model_size:
                own["MODEL_SIZE"] = self.model_size
        else:
            own["REMOTE_TRANSCRIBER_URL"] = f"{self.url}/v1/audio/transcriptions"
            if self.api_key:
                own["REMOTE_TRANSCRIBER_API_KEY"] = self.api_key
        return {**inherited, **own}

    def command_of(self, member: Member, python: str) -> list[str]:
        """Return the command line that starts the member."""
        if member.kind == "worker":
            return [python, str(self.root / "main.py")]
        return [python, "-m", "app", "streaming", "--host", "127.0.0.1", "--port", str(self.port_of(member))]

    @property
    def loopback(self) -> str:
        """Return the address under which this machine reaches the public port."""
        wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104 - compared
        return wildcards.get(self.host, self.host)

    @property
    def url(self) -> str:
        """Return the base URL of transcription, as this machine reaches it."""
        return f"http://{_address(self.loopback, self.port)}"

    def render_environment(self, members: Sequence[Member], *, slots: int, nofile: int, number: int) -> dict[str, str]:
        """Return what `deploy/nginx/render.sh` needs to know to route to these members.

        Args:
            members: whom to route to.
            slots: what one worker does at once.
            nofile: how many descriptors nginx may open.
            number: of this configuration; nginx shows it.
        """
        addresses = {
            kind: " ".join(f"127.0.0.1:{self.port_of(member)}" for member in members if member.kind == kind)
            for kind in ("worker", "gateway")
        }
        live = _address(self.host, self.live_port) if addresses["gateway"] else f"unix:{self.run_dir}/live.sock"
        return {
            "NGINX_WORKER_ADDRESSES": addresses["worker"],
            "NGINX_GATEWAY_ADDRESSES": addresses["gateway"],
            "NGINX_LISTEN": _address(self.host, self.port),
            # Without gateways the public port stays free, but a server block has to listen somewhere.
            "NGINX_LIVE_LISTEN": live,
            "NGINX_RUN_DIR": str(self.run_dir),
            "NGINX_NOFILE": str(nofile),
            "NGINX_CONFIGURATION": str(number),
            "NGINX_RESOLVE": "0",
            # A reload for a new worker must not cut live streams: old nginx processes stay until theirs have ended.
            "NGINX_SHUTDOWN_S": str(LONGEST_STREAM_S),
            "MAX_CONCURRENT_TRANSCRIPTIONS": str(slots),
            "MAX_QUEUE_SIZE": str(self.queue),
            "FAIL_FAST_WHEN_BUSY": "true" if self.fail_fast else "false",
            "MAX_UPLOAD_BYTES": str(self.max_upload_bytes),
            "MAX_CLIENTS": str(self.max_clients),
            "SHUTDOWN_GRACE_S": str(int(self.shutdown_grace_s)),
        }


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def share_of(cores: int, workers: int, *, threads: int, replicas: int) -> tuple[int, int]:
    """Return the threads and replicas of one of several CPU workers; what is given (not 0) stays.

    Each worker would take the whole machine for its own. Past four threads a decoding step has too little work to
    share, so a larger share becomes replicas.
    """
    share = max(1, cores // max(1, workers))
    threads = threads or min(MOST_THREADS, max(1, share // max(1, replicas)))
    return threads, replicas or max(1, share // threads)


def run_dir_of(base: Path, *, user_id: int, port: int) -> Path:
    """Return the folder of the cluster of that user on that public port."""
    return base / f"transcription-cluster-{user_id}-{port}"
