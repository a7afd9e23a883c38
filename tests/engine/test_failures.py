from __future__ import annotations

import logging
import threading
from collections.abc import Hashable, Sequence

import pytest

from app.core.errors import Overloaded
from app.engine.batching.batcher import Batcher
from app.engine.failures import SMALL_FOR_S, FailureWatch, OutOfMemory, is_out_of_memory, is_sticky
from tests.fakes import FakeClock

OOM = "CUDA failed with error out of memory"
LOST = "CUDA failed with error an illegal memory access was encountered"


class SmallDevice:
    """Calls of more than `fits` rows raise CTranslate2's out-of-memory error."""

    def __init__(self, fits: int) -> None:
        self.fits = fits
        self.tried: list[int] = []

    def __call__(self, key: Hashable, rows: Sequence[int]) -> list[int]:
        """One call."""
        self.tried.append(len(rows))
        if len(rows) > self.fits:
            raise RuntimeError(OOM)
        return [-row for row in rows]


@pytest.mark.parametrize(
    ("error", "memory", "sticky"),
    [
        (RuntimeError(OOM), True, False),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), True, False),
        (RuntimeError(LOST), False, True),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED"), False, True),
        (RuntimeError("CUDA error: unspecified launch failure"), False, True),
        (RuntimeError("the prompt has no start token"), False, False),
        (ValueError(LOST), False, False),
    ],
)
def test_errors_are_sorted(error: Exception, *, memory: bool, sticky: bool) -> None:
    """Out of memory is temporary, other CUDA errors are final, and any other error belongs to its row."""
    assert (is_out_of_memory(error), is_sticky(error)) == (memory, sticky)


def served(device: SmallDevice, watch: FailureWatch, n_rows: int) -> list[int]:
    """Serve rows through a batcher as the engine does; the first row alone, so that the rest form a batch."""
    entered, may_go = threading.Event(), threading.Event()
    guarded = watch.guarded(device)

    def run(key: Hashable, rows: Sequence[int]) -> Sequence[int]:
        if key == "gate":
            entered.set()
            assert may_go.wait(20)
            return rows
        return guarded(key, rows)

    batcher: Batcher[int, int] = Batcher(run, is_fatal=watch.is_fatal, on_error=watch.failed)
    batcher.submit(0, key="gate", owner="gate")
    assert entered.wait(20)
    futures = [batcher.submit(row, key="k", owner=row, max_rows=64) for row in range(n_rows)]
    may_go.set()
    answers = [future.result(timeout=20) for future in futures]
    batcher.close(20)
    return answers


def test_out_of_memory_halves_stays_small_and_recovers() -> None:
    """Every row is answered; calls stay small for a minute without trying large ones; then they grow again."""
    device, clock = SmallDevice(fits=3), FakeClock()
    watch = FailureWatch(clock=clock)
    assert served(device, watch, 8) == [-row for row in range(8)]
    assert device.tried == [8, 4, 2, 2, 2, 2], "after four rows did not fit, four more are not tried"
    device.tried.clear()
    clock.advance(SMALL_FOR_S - 1)
    served(device, watch, 8)
    assert max(device.tried) == 2
    device.tried.clear()
    device.fits = 100
    clock.advance(1)
    served(device, watch, 8)
    assert device.tried == [8]
    assert watch.critical is None


def test_one_row_that_does_not_fit_is_told_to_come_back() -> None:
    """A single row without memory is an overload: the client may retry, the process goes on."""
    watch = FailureWatch(clock=FakeClock())
    run = watch.guarded(SmallDevice(fits=0))
    for _ in range(2):  # also while calls are kept small
        with pytest.raises(Overloaded) as caught:
            run("k", [1])
        assert caught.value.retry_after_s > 0
    assert watch.critical is None


def test_a_larger_failure_never_raises_what_fits() -> None:
    """After two rows failed, a later report that eight failed changes nothing."""
    device = SmallDevice(fits=1)
    watch = FailureWatch(clock=FakeClock())
    for n_rows in (2, 8):
        with pytest.raises(OutOfMemory):
            watch.guarded(device)("k", list(range(n_rows)))
    assert device.tried == [2]


