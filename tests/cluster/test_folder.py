from __future__ import annotations

import os
import stat

import pytest

from app.cluster.folder import clear_folder, locked, make_folder
from app.core.errors import StartupError


def test_the_folder_is_created_every_time(tmp_path):
    """With its parents, for its user alone; as root, nginx's user may enter it, too."""
    path = tmp_path / "tmp" / "cluster"
    for _ in range(2):
        make_folder(path)
        make_folder(path)
        assert stat.S_IMODE(path.stat().st_mode) == (0o711 if os.getuid() == 0 else 0o700)
        path.rmdir()


def test_there_is_one_cluster_per_folder(tmp_path):
    """A second lock is refused while the first is held; no file is left afterwards."""
    with locked(tmp_path / "cluster"):
        with pytest.raises(StartupError, match="already runs"), locked(tmp_path / "cluster"):
            pass
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path / "cluster"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_lock_file_of_a_killed_cluster_is_reused(tmp_path):
    """The file without a lock does not prevent a start."""
    (tmp_path / "cluster.lock").touch()
    with locked(tmp_path / "cluster"):
        pass


def test_a_lock_file_that_is_a_link_is_refused(tmp_path):
    """Another user's link in a world-writable folder is not followed."""
    (tmp_path / "cluster.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartupError, match=r"cluster\.lock cannot be used"), locked(tmp_path / "cluster"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_folder_of_a_killed_cluster_is_cleared(tmp_path):
    """The next one starts with an empty folder; a link is never followed."""
    (tmp_path / "cluster" / "worker-1").mkdir(parents=True)
    clear_folder(tmp_path / "cluster")
    assert list((tmp_path / "cluster").iterdir()) == []
    (tmp_path / "link").symlink_to(tmp_path / "cluster")
    with pytest.raises(StartupError, match="another user"):
        clear_folder(tmp_path / "link")
