from __future__ import annotations

import os
import stat

from app.cluster.folder import make_folder


def test_the_folder_is_made_and_made_again(tmp_path):
    """With the folders above it, for its user alone (nginx may pass, where it works as another user), every time."""
    path = tmp_path / "tmp" / "cluster"
    for _ in range(2):
        make_folder(path)
        make_folder(path)
        assert stat.S_IMODE(path.stat().st_mode) == (0o711 if os.getuid() == 0 else 0o700)
        path.rmdir()
