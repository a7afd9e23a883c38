import errno
import os
import stat

import pytest

from app.live.publish import spool as spool_module
from app.live.publish.spool import Spool, SpoolFull
from tests.live.publish.fakes import entry


def read_all(spool):
    """Everything in the spool, and how many lines were unreadable."""
    entries, unreadable = [], 0
    while chunk := spool.read(2):
        entries += chunk.entries
        unreadable += chunk.unreadable
        spool.published(chunk)
    return entries, unreadable


def files(folder):
    """The files in the folder."""
    return sorted(path.name for path in folder.iterdir())


def test_entries_come_back_in_order(tmp_path):
    """And then the file is empty; at the end it is gone."""
    spool = Spool(tmp_path / "new")
    spool.append([entry(n) for n in range(3)])
    spool.append([entry(3)])
    assert spool.waiting_bytes > 0
    assert read_all(spool) == ([entry(n) for n in range(4)], 0)
    assert spool.waiting_bytes == 0
    spool.append([entry(4)])
    assert read_all(spool) == ([entry(4)], 0)
    spool.close()
    assert files(tmp_path / "new") == []


def test_entries_that_were_not_published_come_again(tmp_path):
    """Reading alone removes nothing."""
    spool = Spool(tmp_path)
    spool.append([entry(0)])
    spool.read(10)
    assert read_all(spool)[0] == [entry(0)]


def test_the_file_of_a_gateway_that_is_gone_is_taken_over(tmp_path):
    """By one of the others, and then it is deleted."""
    gone = Spool(tmp_path)
    gone.append([entry(0), entry(1)])
    gone.close()
    first, second = Spool(tmp_path), Spool(tmp_path)
    assert (first.adopt(), second.adopt()) == (1, 0)
    assert read_all(first)[0] == [entry(0), entry(1)]
    assert files(tmp_path) == []


def test_the_file_of_a_living_gateway_is_left_alone(tmp_path):
    """Its lock says that it lives."""
    living, other = Spool(tmp_path), Spool(tmp_path)
    living.append([entry(0)])
    assert other.adopt() == 0
    assert living.adopt() == 0
    assert read_all(living)[0] == [entry(0)]


GOOD = b'{"kind":"transcription","connection_id":"c","stream":"s","fields":{"payload":"x"}}\n'


@pytest.mark.parametrize(
    "rest",
    [
        b'{"kind":"transcr',
        b"\0" * 100,
        b'{"kind":1}\n',
        b"[1]\n",
        b'"x"\n',
        b"\xff\n",
        b"[" * 100_000,
        GOOD.replace(b'"x"', b'"\\ud800"'),
        GOOD.replace(b"transcription", b"else"),
    ],
)
def test_a_half_written_line_is_skipped(tmp_path, rest):
    """A gateway that was killed while it wrote leaves the rest readable."""
    gone = Spool(tmp_path)
    gone.append([entry(0), entry(1), entry(2)])
    gone.close()
    (path,) = tmp_path.glob("spool-*")
    path.write_bytes(path.read_bytes() + rest)
    spool = Spool(tmp_path)
    spool.adopt()
    assert read_all(spool) == ([entry(0), entry(1), entry(2)], 1)


def test_what_a_failed_write_left_is_overwritten(tmp_path, monkeypatch):
    """A full disk takes half of the data; the next call writes all of it."""
    spool = Spool(tmp_path)
    write = os.pwrite

    def full(descriptor, data, offset):
        write(descriptor, data[:10], offset)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space"):
        spool.append([entry(0)])
    monkeypatch.undo()
    assert spool.read(5) is None
    spool.append([entry(0)])
    assert read_all(spool) == ([entry(0)], 0)


def test_the_file_has_a_largest_size(tmp_path):
    """Above it nothing is written."""
    spool = Spool(tmp_path, max_bytes=300)
    spool.append([entry(0)])
    with pytest.raises(SpoolFull):
        spool.append([entry(n) for n in range(9)])
    assert read_all(spool)[0] == [entry(0)]


def test_long_lines(tmp_path, monkeypatch):
    """A line may be longer than what is read at once."""
    monkeypatch.setattr(spool_module, "READ_BYTES", 16)
    spool = Spool(tmp_path)
    spool.append([entry(0), entry(1)])
    assert read_all(spool) == ([entry(0), entry(1)], 0)


def test_only_the_owner_may_read(tmp_path):
    """The files contain what people said."""
    spool = Spool(tmp_path / "new")
    spool.append([entry(0)])
    (path,) = (tmp_path / "new").glob("spool-*")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_used(tmp_path):
    """The start fails, not the first outage."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"exists|directory"):
        Spool(tmp_path / "file")
