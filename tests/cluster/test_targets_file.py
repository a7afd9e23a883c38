from __future__ import annotations

import json

from app.cluster.layout import Layout
from app.cluster.reconciler import Member
from app.cluster.targets_file import TargetsFile

MEMBERS = (Member("worker", 1), Member("worker", 2))


def test_the_file_is_replaced_only_when_something_changed(tmp_path):
    """A new file takes the place of the old one, and nothing else is left in the folder."""
    file = TargetsFile(Layout(root=tmp_path, run_dir=tmp_path), print)
    path = tmp_path / "prometheus-targets.json"
    file.update(MEMBERS[:1], None)
    first = path.stat().st_ino
    file.update(MEMBERS[:1], None)
    assert path.stat().st_ino == first
    file.update(MEMBERS[:2], None)
    assert path.stat().st_ino != first
    assert json.loads(path.read_text())[0]["targets"] == ["127.0.0.1:8001", "127.0.0.1:8002"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_is_reported_once(tmp_path):
    """The cluster serves on; the log has one line, not ten a second."""
    lines: list[str] = []
    file = TargetsFile(Layout(root=tmp_path, run_dir=tmp_path / "missing"), lines.append)
    file.update(MEMBERS, None)
    file.update(MEMBERS, None)
    assert len(lines) == 1
    assert "prometheus-targets.json could not be written" in lines[0]
