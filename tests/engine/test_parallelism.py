from __future__ import annotations

import pytest

from app.engine.parallelism import CPU_BATCH, CPU_LONG_ROWS, GPU_BATCH, TABLE, Parallelism, choose


@pytest.mark.parametrize(
    ("n_cores", "replicas", "threads"),
    [
        (1, 1, 1),
        (2, 2, 1),
        (3, 2, 1),
        (4, 2, 2),
        (6, 3, 2),
        (8, 4, 2),
        (12, 3, 4),
        (16, 4, 4),
        (63, 8, 4),
        (500, 16, 4),
    ],
)
def test_the_table_spreads_the_cores(n_cores: int, replicas: int, threads: int) -> None:
    """Each machine gets the row of the largest number of cores that it has."""
    chosen = choose(device="cpu", n_cores=n_cores)
    assert (chosen.replicas, chosen.threads) == (replicas, threads)


def test_no_row_asks_for_more_cores_than_there_are() -> None:
    """Replicas times threads never exceed the cores, and the rows are ascending from one core."""
    assert all(replicas * threads <= n_cores for n_cores, replicas, threads in TABLE)
    assert [row[0] for row in TABLE] == sorted({row[0] for row in TABLE})
    assert TABLE[0][0] == 1


def test_what_was_asked_for_is_taken_as_it_is() -> None:
    """Replicas and threads that are both named are not second-guessed."""
    chosen = choose(device="cpu", n_cores=2, replicas=5, threads=3, max_batch=2)
    assert chosen == Parallelism(
        replicas=5,
        threads=3,
        max_batch=2,
        long_batch=2,
        encode_batch=1,
        windows_per_file=chosen.windows_per_file,
        feature_threads=2,
    )


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_features_are_computed_on_as_many_threads_as_there_are_cores(device: str) -> None:
    """Windows wait for their turn: more threads than cores would only slow the model down."""
    assert choose(device=device, n_cores=6, replicas=1, threads=1).feature_threads == 6


def test_one_number_given_decides_the_other() -> None:
    """Named replicas share the cores; named threads are given to as many replicas as fit; at least one each."""
    assert choose(device="cpu", n_cores=8, replicas=2).threads == 4
    assert choose(device="cpu", n_cores=8, threads=8).replicas == 1
    assert choose(device="cpu", n_cores=2, replicas=9).threads == 1
    assert choose(device="cpu", n_cores=2, threads=9).replicas == 1


def test_a_cpu_keeps_calls_of_files_small() -> None:
    """What a clip may have to wait for is a call of few rows; encoder rows gain nothing on a CPU."""
    chosen = choose(device="cpu", n_cores=2)
    assert (chosen.max_batch, chosen.long_batch, chosen.encode_batch) == (CPU_BATCH, CPU_LONG_ROWS, 1)


def test_a_gpu_gets_one_replica_and_wide_calls() -> None:
    """On CUDA rows are nearly free, for every kind of request and for the encoder, on any number of cores."""
    for n_cores in (1, 64):
        chosen = choose(device="cuda", n_cores=n_cores)
        assert chosen.replicas == 1
        assert chosen.max_batch == chosen.long_batch == chosen.encode_batch == GPU_BATCH