def test_calls_that_were_not_tried_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The failure itself is logged once, not every full batch of the next minute."""
    watch = FailureWatch(clock=FakeClock())
    run = watch.guarded(SmallDevice(fits=4))
    with caplog.at_level(logging.WARNING, logger="app.engine"):
        for _ in range(5):
            with pytest.raises(OutOfMemory) as caught:
                run("k", list(range(8)))
            watch.failed(caught.value, 8)
    assert len(caplog.records) == 1


def test_other_errors_pass_through_unchanged() -> None:
    """An error of one row keeps its type and does not make the process critical."""
    told: list[str] = []
    watch = FailureWatch(on_critical=told.append, clock=FakeClock())
    error = ValueError("bad prompt")

    def bad(_key: Hashable, _rows: Sequence[int]) -> list[int]:
        raise error

    with pytest.raises(ValueError, match="bad prompt") as caught:
        watch.guarded(bad)("k", [1, 2])
    assert caught.value is error
    watch.failed(error, 2)
    assert (told, watch.critical) == ([], None)


def test_a_lost_device_alarms_exactly_once_and_is_not_tried_again() -> None:
    """The batch fails at once, whole; later failures and the watchdog add nothing."""
    told, tried = list[str](), list[int]()
    watch = FailureWatch(stall_limit_s=10.0, on_critical=told.append, clock=FakeClock())

    def lost(_key: Hashable, rows: Sequence[int]) -> list[int]:
        tried.append(len(rows))
        raise RuntimeError(LOST)

    batcher: Batcher[int, int] = Batcher(watch.guarded(lost), is_fatal=watch.is_fatal, on_error=watch.failed)
    for row in range(3):
        assert isinstance(batcher.submit(row, key="k", owner=row).exception(timeout=20), RuntimeError)
    watch.check(999.0)
    assert tried == [1, 1, 1]
    assert len(told) == 1
    assert told[0] == watch.critical
    assert LOST not in told[0], "the cause is logged; the reason goes to /health"
    batcher.close(20)


def test_a_call_that_does_not_come_back_is_an_alarm() -> None:
    """Over the limit, not at it; reported once, with the setting that holds the limit."""
    told: list[str] = []
    watch = FailureWatch(stall_limit_s=300.0, on_critical=told.append)
    watch.check(0.0)
    watch.check(300.0)
    assert (watch.critical, told) == (None, [])
    watch.check(301.0)
    watch.check(302.0)
    assert len(told) == 1
    assert "STALL_LIMIT_S=300" in told[0]
    assert watch.critical == told[0]


def test_without_a_limit_nothing_is_watched() -> None:
    """STALL_LIMIT_S=0 reports nothing and starts no thread."""
    watch = FailureWatch(stall_limit_s=0.0)
    watch.check(1e9)
    watch.observe(lambda: 1e9, every_s=0.001)
    assert watch.critical is None


def test_the_watchdog_looks_by_itself() -> None:
    """The thread reads the age of the running call, reports it, and ends."""
    alarmed = threading.Event()
    watch = FailureWatch(stall_limit_s=5.0, on_critical=lambda _: alarmed.set())
    away_s = iter([0.0, 4.0, 6.0])
    watch.observe(lambda: next(away_s), every_s=0.001)
    assert alarmed.wait(20)
    assert watch.critical is not None


def test_who_asks_late_is_told_at_once() -> None:
    """A failure before the listener was set is reported to it, and only once."""
    watch = FailureWatch(stall_limit_s=1.0)
    watch.check(2.0)
    told: list[str] = []
    watch.on_critical(told.append)
    watch.check(3.0)
    assert told == [watch.critical]


def test_each_failure_is_reported_by_its_kind() -> None:
    """Out of memory for each call that was tried, a lost device for each call, a hang once, a bad row not at all."""
    told, watch = list[str](), FailureWatch(stall_limit_s=5.0, clock=FakeClock())
    watch.on_error(told.append)
    run = watch.guarded(SmallDevice(fits=0))
    for n_rows in (2, 2, 1):  # the second is not tried
        with pytest.raises((OutOfMemory, Overloaded)) as caught:
            run("k", list(range(n_rows)))
        watch.failed(caught.value, n_rows)
    assert told == ["oom", "oom"]
    watch.failed(ValueError("bad prompt"), 1)
    watch.check(6.0)
    watch.check(7.0)
    watch.failed(RuntimeError(LOST), 1)
    assert told == ["oom", "oom", "stall", "cuda"]
