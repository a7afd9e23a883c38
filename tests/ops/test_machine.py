from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.ops.machine import available_bytes, available_cores


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1), ("1000 100000", 1),
     ("1600000 100000", 8), ("nonsense", 8), ("", 8)],
)  # fmt: skip
def test_a_containers_quota_limits_the_cores(tmp_path: Path, quota: str, cores: int) -> None:
    """Eight cores by affinity, fewer if the quota is less, and at least one."""
    file = tmp_path / "cpu.max"
    file.write_text(quota, encoding="ascii")
    assert available_cores(affinity=lambda: 8, quota_file=file) == cores


def test_without_a_quota_the_affinity_applies(tmp_path: Path) -> None:
    """The file does not exist: as many as the scheduler allows, and at least one."""
    assert available_cores(affinity=lambda: 6, quota_file=tmp_path / "none") == 6
    assert available_cores() >= 1


def test_a_containers_limit_applies_to_memory(tmp_path: Path):
    """The limit if there is one, else the machine's memory."""
    file = tmp_path / "memory.max"
    file.write_text("1048576\n", encoding="ascii")
    assert available_bytes(file) == 1_048_576
    file.write_text("max\n", encoding="ascii")
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert available_bytes(file) == available_bytes(tmp_path / "none") == machine
