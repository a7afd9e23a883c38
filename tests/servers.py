"""Real Redis and PostgreSQL servers for tests, each on loopback in a folder of its own, ended by pid.

Both come from Debian (`make packages`). PostgreSQL refuses to run as root, so root starts it as the
user that Debian's package created.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

START_S = 30.0
POSTGRES_USER = "postgres"


def free_port() -> int:
    """A TCP port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while not _answers(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


class RedisServer:
    """A redis-server; its data folder outlives a restart."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.options = options or (
            "--appendonly",
            "yes",
            "--appendfsync",
            "everysec",
            "--maxmemory-policy",
            "noeviction",
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process' id while it runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "redis.log"
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, "--save", "", *self.options], stdout=output, stderr=subprocess.STDOUT
            )
        _wait_for(self.port, self._process, log)
        while not self._has_loaded():
            time.sleep(0.02)

    def _has_loaded(self) -> bool:
        """Does it answer commands? It refuses them while it reads its data."""
        with socket.create_connection(("127.0.0.1", self.port), START_S) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by pid; nothing happens if it does not run."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGCONT)
                self._process.send_signal(number)
            self._process.wait(START_S)
            self._process = None

    def empty(self) -> None:
        """Delete its data; it must not run."""
        assert self._process is None
        shutil.rmtree(self.folder)


class PostgresServer:
    """A PostgreSQL server with fast, unsafe settings unless `durable`."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.folder = folder
        self.port = free_port()
        self._durable = durable
        self._process: subprocess.Popen[bytes] | None = None
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._bin = found[-1] if found else Path("/usr/bin")
        self._user = POSTGRES_USER if os.getuid() == 0 else None

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://{POSTGRES_USER}@127.0.0.1:{self.port}/{database}"

    def initialize(self) -> None:
        """Create the data folder."""
        self.folder.mkdir(parents=True)
        if self._user:
            record = pwd.getpwnam(self._user)
            os.chown(self.folder, record.pw_uid, record.pw_gid)
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", POSTGRES_USER, "-A", "trust", "--no-sync", "-E", "UTF8"
        )

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        log = self.folder.parent / f"{self.folder.name}.log"
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if self._durable else "off",
            "max_connections": "200",
        }
        command = [str(self._bin / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, user=self._user)
        _wait_for(self.port, self._process, log)
        deadline = time.monotonic() + START_S
        while self._psql("select 1").returncode != 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not become ready: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once (SIGQUIT would skip the checkpoint, SIGINT rolls open transactions back)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_S)
            self._process = None

    def create_database(self, name: str) -> str:
        """Create an empty database and return its address."""
        done = self._psql(f'create database "{name}"')
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected."""
        self._psql(f'drop database if exists "{name}" with (force)')

    def _psql(self, statement: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [str(self._bin / "psql"), "-q", self.url(), "-c", statement], capture_output=True, check=False
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments], capture_output=True, check=False, user=self._user, cwd="/"
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())


@contextlib.contextmanager
def running_postgres(folder: Path, *, durable: bool = False) -> Iterator[PostgresServer]:
    """A new server that is stopped at the end. The folder must be reachable for another user."""
    server = PostgresServer(folder, durable=durable)
    server.initialize()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def running_redis(folder: Path, *options: str) -> Iterator[RedisServer]:
    """A new server that is stopped at the end."""
    server = RedisServer(folder, *options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
