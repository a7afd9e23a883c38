from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from app.engine.batching.lanes import DEFERRED, LIVE, LONG, SHORT
from app.engine.batching.queue import AGEING_S, COMPANY_S, EXPECT_S, WORTH_ROWS, BatchQueue, Job, fair_share

Names = list[str]


def job(name: str, owner: Hashable = None, *, key: Hashable = "k", lane: int = 0, max_rows: int = 8) -> Job[str]:
    """A job that is its own owner unless one is named."""
    return Job(name, key=key, owner=name if owner is None else owner, lane=lane, max_rows=max_rows)


def queue_of(*jobs: Job[str], mix_lanes: bool = False) -> BatchQueue[str]:
    """A queue to which the jobs came at 0.0 s, in this order."""
    queue: BatchQueue[str] = BatchQueue(mix_lanes=mix_lanes)
    for each in jobs:
        queue.add(each, 0.0)
    return queue


def take(queue: BatchQueue[str], now_s: float = 0.0, *, idle: int = 1) -> Names:
    """The names in the next call."""
    return [each.payload for each in queue.take(now_s, idle=idle)]


def calls(queue: BatchQueue[str], now_s: float = 0.0) -> list[Names]:
    """Every call until the queue is empty."""
    return list(iter(lambda: take(queue, now_s), []))


def test_a_lone_job_never_waits() -> None:
    """A job is taken at the very moment at which it was added, whatever its lane."""
    for lane in (LIVE, SHORT, LONG, DEFERRED):
        assert take(queue_of(job("a", lane=lane))) == ["a"]


def test_an_empty_queue_gives_nothing() -> None:
    """Nothing waits: no call, and no time for the next try."""
    queue = queue_of()
    assert (take(queue), len(queue), queue.held_until_s(0.0)) == ([], 0, None)


def test_what_has_gathered_is_one_call_in_the_order_of_its_coming() -> None:
    """Jobs of one key share a call up to the limit, oldest first; the rest is the next call."""
    queue = queue_of(*(job(name, max_rows=3) for name in "abcde"))
    assert calls(queue) == [["a", "b", "c"], ["d", "e"]]


def test_a_call_holds_one_key() -> None:
    """Two keys that alternate give two calls, each in order."""
    queue = queue_of(*(job(name, key=name.isupper()) for name in "aBcDe"))
    assert calls(queue) == [["a", "c", "e"], ["B", "D"]]


def test_a_call_is_as_small_as_its_smallest_job_demands() -> None:
    """A job that allows three rows is never in a call of more, also where others allow eight."""
    queue = queue_of(job("a"), job("b"), job("c", max_rows=2), job("d"))
    assert calls(queue) == [["a", "b"], ["c", "d"]]


def test_jobs_of_one_request_keep_their_order() -> None:
    """Whatever else is there, a request's jobs of one key run in the order in which they came."""
    queue = queue_of(*(job(f"{owner}{n}", owner, max_rows=2) for n in range(6) for owner in "xyz"))
    done = list(itertools.chain.from_iterable(calls(queue)))
    for owner in "xyz":
        assert [f"{owner}{n}" for n in range(6)] == [name for name in done if name.startswith(owner)]


def test_requests_take_turns_whatever_their_number_of_jobs() -> None:
    """A request with two jobs is done after four calls, though its neighbour has a hundred."""
    queue = queue_of(
        *(job(f"many{n}", "many", max_rows=1) for n in range(100)),
        *(job(f"few{n}", "few", max_rows=1) for n in range(2)),
    )
    assert {"few0", "few1"} <= set(itertools.chain.from_iterable(calls(queue)[:4]))


def test_requests_take_turns_inside_a_call_too() -> None:
    """Four rows, a request with many jobs and one with a single job: both are in the first call."""
    queue = queue_of(*(job(f"many{n}", "many", max_rows=4) for n in range(9)), job("one", max_rows=4))
    assert take(queue) == ["many0", "one", "many1", "many2"]


