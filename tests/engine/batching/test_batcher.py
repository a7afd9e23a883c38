from __future__ import annotations

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest

from app.core.errors import Cancelled, ShuttingDown
from app.engine.batching.batcher import BatchDetails, Batcher
from app.engine.batching.lanes import LIVE, LONG, SHORT
from app.engine.batching.queue import JobCall
from tests.fakes import FakeClock

# Only how long a broken batcher may hang before its test fails.
PATIENCE_S = 20.0


class HeldModel:
    """A model that answers in upper case; every call waits for the test, and rows with `poison` fail."""

    def __init__(self, *, held: bool = True) -> None:
        self.entered = threading.Semaphore(0)
        self.may_go = threading.Semaphore(0)
        self.calls: list[tuple[Hashable, list[str]]] = []
        self._held = held

    def __call__(self, key: Hashable, rows: Sequence[str]) -> list[str]:
        """The batcher's seam."""
        self.calls.append((key, list(rows)))
        self.entered.release()
        if self._held:
            assert self.may_go.acquire(timeout=PATIENCE_S)
        if any("poison" in row for row in rows):
            raise ValueError("a poisonous row")
        return [row.upper() for row in rows]

    @property
    def rows(self) -> list[list[str]]:
        """The rows of each call."""
        return [rows for _, rows in self.calls]

    def wait_until_called(self) -> None:
        """Wait until the next call has begun."""
        assert self.entered.acquire(timeout=PATIENCE_S)

    def let_go(self, n_calls: int = 1000) -> None:
        """Let calls finish, by default all that ever come."""
        self.may_go.release(n_calls)


@pytest.fixture
def model() -> HeldModel:
    """A model whose calls wait."""
    return HeldModel()


@pytest.fixture
def batcher(model: HeldModel) -> Iterator[Batcher[str, str]]:
    """One thread over the held model, on a clock that stands still."""
    made: Batcher[str, str] = Batcher(model, clock=FakeClock())
    yield made
    model.let_go()
    made.close(PATIENCE_S)


def put(
    batcher: Batcher[str, str],
    row: str,
    *,
    owner: Hashable = None,
    key: Hashable = "k",
    lane: int = SHORT,
    max_rows: int = 8,
    cancelled: Callable[[], bool] = lambda: False,
    ends: bool = True,
) -> Future[str]:
    """Submit a row that is its own owner unless one is named; the request `ends` with it, or will come back."""
    whose = row if owner is None else owner
    future = batcher.submit(row, key=key, owner=whose, lane=lane, max_rows=max_rows, cancelled=cancelled)
    if ends:
        future.add_done_callback(lambda _: batcher.forget(whose))
    return future


def outcome(future: Future[str]) -> str:
    """What a caller gets: the result, or the error's name."""
    error = future.exception(timeout=PATIENCE_S)
    return type(error).__name__ if error is not None else future.result()


def busy(batcher: Batcher[str, str], model: HeldModel) -> Future[str]:
    """Give the model a first call, so that the jobs behind it form a batch."""
    first = put(batcher, "first")
    model.wait_until_called()
    return first


def test_a_lone_job_runs_at_once() -> None:
    """On an idle model one job is one call; no second job and no passing time is needed."""
    told: list[BatchDetails] = []
    alone: Batcher[str, str] = Batcher(HeldModel(held=False), on_batch=told.append, clock=FakeClock())
    assert outcome(put(alone, "a")) == "A"
    alone.close(PATIENCE_S)
    assert [BatchDetails(key="k", rows=1, waited_s=0.0, run_s=0.0)] == told


def test_a_late_listener_is_called_for_the_next_call() -> None:
    """The listener may be set after the model threads have begun."""
    told: list[BatchDetails] = []
    alone: Batcher[str, str] = Batcher(HeldModel(held=False), clock=FakeClock())
    outcome(put(alone, "a"))
    alone.on_batch(told.append)
    outcome(put(alone, "b"))
    alone.close(PATIENCE_S)
    assert [details.rows for details in told] == [1]


