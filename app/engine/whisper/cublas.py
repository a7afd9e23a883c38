"""Load cuBLAS before CTranslate2 asks for it.

CTranslate2 opens cuBLAS by its name at the first call on a GPU. The loader does not look into Python packages, but
takes a library that is loaded already: so the wheel of `deploy/requirements-cuda.txt` works without LD_LIBRARY_PATH.
"""

from __future__ import annotations

import ctypes
import sysconfig
from collections.abc import Callable
from pathlib import Path

NAME = "libcublas.so.12"
# The first is what the second is linked with.
PARTS = ("libcublasLt.so.12", NAME)
REMEDY = "pip install -r deploy/requirements-cuda.txt"


def _open(name: str) -> object:
    return ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)


def preload(packages: Path | None = None, load: Callable[[str], object] = _open) -> bool:
    """Load it from the wheel, else from the system; return whether it is there now.

    Args:
        packages: where Python packages are installed; None = this environment's.
        load: opens one library by path or name and raises OSError if it cannot.
    """
    folder = (packages or Path(sysconfig.get_path("purelib"))) / "nvidia" / "cublas" / "lib"
    for names in ([str(folder / part) for part in PARTS], [NAME]):
        try:
            for name in names:
                load(name)
        except OSError:
            continue
        return True
    return False