def test_lanes_go_quick_before_slow() -> None:
    """Live text, then one-window requests, then files, then what can wait."""
    lanes = {"deferred": DEFERRED, "long": LONG, "short": SHORT, "live": LIVE}
    queue = queue_of(*(job(name, lane=lane) for name, lane in lanes.items()))
    assert calls(queue) == [["live"], ["short"], ["long"], ["deferred"]]


def test_slower_lanes_do_not_ride_along_with_a_quick_one() -> None:
    """On a CPU each row makes the call longer: a short request's call holds no window of a file."""
    queue = queue_of(job("file", lane=LONG), job("short", lane=SHORT), job("later", lane=DEFERRED))
    assert calls(queue) == [["short"], ["file"], ["later"]]


def test_mixed_lanes_fill_the_call_behind_the_quick_one() -> None:
    """Where a row more costs nothing, files ride along, behind the quick ones."""
    queue = queue_of(job("file", lane=LONG, max_rows=2), job("short", lane=SHORT, max_rows=2), job("x", lane=DEFERRED),
                     mix_lanes=True)  # fmt: skip
    assert take(queue) == ["short", "file"]


def test_rows_are_shared_among_idle_threads() -> None:
    """Five rows and two idle threads: three for the first, two for the second, none waits."""
    queue = queue_of(*(job(name) for name in "abcde"))
    assert take(queue, idle=2) == ["a", "b", "c"]
    assert take(queue) == ["d", "e"]


def test_one_row_is_taken_however_many_threads_are_idle() -> None:
    """A lone row is not divided away."""
    assert take(queue_of(job("a")), idle=16) == ["a"]


