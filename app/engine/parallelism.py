"""Replicas x threads for this machine, from a table. Pure.

All replicas share one set of weights. A replica runs one call at a time on its own threads: replicas
raise throughput, threads make a lone request faster. On two cores, two replicas of one thread gave
2.1 times the throughput of one replica of two threads, at 1.4 times the latency of a lone request;
beyond four threads a single decoding step has too little work to share. On the measured machines each
row is within 15 % of the best throughput and within 1.5 times of the best latency of a lone request:
see docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

# From this many cores on: replicas, threads.
TABLE = ((1, 1, 1), (2, 2, 1), (4, 2, 2), (6, 3, 2), (8, 4, 2), (12, 3, 4), (16, 4, 4), (32, 8, 4), (64, 16, 4))
CPU_BATCH = 8
GPU_BATCH = 16
# Windows of one long file in the engine at once.
CPU_WINDOWS = 4
GPU_WINDOWS = 12
# Rows of a call of long files: a quick request may have to wait for it.
CPU_LONG_ROWS = 3


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How the work is spread over cores.

    Attributes:
        replicas: calls at once.
        threads: CPU threads of each call.
        max_batch: windows of one decoding call.
        long_batch: the same for calls that hold only windows of long or deferred files.
        encode_batch: windows of one encoder call; on a CPU rows of an encoder call gain nothing.
        windows_per_file: windows of one file in the engine at once.
        feature_threads: windows whose features are computed at once.
    """

    replicas: int
    threads: int
    max_batch: int
    long_batch: int
    encode_batch: int
    windows_per_file: int
    feature_threads: int


def choose(*, device: str, n_cores: int, replicas: int = 0, threads: int = 0, max_batch: int = 0) -> Parallelism:
    """Take what was given and choose the rest (0) for the device."""
    if device == "cuda":
        batch = max_batch or GPU_BATCH
        return Parallelism(replicas or 1, threads or 1, batch, batch, batch, GPU_WINDOWS, n_cores)
    table_replicas, table_threads = next(row[1:] for row in reversed(TABLE) if n_cores >= row[0])
    if replicas and not threads:
        table_threads = max(1, n_cores // replicas)
    if threads and not replicas:
        table_replicas = max(1, n_cores // threads)
    batch = max_batch or CPU_BATCH
    return Parallelism(
        replicas or table_replicas, threads or table_threads, batch, min(batch, CPU_LONG_ROWS), 1, CPU_WINDOWS, n_cores
    )
