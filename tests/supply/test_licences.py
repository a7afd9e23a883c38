from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import av
import pytest
from packaging.markers import Marker

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/licences.md").read_text()
LOCKS = [
    "requirements.txt",
    "deploy/requirements-cuda.txt",
    "requirements-otel.txt",
    "requirements-openvino.txt",
    "requirements-model.txt",
]
IN_AN_IMAGE = {"sys_platform": "linux", "python_full_version": "3.11.13", "python_version": "3.11"}
# Heading in the page -> what the metadata of its packages say, among other things.
SAYS = {
    "MIT": "MIT",
    "Apache 2.0, or a choice with it": "Apache",
    "BSD": "BSD",
    "MPL 2.0 (tqdm: with MIT)": "MPL",
    "LGPL 3": "LGPL",
}


def table() -> dict[str, set[str]]:
    """Return the packages of the page by licence."""
    section = PAGE.partition("## Python packages")[2].partition("Wheels bundle")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {licence: set(names.split(", ")) for licence, names in rows if licence not in {"licence", "---"}}


def licence_of(name: str) -> str:
    """Return what an installed package says about its licence."""
    found = metadata.metadata(name)
    classifiers = [text for text in found.get_all("Classifier", []) if text.startswith("License")]
    # Some put the whole text into the field.
    fields = [text[:40] for field in ("License-Expression", "License") for text in found.get_all(field, [])]
    return " ".join([*fields, *classifiers])


def test_reuse_finds_a_licence_for_every_file():
    """Each file of the repository has a copyright and a licence, and the text of each licence is there."""
    done = subprocess.run(
        [Path(sys.executable).with_name("reuse"), "lint"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_licence_has_one_text():
    """The file that people look for and the one that `reuse` looks for are equal."""
    assert (ROOT / "LICENSE").read_text() == (ROOT / "LICENSES/MIT.txt").read_text()


def test_every_package_of_an_image_is_in_the_page():
    """Once, and no other: what the lock files install on Linux with the Python of the images."""
    locked = set()
    for name in LOCKS:
        text = (ROOT / name).read_text()
        for package, marker in re.findall(r"^([\w.-]+)==\S+ (?:; (.+?) )?(?:\\$|--hash)", text, re.MULTILINE):
            if not marker or Marker(marker).evaluate(IN_AN_IMAGE):
                locked.add(package)
    listed = [package for packages in table().values() for package in packages]
    assert set(listed) == locked
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize("licence", SAYS)
def test_packages_say_what_the_page_says(licence):
    """The metadata of each package that is installed here name the licence under which the page lists it."""
    for package in table()[licence]:
        try:
            said = licence_of(package)
        except metadata.PackageNotFoundError:
            continue  # OpenVINO lies in a folder of its own
        assert SAYS[licence] in said, package


def test_the_page_tells_of_gpl_code_as_long_as_there_is_some():
    """The wheel of PyAV bundles libx264 and libx265: a wheel without them makes a part of the page wrong."""
    bundled = {path.name.partition("-")[0] for path in Path(av.__file__).parents[1].glob("av.libs/*")}
    assert {"libx264", "libx265"} <= bundled
    assert f"({av.__version__})" in PAGE


def test_ffmpeg_is_built_without_gpl_code():
    """The script turns no such part on, takes no library but zlib, and stops if FFmpeg reports another licence."""
    script = (ROOT / "deploy/build_av_without_gpl.sh").read_text()
    configure = script.partition("\n./configure ")[2].partition("\n\n")[0]
    assert set(re.findall(r"--enable-([\w-]+)", configure)) == {"shared", "zlib", "filter"}
    assert "--disable-autodetect" in configure
    assert """grep -q 'define FFMPEG_LICENSE "LGPL version 2.1 or later"' config.h""" in configure
    assert re.search(r"^sha256=[0-9a-f]{64}$", script, re.MULTILINE)


def test_ffmpeg_has_the_filters_that_the_decoder_uses():
    """Each filter of the decoder's graph is one that the script turns on."""
    script = (ROOT / "deploy/build_av_without_gpl.sh").read_text()
    enabled = re.search(r"--enable-filter=(\S+)", script)
    assert enabled is not None
    used = set(re.findall(r'graph\.add(?:_\w+)?\(\s*"(\w+)"', (ROOT / "app/audio/ffmpeg.py").read_text()))
    assert {"aresample", "aformat", "pan"} <= used <= set(enabled[1].split(","))


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cpu"])
def test_both_images_offer_the_build_without_gpl_code(name):
    """WITHOUT_GPL_CODECS replaces the wheel in the environment that the image copies; by default it is empty."""
    text = (ROOT / name).read_text()
    assert 'ARG WITHOUT_GPL_CODECS=""' in text
    assert "sh /build/build_av_without_gpl.sh /opt/venv /build/requirements.txt; fi" in text
    assert (
        f"--build-arg WITHOUT_GPL_CODECS=1 -t speech-to-text:{'cpu' if name.endswith('cpu') else 'cuda'}-lgpl" in text
    )
