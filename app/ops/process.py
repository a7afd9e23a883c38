"""End this process at once, with an exit code."""

from __future__ import annotations

import logging
import os
import sys


def exit_now(code: int) -> None:
    """Exit without waiting for threads: a native call that never returns must not keep a stopped process alive.

    If the output cannot be written, an exit code of 0 becomes 74 (EX_IOERR).
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or os.EX_IOERR
    os._exit(code)
