"""Which calls the model makes next: lanes, turns and batches, decided without threads or clocks.

A batch is the jobs that came while the model was busy; there is no timer, and a lone job never waits.
Lane 0 has the highest priority. A request that was not served for `ageing_s` goes up a lane, and up another
one after as long again, so nothing starves. Inside a lane requests take turns, however many jobs each
of them has.

A request that is between two of its calls (encoded, not yet decoded) is `expected`: for a few
milliseconds requests of lower priority wait, so it keeps its turn.

A request that is being prepared is `announced`: where another thread is busy anyway, a small decoding call
of the same lane waits for it for a moment, because rows that share a call cost much less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

P = TypeVar("P")

# Ten long files on two cores get a turn about every ten seconds each, and must not age from that.
# A request that was not served for half a minute goes up a lane, also under constant load.
AGEING_S = 30.0
# A request thread needs well under this to come back with its next call.
EXPECT_S = 0.005
# A row of a call of four costs 0.58 of a call of its own, a row of eight 0.54: past four, spreading
# the rows over threads is worth more than a larger call.
WORTH_ROWS = 4
# How long a small call waits at most for requests that are being prepared. That needs 50 ms for 7 s of audio, but
# several requests, or other programs, share the cores.
COMPANY_S = 0.5
NEVER = (-1, float("-inf"))


@dataclass(frozen=True, slots=True)
class JobCall:
    """The call that a job was part of.

    Attributes:
        number: counts the calls of one batcher.
        rows: jobs in the call.
        added_s: when the job began to wait.
    """

    number: int
    rows: int
    added_s: float
    started_s: float
    ended_s: float


@dataclass(slots=True, eq=False)
class Job(Generic[P]):
    """One call to the model for one window.

    Attributes:
        key: jobs of one key can share a call.
        owner: the request; requests take turns.
        lane: 0 goes first.
        max_rows: how many rows a call that holds this job may have.
        cancelled: called before the job is taken; a job whose caller has left is dropped.
        on_call: called with the call that it was part of, before its result is delivered; see `Batcher.submit`.
    """

    payload: P
    key: Hashable
    owner: Hashable
    lane: int
    max_rows: int = 1
    cancelled: Callable[[], bool] = field(default=lambda: False)
    on_call: Callable[[JobCall], None] = field(default=lambda _: None)
    added_s: float = 0.0


class BatchQueue(Generic[P]):
    """Waiting jobs. Not thread-safe: the batcher holds a lock around it.

    Args:
        mix_lanes: allow one batch to contain jobs of different lanes. Right where another row costs
            nothing (GPU); wrong on a CPU, where every row makes the call longer.
        ageing_s: a request that was not served for this long goes up one lane.
        expect_s: how long a lower lane leaves the model to a request that is between two calls.
    """

    def __init__(self, *, mix_lanes: bool = False, ageing_s: float = AGEING_S, expect_s: float = EXPECT_S) -> None:
        self._mix_lanes = mix_lanes
        self._ageing_s = ageing_s
        self._expect_s = expect_s
        self._jobs: dict[Hashable, deque[Job[P]]] = {}
        self._served: dict[Hashable, tuple[int, float]] = {}  # owner -> its last turn, and when
        self._turn = 0
        self._expected: dict[Hashable, tuple[int, float]] = {}
        self._announced: dict[Hashable, tuple[int, float]] = {}  # owner -> its lane, and until when it counts

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._jobs.values())

    def add(self, job: Job[P], now_s: float) -> None:
        """Add a job to those that wait."""
        job.added_s = now_s
        self._expected.pop(job.owner, None)
        if job.max_rows > 1:
            self._announced.pop(job.owner, None)
        self._jobs.setdefault(job.owner, deque()).append(job)

    def announce(self, owner: Hashable, lane: int, now_s: float) -> None:
        """A request is being prepared: its job that can share a call comes soon."""
        self._announced[owner] = (lane, now_s + COMPANY_S)

    def take(self, now_s: float, *, idle: int = 1, busy: int = 0) -> list[Job[P]]:
        """The jobs of the next call: one key, at most `max_rows`, best first; [] = nothing to do now.

        Args:
            now_s: the time.
            idle: how many model threads are free, this one included; rows are shared among them.
            busy: how many others will be free soon; they are left a share of a large batch.
        """
        waiting = sorted(self._heads(), key=lambda job: self._rank(job, now_s))
        if not waiting or self._is_held_for_another(waiting[0], now_s):
            return []
        first = waiting[0]
        rows = self._rows_of(first, now_s)
        if idle == 1 and busy and self._is_worth_company(first, len(rows), now_s):
            # only what brings the company goes on
            coming = next((job for job in waiting if job.max_rows == 1 and job.owner in self._announced), None)
            if coming is None:
                return []
            first, rows = coming, self._rows_of(coming, now_s)
        share = fair_share(len(rows), idle=idle, busy=busy)
        batch: list[Job[P]] = []
        limit = max(1, share)
        for job in rows:
            limit = min(limit, max(1, job.max_rows))
            if len(batch) >= limit:
                break
            batch.append(job)
        for job in batch:
            self._remove(job, now_s)
        return batch

    def drop_cancelled(self) -> list[Job[P]]:
        """Remove and return the jobs whose callers have left."""
        gone = [job for jobs in self._jobs.values() for job in jobs if job.cancelled()]
        for job in gone:
            self._discard(job)
        return gone

    def drop_all(self) -> list[Job[P]]:
        """Remove and return everything."""
        everything = [job for jobs in self._jobs.values() for job in jobs]
        self._jobs.clear()
        return everything

    def held_until_s(self, now_s: float) -> float | None:
        """When to call `take` again, if it returned nothing because a request is expected back, or announced."""
        if not self._jobs:
            return None
        until = (*self._expected.values(), *self._announced.values())
        moments = [until_s for _, until_s in until if until_s > now_s]
        return min(moments) if moments else None

    def forget(self, owner: Hashable) -> None:
        """Forget a request that has ended: its turns, and that it is expected back."""
        self._served.pop(owner, None)
        self._expected.pop(owner, None)
        self._announced.pop(owner, None)

    def _heads(self) -> list[Job[P]]:
        return [jobs[0] for jobs in self._jobs.values()]

    def _rank(self, job: Job[P], now_s: float) -> tuple[int, int, float]:
        # lanes go below 0: a request that has waited long enough passes even an endless row of new ones
        turn, served_s = self._served.get(job.owner, NEVER)
        neglected_s = now_s - max(job.added_s, served_s)
        return job.lane - int(neglected_s / self._ageing_s), turn, job.added_s

    def _rows_of(self, first: Job[P], now_s: float) -> list[Job[P]]:
        """Jobs that can share a call with `first`, which comes first; owners take turns here too."""
        alike = [
            job
            for jobs in self._jobs.values()
            for job in jobs
            if job.key == first.key and (self._mix_lanes or job.lane <= first.lane)
        ]
        rounds: dict[Hashable, int] = {}

        def turn(job: Job[P]) -> tuple[int, int]:
            rounds[job.owner] = rounds.get(job.owner, -1) + 1
            return self._rank(job, now_s)[0], rounds[job.owner]

        return sorted(sorted(alike, key=lambda job: self._rank(job, now_s)), key=turn)

    def _is_held_for_another(self, best: Job[P], now_s: float) -> bool:
        lane = self._rank(best, now_s)[0]
        return any(
            owner != best.owner and expected_lane < lane and now_s < until_s
            for owner, (expected_lane, until_s) in self._expected.items()
        )

    def _is_worth_company(self, first: Job[P], n_rows: int, now_s: float) -> bool:
        """Whether a call of these rows should wait for requests that are announced in its lane."""
        if n_rows >= min(first.max_rows, WORTH_ROWS) or now_s - first.added_s >= COMPANY_S:
            return False
        return any(lane == first.lane and now_s < until_s for lane, until_s in self._announced.values())

    def _remove(self, job: Job[P], now_s: float) -> None:
        self._discard(job)
        self._turn += 1
        self._served[job.owner] = (self._turn, now_s)
        self._expected[job.owner] = (job.lane, now_s)  # no time yet: `returned` sets it when the call ends

    def returned(self, batch: list[Job[P]], now_s: float) -> None:
        """The call has ended: expect its requests back with their next call, for a moment."""
        for job in batch:
            if job.owner in self._expected:
                self._expected[job.owner] = (job.lane, now_s + self._expect_s)

    def _discard(self, job: Job[P]) -> None:
        jobs = self._jobs[job.owner]
        jobs.remove(job)
        if not jobs:
            del self._jobs[job.owner]


def fair_share(n_rows: int, *, idle: int, busy: int) -> int:
    """How many of the rows one thread takes, so that no thread idles while another works on all of them."""
    if idle > 1:
        return -(-n_rows // idle)  # ceiling
    return max(-(-n_rows // (busy + 1)), min(n_rows, WORTH_ROWS))
