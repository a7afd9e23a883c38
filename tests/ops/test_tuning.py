from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.ops.tuning import AVX512_FLAGS, MALLOC, applied, cpu_flags, tuned

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
from app.ops import tuning
tuning.apply(enabled=sys.argv[1] == "on")
print(os.getpid(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("GLIBC_TUNABLES", "")[:12], sys.argv[1])
"""


def run(switch: str, **environment: str) -> list[str]:
    """Run the tuning in another process; return the words it printed."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, switch],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
    )
    return done.stdout.split()


def test_the_allocator_keeps_its_memory_and_blas_uses_one_core() -> None:
    """Any Linux machine gets the allocator and the thread limits."""
    wanted = tuned({}, frozenset())
    assert {"GLIBC_TUNABLES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} == set(wanted)
    assert "arena_max=1" in wanted["GLIBC_TUNABLES"]


def test_avx512_is_used_only_with_vnni() -> None:
    """With VNNI CTranslate2 is set to AVX-512; without it CTranslate2 chooses."""
    assert tuned({}, AVX512_FLAGS)["CT2_FORCE_CPU_ISA"] == "AVX512"
    assert "CT2_FORCE_CPU_ISA" not in tuned({}, AVX512_FLAGS - {"avx512_vnni"})


def test_variables_of_the_operator_are_kept() -> None:
    """A variable that is set already is never replaced."""
    assert "OMP_NUM_THREADS" not in tuned({"OMP_NUM_THREADS": "7"}, frozenset())


def test_the_process_re_executes_itself_once() -> None:
    """The same command runs again in the tuned environment."""
    _, threads, tunables, switch = run("on")
    assert (threads, tunables, switch) == ("1", "glibc.malloc", "on")


def test_tuning_can_be_turned_off() -> None:
    """CPU_TUNING=false leaves the environment as it is."""
    assert run("off")[1:] == ["None", "off"]


def test_a_tuned_process_can_be_recognised() -> None:
    """By the variable that prevents a second re-execution."""
    assert applied({"CPU_TUNING_APPLIED": "1"})
    assert not applied({})


def test_free_memory_returns_to_the_system() -> None:
    """What was freed in the middle of the heap is no longer resident afterwards, although the top of it is in use."""
    program = """
import sys
from pathlib import Path
from app.ops.tuning import release_memory
pages = lambda: int(Path("/proc/self/statm").read_text().split()[1])
blocks = [bytes(65536) for _ in range(1000)]
for block in range(999): blocks[block] = None
before = pages()
release_memory()
print(before - pages())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "GLIBC_TUNABLES": MALLOC},
    )
    assert int(done.stdout) > 10_000


def test_flags_are_read_from_the_first_processor(tmp_path: Path) -> None:
    """The line of flags is split; without such a line there are none."""
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx2\nprocessor: 1\nflags\t\t: fpu\n", encoding="utf-8")
    assert cpu_flags(info) == {"fpu", "avx2"}
    assert cpu_flags(tmp_path / "none") == frozenset()
