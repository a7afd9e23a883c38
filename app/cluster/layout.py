"""The ports, folders and environments of a cluster. Pure.

There is one folder per user and public port: the tools find the control socket of a running cluster in it, and the
next cluster finds and removes what a crashed one left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.cluster.reconciler import Kind, Member
from app.cluster.transcripts import LOOPBACK, Transcripts
from app.ops.addresses import authority

MAX_THREADS = 4
MAX_STREAM_S = 24 * 3600
# In the run folder: which processes Prometheus shall ask.
TARGETS_NAME = "prometheus-targets.json"


@dataclass(frozen=True, slots=True)
class Layout:
    """A cluster as the command line and the settings describe it.

    Attributes:
        host, port: the public address of transcription.
        live_port: the public port of the live gateways.
        worker_port, gateway_port: the loopback port of the first worker and the first gateway; the others follow.
        cpu_threads, replicas: of one worker, so that all workers together use every core once. 0 replicas: each
            worker chooses.
        slots, queue, fail_fast: how many requests one worker serves at once, how many may wait, and whether waiting
            is refused; nginx needs the same values. 0 slots: each worker chooses, and nginx gets the number from the
            first worker that is ready.
        shutdown_grace_s, drain_grace_s: how long a worker and a gateway may take to drain.
        max_clients: the streams of one gateway; nginx needs the same value.
        api_key: the key with which gateways call the workers; "" if the workers require none.
        key_limits: API keys have limits, so that workers need the Redis of the transcripts to count together.
        model_size: overrides MODEL_SIZE of the workers; "" leaves it as it is.
        transcripts: what stores the text of live streams; None: nothing does.
        mtail: count what nginx answers; mtail is installed.
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
    key_limits: bool = False
    model_size: str = ""
    transcripts: Transcripts | None = None
    mtail: bool = False

    @property
    def collectors(self) -> int:
        """Return how many collectors run: SQLite has one writer, and one keeps up with any number of gateways."""
        return 1 if self.transcripts is not None else 0

    @property
    def redis_servers(self) -> int:
        """Return how many Redis servers the cluster runs."""
        return 1 if self.transcripts is not None and not self.transcripts.redis_url else 0

    @property
    def control_socket(self) -> Path:
        """Return the unix socket on which the running cluster takes orders."""
        return self.run_dir / "control.sock"

    @property
    def metrics_socket(self) -> Path:
        """Return the unix socket to which nginx writes its second access log, and from which mtail reads it."""
        return self.run_dir / "lb.sock"

    @property
    def targets_file(self) -> Path:
        """Return the list of the cluster's metrics, which Prometheus reads (`file_sd_configs`)."""
        return self.run_dir / TARGETS_NAME

    def temp_dir(self, member: Member) -> Path:
        """Return the member's folder for temporary files; it is emptied whenever the member starts."""
        return self.run_dir / member.name

    def port_of(self, member: Member) -> int:
        """Return the member's loopback port."""
        stores = self.transcripts or Transcripts(self.run_dir)
        first: dict[Kind, int] = {
            "worker": self.worker_port,
            "gateway": self.gateway_port,
            "collector": stores.collector_port,
            "redis": stores.redis_port,
        }
        return first[member.kind] + member.number - 1

    def environment_of(self, member: Member, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the member's environment: what is inherited, and the values that differ between members."""
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
            if self.key_limits and self.transcripts is not None:
                own["REDIS_URL"] = self.transcripts.url_of_redis
        elif member.kind == "gateway":
            own["REMOTE_TRANSCRIBER_URL"] = f"{self.url}/v1/audio/transcriptions"
            if self.api_key:
                own["REMOTE_TRANSCRIBER_API_KEY"] = self.api_key
            if self.transcripts is not None:
                own["REDIS_URL"] = self.transcripts.url_of_redis
        elif member.kind == "collector" and self.transcripts is not None:
            own |= self.transcripts.collector_environment()
        return {**inherited, **own}

    def command_of(self, member: Member, python: str) -> list[str]:
        """Return the command line that starts the member."""
        if member.kind == "worker":
            return [python, str(self.root / "main.py")]
        if member.kind == "gateway":
            return [python, "-m", "app", "streaming", "--host", LOOPBACK, "--port", str(self.port_of(member))]
        if member.kind == "redis" and self.transcripts is not None:
            return [self.transcripts.redis_server, str(self.transcripts.redis_config)]
        return [python, "-m", "app", "collect"]

    @property
    def loopback(self) -> str:
        """Return the host under which this machine reaches the public port."""
        wildcards = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104 - compared, not bound
        return wildcards.get(self.host, self.host)

    @property
    def url(self) -> str:
        """Return the base URL of transcription, as this machine reaches it."""
        return f"http://{authority(self.loopback, self.port)}"

    def render_environment(
        self, members: Sequence[Member], *, slots: int, nofile: int, revision: int
    ) -> dict[str, str]:
        """Return the environment with which `deploy/nginx/render.sh` routes to these members.

        Args:
            members: workers, gateways and collectors to route to.
            slots: how many requests one worker serves at once.
            nofile: how many file descriptors nginx may open.
            revision: number of this configuration, which /lb-status returns.
        """
        addresses = {
            kind: " ".join(f"127.0.0.1:{self.port_of(member)}" for member in members if member.kind == kind)
            for kind in ("worker", "gateway", "collector")
        }
        live = authority(self.host, self.live_port) if addresses["gateway"] else f"unix:{self.run_dir}/live.sock"
        counted = {"NGINX_METRICS_SOCKET": str(self.metrics_socket)} if self.mtail else {}
        return {
            **counted,
            "NGINX_WORKER_ADDRESSES": addresses["worker"],
            "NGINX_GATEWAY_ADDRESSES": addresses["gateway"],
            "NGINX_COLLECTOR_ADDRESS": addresses["collector"],
            "NGINX_LISTEN": authority(self.host, self.port),
            # Without gateways the public port stays free, but the server block has to listen somewhere.
            "NGINX_LIVE_LISTEN": live,
            "NGINX_RUN_DIR": str(self.run_dir),
            "NGINX_NOFILE": str(nofile),
            "NGINX_CONFIGURATION": str(revision),
            "NGINX_RESOLVE": "0",
            # A reload must not cut live streams: old nginx processes stay until their streams have ended.
            "NGINX_SHUTDOWN_S": str(MAX_STREAM_S),
            "MAX_CONCURRENT_TRANSCRIPTIONS": str(slots),
            "MAX_QUEUE_SIZE": str(self.queue),
            "FAIL_FAST_WHEN_BUSY": "true" if self.fail_fast else "false",
            "MAX_UPLOAD_BYTES": str(self.max_upload_bytes),
            "MAX_CLIENTS": str(self.max_clients),
            "SHUTDOWN_GRACE_S": str(int(self.shutdown_grace_s)),
        }


def share_of(cores: int, workers: int, *, threads: int, replicas: int) -> tuple[int, int]:
    """Return the threads and replicas of one of several CPU workers; values other than 0 are kept.

    Without this each worker would use every core. Beyond four threads a decoding step has too little work to divide,
    so a larger share becomes replicas.
    """
    share = max(1, cores // max(1, workers))
    threads = threads or min(MAX_THREADS, max(1, share // max(1, replicas)))
    return threads, replicas or max(1, share // threads)


def run_dir_of(base: Path, *, user_id: int, port: int) -> Path:
    """Return the folder of that user's cluster on that public port."""
    return base / f"transcription-cluster-{user_id}-{port}"
