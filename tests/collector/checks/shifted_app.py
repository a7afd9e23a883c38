"""`python shifted_app.py <seconds> <arguments of python -m app>`: run the program with a clock that is wrong."""

from __future__ import annotations

import runpy
import sys
import time
from pathlib import Path

shift_s = float(sys.argv[1])
real_time, real_time_ns = time.time, time.time_ns
time.time = lambda: real_time() + shift_s
time.time_ns = lambda: real_time_ns() + int(shift_s * 1e9)
sys.argv = ["app", *sys.argv[2:]]
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
runpy.run_module("app", run_name="__main__")
