from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from app.ops.tuning import AVX512_FLAGS, applied, cpu_flags, tuned

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, sys
from app.ops import tuning
tuning.apply(enabled=sys.argv[1] == "on")
print(os.getpid(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("GLIBC_TUNABLES", "")[:12], sys.argv[1])
"""


def run(switch: str, **environment: str) -> list[str]:
    """Run the tuning in a process of its own; what it printed at its end."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, switch],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
    )
    return done.stdout.split()


def test_the_allocator_keeps_its_memory_and_blas_stays_on_one_core() -> None:
    """Any Linux machine gets the allocator and the thread limits."""
    wanted = tuned({}, frozenset())
    assert {"GLIBC_TUNABLES", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"} == set(wanted)
    assert "arena_max=1" in wanted["GLIBC_TUNABLES"]


def test_avx512_is_asked_for_only_where_int8_gains_from_it() -> None:
    """With VNNI CTranslate2 is told to use AVX-512; without it the choice stays its own."""
    assert tuned({}, AVX512_FLAGS)["CT2_FORCE_CPU_ISA"] == "AVX512"
    assert "CT2_FORCE_CPU_ISA" not in tuned({}, AVX512_FLAGS - {"avx512_vnni"})


def test_what_the_operator_has_set_is_left_alone() -> None:
    """A variable that is already there is never replaced."""
    assert "OMP_NUM_THREADS" not in tuned({"OMP_NUM_THREADS": "7"}, frozenset())


def test_the_process_restarts_itself_once_and_keeps_its_command() -> None:
    """The same program runs again in the tuned environment, with its arguments."""
    _, threads, tunables, switch = run("on")
    assert (threads, tunables, switch) == ("1", "glibc.malloc", "on")


def test_the_switch_turns_it_off() -> None:
    """CPU_TUNING=false leaves the environment as it is."""
    assert run("off")[1:] == ["None", "off"]


def test_it_is_known_whether_tuning_was_applied() -> None:
    """The mark that stops a second restart also tells the doctor."""
    assert applied({"CPU_TUNING_APPLIED": "1"})
    assert not applied({})


def test_flags_are_read_from_the_first_processor(tmp_path: Path) -> None:
    """The flags line is split; a machine without it has none."""
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nflags\t\t: fpu avx2\nprocessor: 1\nflags\t\t: fpu\n", encoding="utf-8")
    assert cpu_flags(info) == {"fpu", "avx2"}
    assert cpu_flags(tmp_path / "none") == frozenset()