def test_a_large_batch_is_left_in_part_to_threads_that_are_soon_free() -> None:
    """Nothing is left while a batch is small; a large one is shared with the calls that run."""
    for n_rows in range(1, 20):
        assert fair_share(n_rows, idle=1, busy=0) == n_rows
        assert fair_share(n_rows, idle=1, busy=1) == max(min(n_rows, WORTH_ROWS), (n_rows + 1) // 2)
        assert 1 <= fair_share(n_rows, idle=3, busy=1) <= n_rows
    queue = queue_of(*(job(str(n)) for n in range(8)))
    assert [each.payload for each in queue.take(0.0, idle=1, busy=1)] == ["0", "1", "2", "3"]


def company(*jobs: Job[str]) -> BatchQueue[str]:
    """A queue of these jobs, to which a request `late` of the short lane was announced at 0.0 s."""
    queue = queue_of(*jobs)
    queue.announce("late", SHORT, 0.0)
    return queue


def busy_take(queue: BatchQueue[str], now_s: float = 0.0, *, idle: int = 1) -> Names:
    """The names in the next call while another thread is busy."""
    return [each.payload for each in queue.take(now_s, idle=idle, busy=1)]


def test_a_small_call_waits_for_an_announced_request_of_its_lane() -> None:
    """Both share a call as soon as the second one has come, and the thread is told when to look again."""
    queue = company(job("a", lane=SHORT))
    assert busy_take(queue) == []
    assert queue.held_until_s(0.0) == COMPANY_S
    queue.add(job("b", "late", lane=SHORT), 0.01)
    assert busy_take(queue, 0.01) == ["a", "b"]


def test_a_small_call_waits_for_a_moment_only() -> None:
    """However often requests are announced, no job waits longer than COMPANY_S."""
    queue = company(job("a", lane=SHORT))
    queue.announce("later", SHORT, COMPANY_S / 2)
    assert busy_take(queue, COMPANY_S / 2) == []
    assert busy_take(queue, COMPANY_S) == ["a"]


def test_what_the_announced_request_needs_first_goes_on() -> None:
    """Its encoder call passes the decoding call that waits for it."""
    queue = company(job("a", lane=SHORT))
    queue.add(job("encode", "late", key="e", lane=SHORT, max_rows=1), 0.01)
    assert busy_take(queue, 0.01) == ["encode"]
    assert busy_take(queue, 0.01) == []


@pytest.mark.parametrize("lane", [LIVE, LONG])
def test_other_lanes_do_not_wait_for_company(lane: int) -> None:
    """Only requests of one lane wait for each other."""
    assert busy_take(company(job("a", lane=lane))) == ["a"]


def test_a_call_that_is_large_enough_does_not_wait() -> None:
    """From WORTH_ROWS on another row saves little."""
    names = [str(number) for number in range(WORTH_ROWS)]
    assert busy_take(company(*(job(name, lane=SHORT) for name in names))) == names


def test_nothing_waits_for_company_while_a_thread_is_free() -> None:
    """With two free threads, or when no other thread is busy, a job is taken at once."""
    assert busy_take(company(job("a", lane=SHORT)), idle=2) == ["a"]
    assert take(company(job("a", lane=SHORT))) == ["a"]


def test_a_request_that_has_ended_is_no_longer_announced() -> None:
    """Silence needs no call: the others go on."""
    queue = company(job("a", lane=SHORT))
    queue.forget("late")
    assert busy_take(queue) == ["a"]


def test_departed_jobs_are_swept() -> None:
    """Jobs of callers who have left are removed without a call; the others stay in order."""
    gone: set[str] = set()
    queue: BatchQueue[str] = BatchQueue()
    for name in "abc":
        queue.add(Job(name, key="k", owner=name, lane=0, max_rows=8, cancelled=partial(gone.__contains__, name)), 0.0)
    gone.add("b")
    assert [each.payload for each in queue.drop_cancelled()] == ["b"]
    assert [*take(queue), *take(queue)] == ["a", "c"]
    assert len(queue) == 0


def test_everything_can_be_dropped() -> None:
    """drop_all gives what waits and leaves nothing."""
    queue = queue_of(job("a"), job("b", key="other"))
    assert {"a", "b"} == {each.payload for each in queue.drop_all()}
    assert (len(queue), take(queue)) == (0, [])


def endless(queue: BatchQueue[str], lane: int, *, key: str) -> Iterator[tuple[float, Names]]:
    """Calls of a tenth of a second for three minutes, while a new request of `lane` comes before each."""
    for n in range(1800):
        now_s = n / 10
        queue.add(job(f"new{n}", lane=lane, key=key, max_rows=1), now_s)
        yield now_s, take(queue, now_s)


@pytest.mark.parametrize("lane", [LIVE, SHORT, LONG, DEFERRED])
@pytest.mark.parametrize("served", [False, True])
def test_no_lane_key_or_request_starves(lane: int, *, served: bool) -> None:
    """Behind an endless row of new live requests of another key, a job is taken after its ageing.

    It must hold for a request that has had its turn already, too: newcomers have had none.
    """
    queue = queue_of()
    if served:
        queue.add(job("before", "patient", lane=lane), -1.0)
        assert take(queue, -1.0) == ["before"]
    queue.add(job("patient", "patient", lane=lane, key="rare"), 0.0)
    waited_s = next(now_s for now_s, batch in endless(queue, LIVE, key="common") if "patient" in batch)
    assert waited_s <= (lane + 1) * AGEING_S + 1.0


def test_who_waited_long_enough_takes_quick_ones_along() -> None:
    """A file that is first by its age does not make live windows of its key wait for the next call."""
    queue = queue_of(job("old", lane=LONG, max_rows=3))
    queue.add(job("live", lane=LIVE), 3 * AGEING_S)
    assert take(queue, 3 * AGEING_S) == ["old", "live"]


def test_a_request_between_two_calls_keeps_its_place() -> None:
    """Between encode and generate a file does not take the model; after a few milliseconds it may."""
    queue = queue_of(job("encode", "quick", lane=SHORT))
    batch = queue.take(0.0)
    queue.add(job("file", lane=LONG), 0.1)
    queue.returned(batch, 1.0)
    assert take(queue, 1.0) == []
    assert queue.held_until_s(1.0) == 1.0 + EXPECT_S
    queue.add(job("generate", "quick", lane=SHORT), 1.0 + EXPECT_S / 2)
    assert take(queue, 1.0 + EXPECT_S / 2) == ["generate"]
    assert take(queue, 1.0 + EXPECT_S / 2) == ["file"]


def test_the_place_is_kept_for_a_moment_only() -> None:
    """A request that does not come back in time loses nothing but its place."""
    queue = queue_of(job("encode", "quick", lane=SHORT))
    queue.returned(queue.take(0.0), 1.0)
    queue.add(job("file", lane=LONG), 1.0)
    assert take(queue, 1.0) == []
    assert take(queue, 1.0 + EXPECT_S) == ["file"]


def test_while_a_call_runs_other_threads_go_on() -> None:
    """A quick request inside its call holds nothing: the other replica takes the file."""
    queue = queue_of(job("encode", "quick", lane=SHORT), job("file", lane=LONG))
    assert take(queue) == ["encode"]
    assert take(queue) == ["file"]


def test_an_expected_request_holds_no_lane_of_its_own_or_quicker() -> None:
    """Live and short windows do not wait for a short request that is between two calls."""
    queue = queue_of(job("encode", "quick", lane=SHORT))
    queue.returned(queue.take(0.0), 1.0)
    queue.add(job("short", lane=SHORT), 1.0)
    queue.add(job("live", lane=LIVE), 1.0)
    assert calls(queue, 1.0) == [["live"], ["short"]]


def test_a_request_that_has_ended_holds_nothing() -> None:
    """forget() ends the expectation, also when it comes before the call returns."""
    for early in (True, False):
        queue = queue_of(job("last", "quick", lane=SHORT))
        batch = queue.take(0.0)
        if early:
            queue.forget("quick")
        queue.returned(batch, 1.0)
        queue.forget("quick")
        queue.add(job("file", lane=LONG), 1.0)
        assert take(queue, 1.0) == ["file"]


def test_nothing_is_kept_of_requests_that_ended() -> None:
    """After a thousand requests the queue holds no trace of them."""
    queue = queue_of()
    for n in range(1000):
        queue.add(job(f"r{n}"), float(n))
        queue.returned(queue.take(float(n)), n + 0.5)
        queue.forget(f"r{n}")
    assert (queue._jobs, queue._served, queue._expected) == ({}, {}, {})


def test_random_loads_lose_and_double_nothing() -> None:
    """Whatever comes and however it is taken: every job once, keys apart, limits kept."""
    rng = np.random.default_rng(7)
    for _ in range(30):
        queue, taken, now_s = queue_of(mix_lanes=bool(rng.integers(2))), Counter[str](), 0.0
        names = [f"{n}" for n in range(200)]
        coming = [
            job(name, f"o{rng.integers(12)}", key=int(rng.integers(3)), lane=int(rng.integers(4)),
                max_rows=int(rng.integers(1, 6)))
            for name in names
        ]  # fmt: skip
        while coming or len(queue):
            now_s += float(rng.random()) * 0.01
            for _ in range(min(len(coming), int(rng.integers(4)))):
                queue.add(coming.pop(), now_s)
            batch = queue.take(now_s, idle=int(rng.integers(1, 4)))
            assert len({each.key for each in batch}) <= 1
            assert len(batch) <= min((each.max_rows for each in batch), default=0)
            taken.update(each.payload for each in batch)
            queue.returned(batch, now_s)
        assert Counter(names) == taken


# One window on a two-core machine, as measured with the base architecture: an encoder call of one
# row, a decoding call that grows with its rows, and what a thread needs to come back.
ENCODE_S, DECODE_S, DECODE_ROW_S, BACK_S = 0.45, 0.25, 0.12, 0.002
WINDOW_S = ENCODE_S + DECODE_S + DECODE_ROW_S


@dataclass
class Simulation:
    """Replicas over the real queue, on a clock that only events move."""

    n_threads: int = 2
    windows_per_file: int = 4
    now_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)
    windows_done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.queue: BatchQueue[tuple[str, str]] = BatchQueue()
        self.idle = self.n_threads
        self.began_s: dict[str, float] = {}
        self.left: dict[str, int] = {}
        self.events: list[tuple[float, int, str, object]] = []
        self._order = itertools.count()

    def at(self, moment_s: float, what: str, about: object) -> None:
        """Let something happen."""
        heapq.heappush(self.events, (moment_s, next(self._order), what, about))

    def call(self, owner: str, kind: str) -> None:
        """A request adds a job."""
        file = owner.startswith("file")
        rows = (3 if file else 8) if kind == "generate" else 1
        lane = LONG if file else SHORT
        self.queue.add(Job((owner, kind), key=kind, owner=owner, lane=lane, max_rows=rows), self.now_s)

    def begin(self, owner: str, n_windows: int) -> None:
        """A request arrives: its first windows are encoded."""
        self.began_s[owner], self.left[owner] = self.now_s, n_windows
        for _ in range(min(n_windows, self.windows_per_file)):
            self.call(owner, "encode")

    def came_back(self, owner: str, kind: str) -> None:
        """A request thread has the result of a call and goes on."""
        if kind == "encode":
            self.call(owner, "generate")
            return
        self.left[owner] -= 1
        self.windows_done[owner] += 1
        if self.left[owner] >= self.windows_per_file:
            self.call(owner, "encode")
        elif self.left[owner] == 0:
            self.queue.forget(owner)
            if owner.startswith("clip"):
                self.latencies_s.append(self.now_s - self.began_s[owner])

    def dispatch(self) -> None:
        """Every idle thread takes a batch."""
        while self.idle and (batch := self.queue.take(self.now_s, idle=self.idle, busy=self.n_threads - self.idle)):
            self.idle -= 1
            kind = batch[0].payload[1]
            took_s = ENCODE_S if kind == "encode" else DECODE_S + DECODE_ROW_S * len(batch)
            self.at(self.now_s + took_s, "ended", batch)
        if self.idle and (until_s := self.queue.held_until_s(self.now_s)) is not None:
            self.at(until_s, "ask", None)

    def run(self, until_s: float) -> None:
        """Let time pass."""
        while self.events and self.events[0][0] <= until_s:
            self.now_s, _, what, about = heapq.heappop(self.events)
            if what == "clip":
                self.begin(str(about), 1)
            elif what == "file":
                self.begin(str(about), 10_000)
            elif what == "ended":
                assert isinstance(about, list)
                self.queue.returned(about, self.now_s)
                self.idle += 1
                for each in about:
                    self.at(self.now_s + BACK_S, "back", each.payload)
            elif what == "back":
                assert isinstance(about, tuple)
                self.came_back(*about)
            self.dispatch()


