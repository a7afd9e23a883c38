"""The environment in which a CPU worker runs fastest, set once at start by re-executing the process.

- glibc returns large blocks to the system after every model call and page-faults them in again, which took a third of
  the time of an encoder call. One arena that keeps its memory, in huge pages, avoids that without another allocator.
- CTranslate2 uses AVX2 on AVX-512 machines of vendors other than Intel.
- NumPy's BLAS and OpenMP use every core for the small products around the model, where one is faster.

All of these are read when a process starts, hence the re-execution. Memory that is kept between calls is returned
by `release_memory` when there is nothing to do. Numbers: docs/performance.md.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Mapping
from pathlib import Path

MARK = "CPU_TUNING_APPLIED"
MALLOC = (
    "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:"
    "glibc.malloc.trim_threshold=2147483648:glibc.malloc.top_pad=67108864"
)
# Without VNNI, AVX-512 lowers the clock for little gain in INT8.
AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})


def tuned(environment: Mapping[str, str], cpu_flags: frozenset[str]) -> dict[str, str]:
    """Return the variables to add to the environment; one that is set already is never replaced. Pure."""
    wanted = {"GLIBC_TUNABLES": MALLOC, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if cpu_flags >= AVX512_FLAGS:
        wanted["CT2_FORCE_CPU_ISA"] = "AVX512"
    return {name: value for name, value in wanted.items() if name not in environment}


def apply(*, enabled: bool) -> None:
    """Re-execute this process in the tuned environment, unless that has been done or is not enabled.

    Returns only if it does not re-execute. Otherwise the same command starts again, with the same process id.
    """
    if not enabled or sys.platform != "linux" or MARK in os.environ:
        return
    os.environ.update(tuned(os.environ, cpu_flags()), **{MARK: "1"})
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - the same command, no shell


def applied(environment: Mapping[str, str]) -> bool:
    """Return whether a process with this environment has been tuned."""
    return MARK in environment


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the CPU flags that Linux lists; empty if they cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), ()))


def release_memory() -> None:
    """Return the allocator's free memory to the system; the next model call takes tens of milliseconds to get it back.

    Does nothing where the C library is not glibc.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
