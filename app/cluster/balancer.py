"""nginx as a child process: render and check its configuration, start, reload and stop it.

The configuration is the repository's `nginx.conf`, rendered by the same script that the containers run.
"""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from app.cluster.folder import make_folder
from app.cluster.layout import Layout
from app.cluster.probe import header_of
from app.cluster.process import Child, ShowLine
from app.cluster.reconciler import Member
from app.core.errors import StartupError

NAME = "nginx"
WANTED_DESCRIPTORS = 65_535
STOP_TIMEOUT_S = 5.0
EFFECT_PROBE_S = 0.05
EFFECT_IN_A_ROW = 6  # 0.3 s: nginx stops the old processes a tenth of a second after the new ones listen
EFFECT_TIMEOUT_S = 15.0


class Balancer:
    """The nginx of one cluster."""

    def __init__(self, layout: Layout, *, nginx: str, environment: Mapping[str, str], show_line: ShowLine) -> None:
        self._layout = layout
        self._environment = environment
        self._nginx = nginx
        self._show_line = show_line
        self._config = layout.run_dir / "nginx.conf"
        self._child: Child | None = None
        self._revision = 0

    @property
    def child(self) -> Child | None:
        """Return the running nginx; None before the start and after the end."""
        return self._child if self._child is not None and self._child.running else None

    async def route(self, members: Sequence[Member], *, slots: int) -> None:
        """Send requests to these members: reload nginx, or start it; return when the change is in effect.

        Args:
            members: at least one worker.
            slots: how many requests one worker serves at once.

        Raises:
            StartupError: nginx refused the configuration; a running one continues with the old configuration.
        """
        make_folder(self._layout.run_dir)
        draft = self._config.with_suffix(".new")
        self._revision += 1
        draft.write_text(await self._render(members, slots))
        await self._check(draft)
        draft.replace(self._config)
        if self.child is None:
            await self._start()
        else:
            self.child.send(signal.SIGHUP)
        await self._wait_for_effect()

    async def _start(self) -> None:
        if self._child is not None:
            # If only its master was killed, the other processes still hold the ports: waiting ends them.
            await self._child.wait()
        # A killed nginx leaves its socket behind, and a new one could not listen there.
        with suppress(FileNotFoundError):
            (self._layout.run_dir / "live.sock").unlink()
        command = [*self._command(self._config), "-g", "daemon off;"]
        self._child = await Child.start(
            NAME, command, env=self._environment, cwd=self._layout.run_dir, show_line=self._show_line
        )

    async def quit(self, *, grace_s: float) -> None:
        """Stop listening, let requests in flight finish for up to `grace_s`, then end."""
        if self._child is None:
            return
        self._child.send(signal.SIGQUIT)
        try:
            await asyncio.wait_for(self._child.wait(), grace_s)
        except TimeoutError:
            await self.end()

    async def end(self) -> None:
        """End at once, with all of nginx's own processes."""
        if self._child is None:
            return
        self._child.send(signal.SIGTERM)  # nginx's fast shutdown
        try:
            await asyncio.wait_for(self._child.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            self._child.send(signal.SIGKILL)
            await self._child.wait()

    async def _wait_for_effect(self) -> None:
        """Wait until only processes with the newest configuration answer.

        Raises:
            StartupError: nginx has ended, or continues with the old configuration.
        """
        loop = asyncio.get_running_loop()
        wanted, in_a_row, deadline_s = str(self._revision), 0, loop.time() + EFFECT_TIMEOUT_S
        while loop.time() < deadline_s:
            revision = await asyncio.to_thread(
                header_of, self._layout.loopback, self._layout.port, "/lb-status", "X-Configuration"
            )
            in_a_row = in_a_row + 1 if revision == wanted else 0
            if in_a_row == EFFECT_IN_A_ROW:
                return
            if self.child is None:
                last_line = self._child.last_line if self._child is not None else ""
                raise StartupError(f"nginx could not start: {last_line}")
            await asyncio.sleep(EFFECT_PROBE_S)
        raise StartupError(
            "nginx does not apply its new configuration (its log lines say why); the change is tried again"
        )

    def _command(self, config: Path) -> list[str]:
        return [self._nginx, "-c", str(config), "-p", str(self._layout.run_dir), "-e", "stderr"]

    async def _render(self, members: Sequence[Member], slots: int) -> str:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        nofile = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
        script = self._layout.root / "deploy" / "nginx" / "render.sh"
        env = {
            **self._environment,
            **self._layout.render_environment(members, slots=slots, nofile=nofile, revision=self._revision),
        }
        code, output = await _run(["sh", str(script)], env=env)
        if code != 0:
            raise StartupError(f"nginx.conf could not be rendered: {output.strip()}")
        return output

    async def _check(self, config: Path) -> None:
        code, output = await _run([*self._command(config), "-q", "-t"], env=self._environment)
        if code != 0:
            raise StartupError(f"nginx refuses its configuration: {' '.join(output.split())}")


async def _run(command: Sequence[str], *, env: Mapping[str, str]) -> tuple[int, str]:
    """Run a short command; return its exit code and its output (standard output and standard error together)."""
    process = await asyncio.create_subprocess_exec(
        *command, env=dict(env), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
