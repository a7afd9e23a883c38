from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IGNORED = "import signal; print(*(signal.getsignal(n) is signal.SIG_IGN for n in (signal.SIGINT, signal.SIGQUIT)))"


def test_children_start_with_default_signals():
    """A child process ignores neither SIGINT nor SIGQUIT."""
    done = subprocess.run([sys.executable, "-c", IGNORED], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


def test_children_start_with_default_signals_when_the_tests_run_in_the_background():
    """The same in a run of pytest that has inherited both as ignored, as a background job of a script does."""
    test = f"{Path(__file__).relative_to(ROOT)}::{test_children_start_with_default_signals.__name__}"
    job = f'trap "" INT QUIT; exec "{sys.executable}" -m pytest -q {test}'
    done = subprocess.run(
        ["sh", "-c", job], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
