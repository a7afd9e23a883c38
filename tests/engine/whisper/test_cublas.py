from __future__ import annotations

from pathlib import Path

from app.engine.whisper.cublas import preload


class Loader:
    """Opens what it was told exists, and remembers what was asked for."""

    def __init__(self, *there: str) -> None:
        self.there = there
        self.asked: list[str] = []

    def __call__(self, name: str) -> None:
        """As ctypes.CDLL."""
        self.asked.append(name)
        if name not in self.there:
            raise OSError(f"{name}: cannot open shared object file")


def test_the_wheel_comes_first(tmp_path: Path) -> None:
    """What cuBLAS is linked with is opened before it, by path; the system is not asked."""
    folder = tmp_path / "nvidia" / "cublas" / "lib"
    wanted = [str(folder / "libcublasLt.so.12"), str(folder / "libcublas.so.12")]
    load = Loader(*wanted)
    assert preload(tmp_path, load)
    assert load.asked == wanted


def test_the_system_has_it_too(tmp_path: Path) -> None:
    """Without the wheel, the name alone is enough where the loader knows it."""
    assert preload(tmp_path, Loader("libcublas.so.12"))


def test_it_is_known_to_be_missing(tmp_path: Path) -> None:
    """Neither in a wheel nor on the system."""
    assert not preload(tmp_path, Loader())
