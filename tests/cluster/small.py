"""A layout whose members are tiny HTTP servers: real child processes that start quickly."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.cluster.layout import Layout
from app.cluster.reconciler import Member
from app.cluster.transcripts import Transcripts
from tests.cluster.ports import free_run_of_ports

TIMEOUT_S = 20.0
# A member: answers 200 to everything, exits with code 0 at SIGTERM.
SERVER = """
import http.server, signal, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"slots": 1}')

def stop(*_):
    print("drained", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
# One that does not react to SIGTERM.
STUBBORN = SERVER.replace("    sys.exit(0)", "")
# Instead of deploy/monitoring/mtail.sh: counts nothing, but makes its socket, and says when it begins and ends.
MTAIL = """
trap 'echo ended; exit 0' TERM
echo "I1122 00:00:00.000000 1 main.go:1] started on $3"
echo "serving on $3"
: > "$1"
while :; do sleep 0.05; done
"""


def write_mtail(folder: Path, script: str = MTAIL) -> None:
    """Put the script where a cluster with that root looks for it."""
    path = folder / "deploy" / "monitoring" / "mtail.sh"
    path.parent.mkdir(parents=True)
    path.write_text(script)


@dataclass(frozen=True)
class SmallLayout(Layout):
    """A layout whose members are tiny HTTP servers, and a Redis if it has one."""

    program: str = SERVER

    def command_of(self, member: Member, python: str) -> list[str]:
        """Return the command line of one of them; Redis is a real one."""
        if member.kind == "redis":
            return super().command_of(member, python)
        return [python, "-c", self.program, str(self.port_of(member))]


def small_layout(folder: Path, program: str = SERVER, *, transcripts: bool = False, mtail: bool = False) -> SmallLayout:
    """Return a layout in that folder with free ports for two workers, two gateways, a collector and a Redis."""
    first = free_run_of_ports(6)
    stores = Transcripts(
        folder / "data",
        collector_port=first + 4,
        redis_port=first + 5,
        redis_server="redis-server",
        redis_password="p",  # noqa: S106 - no secret
        streams=("segments",),
        group="readers",
    )
    return SmallLayout(
        root=folder,
        run_dir=folder / "run",
        worker_port=first,
        gateway_port=first + 2,
        transcripts=stores if transcripts else None,
        mtail=mtail,
        program=program,
    )
