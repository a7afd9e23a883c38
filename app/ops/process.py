"""End this process at once, with an exit code."""

from __future__ import annotations

import logging
import os
import sys


def exit_now(code: int) -> None:
    """Exit without waiting for threads: a native call that never returns must not keep a stopped process alive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
