from __future__ import annotations

import os
import stat

import pytest

from app.cluster.folder import clear_folder, locked, make_folder
from app.core.errors import StartupError


def test_the_folder_is_made_and_made_again(tmp_path):
    """With the folders above it, for its user alone (nginx may pass, where it works as another user), every time."""
    path = tmp_path / "tmp" / "cluster"
    for _ in range(2):
        make_folder(path)
        make_folder(path)
        assert stat.S_IMODE(path.stat().st_mode) == (0o711 if os.getuid() == 0 else 0o700)
        path.rmdir()


def test_there_is_one_cluster_per_folder(tmp_path):
    """The second is refused while the first lives, whether or not anybody answers; nothing is left afterwards."""
    with locked(tmp_path / "cluster"):
        with pytest.raises(StartupError, match="already runs"), locked(tmp_path / "cluster"):
            pass
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path / "cluster"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_a_killed_cluster_left_is_taken_over(tmp_path):
    """The file alone keeps nobody out."""
    (tmp_path / "cluster.lock").touch()
    with locked(tmp_path / "cluster"):
        pass


def test_a_lock_that_cannot_be_used_is_one_line(tmp_path):
    """Somebody's link in a folder that all may write to is not followed."""
    (tmp_path / "cluster.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartupError, match=r"cluster\.lock cannot be used"), locked(tmp_path / "cluster"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_killed_cluster_left_is_cleared(tmp_path):
    """The next one begins with an empty folder, and never with somebody else's."""
    (tmp_path / "cluster" / "worker-1").mkdir(parents=True)
    clear_folder(tmp_path / "cluster")
    assert list((tmp_path / "cluster").iterdir()) == []
    (tmp_path / "link").symlink_to(tmp_path / "cluster")
    with pytest.raises(StartupError, match="another user"):
        clear_folder(tmp_path / "link")
