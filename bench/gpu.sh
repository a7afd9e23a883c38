#!/usr/bin/env bash
# Benchmark the engine on an NVIDIA GPU: bench/gpu.sh [--dry-run].  Uses the project's .venv, or PYTHON.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
if ! "$python" -c 'import ctranslate2, matplotlib' 2>/dev/null; then
    echo "bench/gpu.sh: $python does not have the benchmark's packages; run: make .venv/.installed-bench" >&2
    exit 2
fi
# CTranslate2 needs cuBLAS; if the system has none, install it from PyPI (pip install nvidia-cublas-cu12).
libraries="$("$python" -c 'import pathlib, sysconfig; print(":".join(map(str, pathlib.Path(sysconfig.get_path("purelib"), "nvidia").glob("*/lib"))))')"
export LD_LIBRARY_PATH="${libraries}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "$python" -m bench.gpu "$@"
