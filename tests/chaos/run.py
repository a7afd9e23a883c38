"""One soak test, from the idle cluster to the idle cluster. Async."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import aiohttp

from tests.chaos import idle, traffic
from tests.chaos.bad_input import bad_uploads
from tests.chaos.caller import OK, Caller
from tests.chaos.disturbances import Disturbances
from tests.chaos.faults import Injector
from tests.chaos.finals import compare
from tests.chaos.hangups import Leavers
from tests.chaos.heard import Heard
from tests.chaos.outcome import Outcome
from tests.chaos.plan import Plan
from tests.chaos.processes import busy_share, children_in, cpu_ticks
from tests.chaos.recordings import Recordings
from tests.chaos.sampler import Sampler
from tests.chaos.speakers import Speakers
from tests.chaos.stored import wait_until_stored
from tests.chaos.tally import Tally
from tests.chaos.traffic import Load
from tests.chaos.uploads import Upload, Uploads, uploads_of
from tests.cluster.real import RealCluster

ROLES = frozenset({"worker", "workers", "gateway", "collector", "redis", "nginx"})
SHOW_EVERY_S = 30.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to run, as the command line says."""

    minutes: float
    seed: int
    model: str


class Soak:
    """A run against one cluster."""

    def __init__(
        self,
        cluster: RealCluster,
        session: aiohttp.ClientSession,
        recordings: Recordings,
        wanted: Wanted,
        *,
        show: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._session = session
        self._recordings = recordings
        self._wanted = wanted
        self._show = show
        self._tally = Tally()
        self._faults = Disturbances()
        self._heard = Heard()
        self._caller = Caller(session, cluster.url, self._tally, self._faults)

    async def run(self) -> Outcome:
        """Expect, load, disturb, drain and compare.

        Raises:
            ConnectionError: the idle cluster does not transcribe.
        """
        uploads, refused = await self._possible(uploads_of(self._recordings))
        alone_s = await idle.expect(self._caller, uploads.all)
        rate_per_s = traffic.rate_of(alone_s, min(WORKERS, os.cpu_count() or 1))
        self._show(
            f"{len(uploads.all)} requests have their texts; {sum(alone_s.values()) / len(alone_s):.2f} s each alone on "
            f"average by kind; now {rate_per_s:.2f} requests/s and {traffic.TALKERS} live streams"
        )
        await idle.use_every_thread(self._caller, uploads.by_kind["file"][-1])
        before = await idle.idle_state(self._cluster, self._session)
        sampler = Sampler(self._cluster, lambda: self._tally.answers)
        ticks = cpu_ticks()
        await self._disturbed(self._load(uploads, refused, rate_per_s), sampler)
        busy = busy_share(ticks, cpu_ticks())
        drained_s = await idle.wait_until_drained(self._cluster, self._session)
        finals = list(self._heard.finals.values())
        stored = await wait_until_stored(
            self._session, self._cluster.url, self._heard.rooms, {each.final for each in finals}
        )
        for name in await idle.changed(self._caller, uploads.all):
            self._tally.wrong("file", f"{name}: another text than before, on an idle cluster")
        after = await idle.idle_state(self._cluster, self._session)
        await sampler.read()
        return Outcome(
            minutes=self._wanted.minutes,
            seed=self._wanted.seed,
            model=self._wanted.model,
            rate_per_s=rate_per_s,
            busy=busy,
            tally=self._tally,
            faults=self._faults,
            heard=self._heard,
            finals=compare(finals, stored, self._faults),
            observed=sampler.observed,
            before=before,
            after=after,
            drained_s=drained_s,
            exit_code=0,
            log_problems=(),
        )

    async def _possible(self, uploads: Uploads) -> tuple[Uploads, tuple[Upload, ...]]:
        """Return what the model can do, and what must be refused: a translation, if the model cannot translate."""
        bad = bad_uploads(self._recordings.short[0])
        (translation,) = uploads.by_kind["translation"]
        if await self._caller.status_when_idle(translation) == OK:
            return uploads, bad
        rest = {kind: each for kind, each in uploads.by_kind.items() if kind != "translation"}
        return Uploads(rest), (*bad, replace(translation, kind=bad[0].kind))

    def _load(self, uploads: Uploads, refused: tuple[Upload, ...], rate_per_s: float) -> Load:
        seed = self._wanted.seed
        return Load(
            uploads=uploads,
            bad=refused,
            caller=self._caller,
            leavers=Leavers(self._cluster.port, uploads, self._tally, random.Random(seed + 1)),
            speakers=self._speakers(random.Random(seed + 2)),
            rate_per_s=rate_per_s,
            dice=random.Random(seed + 3),
        )

    def _speakers(self, dice: random.Random) -> Speakers:
        # The fake model numbers the seconds of each request, so its live text says nothing about the audio.
        known = () if self._wanted.model == "fake" else (part.recording.name for part in self._recordings.parts)
        texts = {name: self._caller.expected[f"file {name} json"] for name in known}
        return Speakers(
            f"ws://127.0.0.1:{self._cluster.live_port}",
            self._recordings.parts,
            self._tally,
            self._faults,
            heard=self._heard,
            as_files=texts,
            dice=dice,
        )

    async def _disturbed(self, load: Load, sampler: Sampler) -> None:
        """Run the load while faults come."""
        duration_s = self._wanted.minutes * 60
        names = children_in(await asyncio.to_thread(self._cluster.status))
        roles = ROLES | {name.partition("-")[0] for name in names}
        plan = Plan(self._wanted.minutes, roles, random.Random(self._wanted.seed))
        injector = Injector(self._cluster, self._session, self._faults, show=self._show)
        helpers = [asyncio.create_task(sampler.run()), asyncio.create_task(self._progress())]
        injecting = asyncio.create_task(injector.run(plan, duration_s))
        try:
            await traffic.run(load, duration_s)
            await injecting
        finally:
            for task in (*helpers, injecting):
                task.cancel()
            results = await asyncio.gather(*helpers, injecting, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _progress(self) -> None:
        began_s, n_shown = time.monotonic(), 0
        while True:
            await asyncio.sleep(SHOW_EVERY_S)
            for example in self._tally.examples[n_shown:]:
                self._show(example)
            n_shown = len(self._tally.examples)
            total = self._tally.total()
            self._show(
                f"{time.monotonic() - began_s:6.0f} s  sent {total.sent}, ok {total.ok}, refused {total.refused}, "
                f"broken {total.broken}, wrong {total.wrong}, unanswered {total.unanswered}; "
                f"finals {len(self._heard.finals)}"
            )
