from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from app.cluster import redis_server
from app.cluster.transcripts import Transcripts
from app.core.errors import StartupError


@pytest.fixture
def transcripts(tmp_path: Path) -> Transcripts:
    """Give a data folder that does not exist yet."""
    return Transcripts(tmp_path / "new" / "data", redis_password="p")  # noqa: S106 - no secret


def test_the_folder_is_for_its_user_alone(transcripts):
    """The folder, and the file with the password, whatever the umask is."""
    with redis_server.prepared(transcripts):
        assert stat.S_IMODE(transcripts.data_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE(transcripts.redis_config.stat().st_mode) == 0o600
        assert transcripts.redis_config.read_text() == transcripts.redis_configuration()


def test_what_is_stored_stays(transcripts):
    """A second start writes the configuration again and leaves the rest alone."""
    with redis_server.prepared(transcripts):
        (transcripts.redis_dir / "aof").write_text("entries")
    again = replace(transcripts, redis_password="q")  # noqa: S106 - no secret
    with redis_server.prepared(again):
        assert (transcripts.redis_dir / "aof").read_text() == "entries"
        assert 'requirepass "q"' in transcripts.redis_config.read_text()


def test_two_clusters_do_not_share_a_folder(transcripts):
    """Two servers would write to one file: the second is refused before it changes anything."""
    with redis_server.prepared(transcripts):
        with (
            pytest.raises(StartupError, match=r"another cluster stores its transcripts in .*: choose another --data"),
            redis_server.prepared(replace(transcripts, redis_password="q")),  # noqa: S106 - no secret
        ):
            pass
        assert 'requirepass "p"' in transcripts.redis_config.read_text()


def test_somebody_elses_redis_is_not_configured(transcripts):
    """With a Redis that runs elsewhere only the folder of the database is made."""
    foreign = replace(transcripts, redis_url="redis://elsewhere/0")
    with redis_server.prepared(foreign):
        assert foreign.data_dir.is_dir()
        assert not foreign.redis_dir.exists()


def test_a_folder_that_cannot_be_used_is_named(transcripts):
    """A file is in its place: one line with the path and the remedy."""
    transcripts.data_dir.parent.mkdir()
    transcripts.data_dir.touch()
    with (
        pytest.raises(StartupError, match=f"cannot be stored in {transcripts.data_dir} .*choose another --data folder"),
        redis_server.prepared(transcripts),
    ):
        pass


def test_a_missing_redis_is_one_line_with_the_package(monkeypatch):
    """It names the Debian package, the command that installs it, and the other way."""
    assert redis_server.find().endswith("redis-server")
    monkeypatch.setattr(redis_server, "PROGRAM", "no-such-redis-server")
    with pytest.raises(StartupError, match=r"install the Debian package .*install_packages\.sh .*or set REDIS_URL"):
        redis_server.find()