def test_the_time_of_every_batch_is_reported_also_of_one_that_fails() -> None:
    """With the number of the model thread that it kept busy."""
    clock, told = FakeClock(), list[tuple[int, float]]()

    def run(_: Hashable, rows: Sequence[str]) -> list[str]:
        clock.advance(2.0)
        if "poison" in rows:
            raise ValueError("a poisonous row")
        return [row.upper() for row in rows]

    alone: Batcher[str, str] = Batcher(run, clock=clock)
    alone.on_busy(lambda number, seconds: told.append((number, seconds)))
    assert [outcome(put(alone, row)) for row in ("a", "poison")] == ["A", "ValueError"]
    alone.close(PATIENCE_S)
    assert told == [(0, 2.0), (0, 2.0)]


def test_what_gathered_while_the_model_was_busy_is_the_next_call(batcher: Batcher[str, str], model: HeldModel) -> None:
    """Three rows that came during a call share the next one, and each gets its own result."""
    futures = [busy(batcher, model), *(put(batcher, row) for row in "abc")]
    assert batcher.queued == 3
    model.let_go()
    assert [outcome(future) for future in futures] == ["FIRST", "A", "B", "C"]
    assert model.rows == [["first"], ["a", "b", "c"]]


def test_a_call_holds_one_key(batcher: Batcher[str, str], model: HeldModel) -> None:
    """The model is never given rows of two keys."""
    futures = [busy(batcher, model), *(put(batcher, row, key=row.isupper()) for row in "aBcD")]
    model.let_go()
    assert [outcome(future) for future in futures] == ["FIRST", "A", "B", "C", "D"]
    assert model.calls[1:] == [(False, ["a", "c"]), (True, ["B", "D"])]


def test_a_departed_callers_job_is_never_run(batcher: Batcher[str, str], model: HeldModel) -> None:
    """The job of a caller who has left is skipped when its turn comes, and the others run."""
    busy(batcher, model)
    futures = [put(batcher, "a"), put(batcher, "gone", cancelled=lambda: True), put(batcher, "b")]
    model.let_go()
    assert [outcome(future) for future in futures] == ["A", "Cancelled", "B"]
    assert model.rows == [["first"], ["a", "b"]]


def test_a_sweep_drops_departed_jobs_while_the_model_is_busy(batcher: Batcher[str, str], model: HeldModel) -> None:
    """After sweep() the departed caller's future is done, though the call before it still runs."""
    gone = threading.Event()
    busy(batcher, model)
    left, stays = put(batcher, "left", cancelled=gone.is_set), put(batcher, "stays")
    batcher.sweep()
    assert not left.done()
    gone.set()
    batcher.sweep()
    assert isinstance(left.exception(timeout=0), Cancelled)
    assert (batcher.queued, stays.done()) == (1, False)


def test_a_future_that_its_caller_cancelled_affects_no_other(batcher: Batcher[str, str], model: HeldModel) -> None:
    """Cancelling the future itself neither ends the thread nor loses the neighbours' results."""
    busy(batcher, model)
    futures = [put(batcher, row) for row in "abc"]
    assert futures[1].cancel()
    model.let_go()
    assert [outcome(futures[0]), outcome(futures[2]), outcome(put(batcher, "d"))] == ["A", "C", "D"]


def test_a_poisonous_row_fails_alone_and_the_loop_lives() -> None:
    """The failed batch is halved until the bad row stands alone; the next batch runs as ever."""
    model, failures = HeldModel(), list[int]()
    halving: Batcher[str, str] = Batcher(model, on_error=lambda _, n_rows: failures.append(n_rows))
    busy(halving, model)
    futures = [put(halving, row) for row in ("a", "b", "poison", "c", "d", "e", "f", "g")]
    model.let_go()
    assert [outcome(future) for future in futures] == ["A", "B", "ValueError", "C", "D", "E", "F", "G"]
    assert failures == [8, 4, 2, 1], "only halves that hold the poison are halved again"
    assert outcome(put(halving, "next")) == "NEXT"
    halving.close(PATIENCE_S)


