from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from app.core.errors import Cancelled
from app.engine.window_pipeline import decode_in_order
from app.engine.windows import Scanned, SpeechSpan, Window

PATIENCE_S = 20.0


def window(number: int) -> Window:
    """The window of one second that begins at `number`."""
    return Window((SpeechSpan(16_000 * number, 16_000 * (number + 1)),))


FIRST = (window(0), lambda: "first")


def text(found: Window) -> str:
    """What a window is decoded to here."""
    return f"at {found.start_s:g}"


def no_check() -> None:
    """The caller is there."""


def test_results_come_in_the_order_of_the_windows() -> None:
    """Windows that are done early wait for those before them."""
    late = threading.Event()

    def decode(found: Window) -> str:
        if found.start_s == 1:
            assert late.wait(PATIENCE_S)
        if found.start_s == 3:
            late.set()
        return text(found)

    found = list(
        decode_in_order(FIRST, map(window, range(1, 6)), decode, n_at_once=4, check_caller=no_check),
    )
    assert found == [(window(0), "first"), *((window(n), f"at {n}") for n in range(1, 6))]


@pytest.mark.parametrize("n_at_once", [1, 2, 4])
def test_no_more_windows_run_than_allowed(n_at_once: int) -> None:
    """Windows are taken from the search only when there is room for them."""
    taken: list[int] = []

    def rest() -> Iterator[Window]:
        for number in range(1, 10):
            taken.append(number)
            yield window(number)

    results = decode_in_order(FIRST, rest(), text, n_at_once=n_at_once, check_caller=no_check)
    assert next(results) == (window(0), "first")
    assert len(taken) == n_at_once - 1
    assert next(results) == (window(1), "at 1")
    assert len(taken) == n_at_once
    results.close()


def test_a_silence_holds_up_no_result() -> None:
    """Between two blocks of a long search, a window that is done is given out."""
    done = threading.Event()

    def rest() -> Iterator[Window | Scanned]:
        yield window(1)
        yield Scanned(100)
        while not done.is_set():  # the search goes on until the consumer has the window
            yield Scanned(200)
        yield Scanned(300)
        yield window(2)

    found: list[object] = []
    for each in decode_in_order(FIRST, rest(), text, n_at_once=4, check_caller=no_check):
        found.append(each)
        if each == (window(1), "at 1"):
            done.set()
    assert found[:2] == [(window(0), "first"), (window(1), "at 1")]
    assert found[-1] == (window(2), "at 2")
    assert Scanned(300) in found, "with nothing to wait for, the search is progress"


def test_a_caller_who_has_left_ends_the_search() -> None:
    """The caller is asked between blocks; the search is not continued for one who has left."""
    blocks: list[int] = []

    def rest() -> Iterator[Scanned]:
        for number in range(1000):
            blocks.append(number)
            yield Scanned(number)

    def check() -> None:
        if len(blocks) >= 3:
            raise Cancelled

    results = decode_in_order(FIRST, rest(), text, n_at_once=4, check_caller=check)
    with pytest.raises(Cancelled):
        list(results)
    assert len(blocks) == 3


def test_a_window_that_fails_fails_in_its_place() -> None:
    """The results before it are given out first, and windows that have not begun never begin."""
    begun: list[float] = []

    def decode(found: Window) -> str:
        begun.append(found.start_s)
        if found.start_s == 2:
            raise ValueError("a poisonous window")
        return text(found)

    results = decode_in_order(FIRST, map(window, range(1, 100)), decode, n_at_once=3, check_caller=no_check)
    assert [next(results), next(results)] == [(window(0), "first"), (window(1), "at 1")]
    with pytest.raises(ValueError, match="poisonous"):
        next(results)
    assert max(begun) <= 5
