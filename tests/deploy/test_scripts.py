from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path for folder in ("deploy", "tests") for path in (ROOT / folder).rglob("*.sh"))
UNITS = sorted((ROOT / "deploy" / "systemd").iterdir())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script):
    """The shell linter, all rules; and the script may be run."""
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "shellcheck is missing: run `make packages`"
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def test_programs_that_are_there_are_not_installed():
    """Nothing is said, and nothing is asked for, if nothing is missing."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "install_packages.sh"), "curl", "nginx", "shellcheck"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_program_is_a_mistake():
    """The list must say which package brings it."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "install_packages.sh"), "frobnicate"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "frobnicate" in done.stderr


def test_a_missing_program_without_root_is_one_clear_line(tmp_path):
    """Where apt is, but neither root nor sudo: the command to run is named, nothing is tried."""
    for name in ("sh", "awk", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or "")
    for name, text in (("id", "echo 1000"), ("apt-get", "echo must not run; exit 9")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    script = (ROOT / "deploy" / "install_packages.sh").read_text().replace(":/usr/sbin:/sbin", "")
    (tmp_path / "install_packages.sh").write_text(script)
    shutil.copy(ROOT / "deploy" / "debian-packages.txt", tmp_path)
    done = subprocess.run(
        [str(tmp_path / "sh"), str(tmp_path / "install_packages.sh"), "shellcheck"],
        env={"PATH": str(tmp_path)}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "error: install shellcheck as root: apt-get install shellcheck\n"


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_bounded(unit):
    """Every service has its own user, a read-only system, no new privileges, a restart and a bounded stop."""
    text = unit.read_text()
    if unit.suffix != ".service":
        return
    for wanted in (
        "User=transcription", "ProtectSystem=strict", "NoNewPrivileges=yes", "PrivateTmp=yes",
        "Restart=", "TimeoutStopSec=", "ExecStart=", "[Install]",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_units_are_understood_by_systemd():
    """`systemd-analyze verify` accepts them."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "transcription" in line and "not executable" not in line]
    assert complaints == []