def simulated(n_files: int, *, hours: float = 1.0) -> Simulation:
    """Short clips at random moments, once every ten seconds, beside `n_files` endless files."""
    rng = np.random.default_rng(3)
    simulation = Simulation()
    for n in range(n_files):
        simulation.at(0.0, "file", f"file{n}")
    moments_s = np.cumsum(rng.exponential(10.0, int(hours * 360)))
    for n, moment_s in enumerate(moments_s):
        simulation.at(float(moment_s), "clip", f"clip{n}")
    simulation.run(float(moments_s[-1]) + 60.0)
    return simulation


def test_short_clips_stay_quick_while_ten_long_files_run() -> None:
    """The p95 of a short clip beside ten long files is at most twice its idle p95 plus one window.

    Simulated time over the real queue: nothing here depends on the machine that runs it.
    """
    idle, busy = simulated(0), simulated(10)
    assert len(idle.latencies_s) == len(busy.latencies_s) == 360
    idle_p95_s, busy_p95_s = (float(np.percentile(each.latencies_s, 95)) for each in (idle, busy))
    assert busy_p95_s <= 2 * idle_p95_s + WINDOW_S
    # no clip waits for more than the call that runs when it comes; another clip may be before it
    longest_call_s = max(ENCODE_S, DECODE_S + 3 * DECODE_ROW_S)
    assert float(np.median(busy.latencies_s)) <= WINDOW_S + longest_call_s + 2 * BACK_S


def test_long_files_share_what_is_left() -> None:
    """Ten equal files get equal numbers of windows, and clips do not stop them."""
    done = simulated(10, hours=0.5).windows_done
    files = [done[f"file{n}"] for n in range(10)]
    assert min(files) > 100
    assert max(files) - min(files) <= 6
