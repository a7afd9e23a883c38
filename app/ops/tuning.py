"""The environment a CPU worker runs best in, set once at start by re-executing the process.

glibc gives large blocks back to the system after every model call and faults them in again: a third
of an encoder call was spent there. One arena that keeps its memory, in huge pages, cures it without
any package. CTranslate2 chooses AVX2 on AVX-512 machines of vendors other than Intel. NumPy's BLAS
and OpenMP default to all cores for the small products around the model, where one is faster.
Such things are read when a process starts, hence the re-execution. Numbers: docs/performance.md.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

MARK = "CPU_TUNING_APPLIED"
MALLOC = (
    "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:"
    "glibc.malloc.trim_threshold=2147483648:glibc.malloc.top_pad=67108864"
)
# Where VNNI is missing, AVX-512 lowers the clock for little gain in INT8.
AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"})


def tuned(environment: Mapping[str, str], cpu_flags: frozenset[str]) -> dict[str, str]:
    """What to add to the environment; never overrides what the operator has set. Pure."""
    wanted = {"GLIBC_TUNABLES": MALLOC, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    if cpu_flags >= AVX512_FLAGS:
        wanted["CT2_FORCE_CPU_ISA"] = "AVX512"
    return {name: value for name, value in wanted.items() if name not in environment}


def apply(*, enabled: bool) -> None:
    """Re-execute this process in the tuned environment, at most once.

    Does not return if it does: the same command starts again, with the same process id.
    """
    if not enabled or sys.platform != "linux" or MARK in os.environ:
        return
    os.environ.update(tuned(os.environ, cpu_flags()), **{MARK: "1"})
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command, no shell


def applied(environment: Mapping[str, str]) -> bool:
    """Whether this process runs in a tuned environment."""
    return MARK in environment


def cpu_flags(path: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor can do, as Linux names it; empty where that cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), ()))