def test_a_batch_of_poison_fails_row_by_row(batcher: Batcher[str, str], model: HeldModel) -> None:
    """Every poisonous row gets its own error, and the loop lives."""
    busy(batcher, model)
    futures = [put(batcher, f"poison{n}") for n in range(5)]
    model.let_go()
    assert {outcome(future) for future in futures} == {"ValueError"}
    assert outcome(put(batcher, "next")) == "NEXT"


def test_a_model_that_loses_rows_gives_no_row_another_result() -> None:
    """Fewer results than rows: no row gets its neighbour's text."""
    short: Batcher[str, str] = Batcher(lambda _key, rows: [row.upper() for row in rows][1:])
    assert outcome(put(short, "a")) == "RuntimeError"
    short.close(PATIENCE_S)


def test_a_fatal_error_is_not_tried_again() -> None:
    """When no later call can succeed, the rows fail at once instead of being halved."""
    model, failures = HeldModel(), list[int]()
    doomed: Batcher[str, str] = Batcher(
        model, is_fatal=lambda _: True, on_error=lambda _, n_rows: failures.append(n_rows)
    )
    busy(doomed, model)
    futures = [put(doomed, row) for row in ("a", "poison", "b")]
    model.let_go()
    assert [outcome(future) for future in futures] == ["ValueError"] * 3
    assert failures == [3]
    doomed.close(PATIENCE_S)


@pytest.mark.parametrize("listener", ["on_batch", "on_error"])
def test_a_listener_that_fails_changes_no_result(listener: str, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in a metrics or alarm callback is logged; every row has its own result or its own error."""

    def broken(*_: object) -> None:
        raise KeyError("a bug in the listener")

    model = HeldModel()
    listening: Batcher[str, str] = Batcher(model, **{listener: broken})  # type: ignore[arg-type]
    busy(listening, model)
    futures = [put(listening, row) for row in ("a", "poison", "b")]
    with caplog.at_level(logging.ERROR, logger="app.engine"):
        model.let_go()
        assert [outcome(future) for future in futures] == ["A", "ValueError", "B"]
        assert outcome(put(listening, "next")) == "NEXT"
        listening.close(PATIENCE_S)
    assert any(record.exc_info for record in caplog.records)


def test_results_are_delivered_before_the_listener_is_called() -> None:
    """A slow listener holds up no caller."""
    delivered = threading.Event()
    listening: Batcher[str, str] = Batcher(
        HeldModel(held=False), on_batch=lambda _: slow.append(delivered.wait(PATIENCE_S))
    )
    slow: list[bool] = []
    assert outcome(put(listening, "a")) == "A"
    delivered.set()
    listening.close(PATIENCE_S)
    assert slow == [True]


def test_a_quick_request_waits_for_the_running_call_only(batcher: Batcher[str, str], model: HeldModel) -> None:
    """Behind a running call of a file, a clip passes all the file's windows that wait."""
    busy(batcher, model)
    files = [put(batcher, f"file{n}", owner="file", lane=LONG, max_rows=3) for n in range(6)]
    clip = put(batcher, "clip", lane=SHORT)
    live = put(batcher, "live", lane=LIVE, key="other")
    model.let_go()
    wait_for([*files, clip, live], timeout=PATIENCE_S)
    assert model.rows[1:] == [["live"], ["clip"], ["file0", "file1", "file2"], ["file3", "file4", "file5"]]


def test_between_its_encode_and_its_generate_a_clip_keeps_the_model(
    batcher: Batcher[str, str], model: HeldModel
) -> None:
    """A file that waits does not slip in while the clip's thread comes back with its next call."""
    encode = put(batcher, "encode", owner="clip", ends=False)
    model.wait_until_called()
    file = put(batcher, "file", lane=LONG)
    model.let_go()
    assert outcome(encode) == "ENCODE"
    generate = put(batcher, "generate", owner="clip", ends=False)
    assert outcome(generate) == "GENERATE"
    assert not file.done(), "the clock stands still, so the clip is still expected back"
    batcher.forget("clip")
    assert outcome(file) == "FILE"
    assert model.rows == [["encode"], ["generate"], ["file"]]


def test_a_clip_that_does_not_come_back_holds_the_model_for_a_moment_only() -> None:
    """On the real clock a waiting file gets the model by itself, without a notification of the thread."""
    kept: Batcher[str, str] = Batcher(HeldModel(held=False))
    assert outcome(put(kept, "encode", owner="clip", ends=False)) == "ENCODE"
    assert outcome(put(kept, "file", lane=LONG)) == "FILE"
    kept.close(PATIENCE_S)


def test_a_clip_that_is_being_prepared_shares_the_call_of_another(model: HeldModel) -> None:
    """While one thread is busy, the other one waits for the announced clip and decodes both together."""
    clock = FakeClock()
    batcher: Batcher[str, str] = Batcher(model, n_threads=2, clock=clock)
    first = put(batcher, "busy", key="other", lane=SHORT)
    model.wait_until_called()
    batcher.announce("b", SHORT)
    futures = [first, put(batcher, "a", lane=SHORT), put(batcher, "b", lane=SHORT)]
    model.wait_until_called()
    model.let_go()
    assert [outcome(future) for future in futures] == ["BUSY", "A", "B"]
    assert model.rows == [["busy"], ["a", "b"]]
    batcher.close()


def test_replicas_run_side_by_side() -> None:
    """With two threads two calls are in the model at once, and stuck rows of one leave the other free."""
    model = HeldModel()
    two: Batcher[str, str] = Batcher(model, n_threads=2)
    futures = [put(two, "a", key=1), put(two, "b", key=2)]
    model.wait_until_called()
    model.wait_until_called()
    assert sorted(rows[0] for rows in model.rows) == ["a", "b"]
    model.let_go()
    assert [outcome(future) for future in futures] == ["A", "B"]
    two.close(PATIENCE_S)


def test_closing_fails_what_waits_and_finishes_what_runs(model: HeldModel) -> None:
    """The running call keeps its result; waiting and later jobs get ShuttingDown."""
    closing: Batcher[str, str] = Batcher(model)
    running = busy(closing, model)
    waiting = put(closing, "waiting")
    closer = threading.Thread(target=closing.close)
    closer.start()
    error = waiting.exception(timeout=PATIENCE_S)
    assert isinstance(error, ShuttingDown)
    assert error.retry_after_s > 0
    assert not running.done()
    assert outcome(put(closing, "late")) == "ShuttingDown"
    model.let_go()
    assert outcome(running) == "FIRST"
    closer.join(PATIENCE_S)
    assert not closer.is_alive()
    assert not any(thread.is_alive() for thread in closing._threads)


def test_how_long_a_call_has_been_running_is_known() -> None:
    """0 while idle, then the age of the oldest running call, then 0 again."""
    model, clock = HeldModel(), FakeClock(100.0)
    watched: Batcher[str, str] = Batcher(model, n_threads=2, clock=clock)
    assert watched.stuck_for_s() == 0.0
    first = busy(watched, model)
    clock.advance(40.0)
    second = put(watched, "second")
    model.wait_until_called()
    clock.advance(2.0)
    assert watched.stuck_for_s() == 42.0
    model.let_go()
    assert (outcome(first), outcome(second)) == ("FIRST", "SECOND")
    watched.close(PATIENCE_S)
    assert watched.stuck_for_s() == 0.0


def test_each_call_of_a_halved_batch_has_its_own_age() -> None:
    """Seven short calls that share a failing batch are not taken for one call that hangs."""
    model, clock = HeldModel(), FakeClock()
    watched: Batcher[str, str] = Batcher(model, clock=clock)
    busy(watched, model)
    futures = [put(watched, row) for row in ("a", "b", "c", "poison")]
    ages_s = []
    for _ in range(6):  # the first row alone, all four, two, the poison's two, and each of these
        clock.advance(20.0)
        ages_s.append(watched.stuck_for_s())
        model.let_go(1)
        if len(ages_s) < 6:
            model.wait_until_called()
    assert [outcome(future) for future in futures] == ["A", "B", "C", "ValueError"]
    assert ages_s == [20.0] * 6
    watched.close(PATIENCE_S)


def test_the_age_of_the_last_call_is_that_of_a_success() -> None:
    """None before the first success, also after a failure; then the seconds since it."""
    clock = FakeClock()
    watched: Batcher[str, str] = Batcher(HeldModel(held=False), clock=clock)
    assert outcome(put(watched, "poison")) == "ValueError"
    assert watched.last_call_age_s() is None
    assert outcome(put(watched, "a")) == "A"
    clock.advance(3.0)
    assert outcome(put(watched, "poison")) == "ValueError"
    assert watched.last_call_age_s() == 3.0
    watched.close(PATIENCE_S)


def test_a_storm_loses_and_doubles_nothing() -> None:
    """Eight callers, three replicas, four keys, random leaving and poison: each row once, each answered."""
    seen: Counter[str] = Counter()
    lock = threading.Lock()

    def run(key: Hashable, rows: Sequence[str]) -> list[str]:
        assert {row.split("-")[0] for row in rows} == {str(key)}
        if any("poison" in row for row in rows):
            raise ValueError("a poisonous row")
        with lock:
            seen.update(rows)
        return [row.upper() for row in rows]

    storm: Batcher[str, str] = Batcher(run, n_threads=3, mix_lanes=True)

    def call(seed: int) -> list[tuple[str, str]]:
        rng, answers = random.Random(seed), list[tuple[str, str]]()  # noqa: S311 - no secret
        for n in range(100):
            gone, rows = threading.Event(), list[tuple[str, Future[str]]]()
            for part in range(rng.randint(1, 4)):
                row = f"{rng.randrange(4)}-{seed}-{n}-{part}-{'poison' if rng.random() < 0.05 else 'fine'}"
                future = put(storm, row, key=row[0], owner=seed, lane=rng.randrange(4), max_rows=rng.randint(1, 6),
                             cancelled=gone.is_set, ends=rng.random() >= 0.3)  # fmt: skip
                rows.append((row, future))
            if rng.random() < 0.2:
                gone.set()
                storm.sweep()
            answers.extend((row, outcome(future)) for row, future in rows)
            storm.forget(seed)
        return answers

    with ThreadPoolExecutor(8) as callers:
        answers = [answer for some in callers.map(call, range(8)) for answer in some]
    assert storm.queued == 0
    storm.close(PATIENCE_S)
    told = Counter(what if what in ("Cancelled", "ValueError") else "text" for _, what in answers)
    assert told["text"] > 1000
    assert told["Cancelled"] > 10
    assert told["ValueError"] > 10
    assert all(what in ("Cancelled", "ValueError" if "poison" in row else row.upper()) for row, what in answers)
    ran = {row for row, what in answers if what == row.upper()}
    assert set(seen) == ran, "what was run was answered, and what was dropped never ran"
    assert set(seen.values()) == {1}


def test_jobs_learn_of_their_call(model: HeldModel):
    """Before its result arrives, each job is told the call's number, which jobs of one call share, and its times."""
    told: list[JobCall] = []
    batcher: Batcher[str, str] = Batcher(model)
    try:
        first = batcher.submit("a", key="k", owner="x", max_rows=2, on_call=told.append)
        model.wait_until_called()
        second = batcher.submit("b", key="k", owner="y", max_rows=2, on_call=told.append)
        third = batcher.submit("c", key="k", owner="z", max_rows=2, on_call=told.append)
        model.let_go()
        assert [each.result(PATIENCE_S) for each in (first, second, third)] == ["A", "B", "C"]
        assert [(call.number, call.rows) for call in told] == [(1, 1), (2, 2), (2, 2)]
        assert all(call.added_s <= call.started_s <= call.ended_s for call in told)
    finally:
        batcher.close()
