from __future__ import annotations

import dataclasses

import pytest

from app.collector.rows import Applied, Page


def test_rows_cannot_change():
    """A row is a value: readers may keep it while the database moves on."""
    page = Page((1, 2), next_cursor="c")
    with pytest.raises(dataclasses.FrozenInstanceError):
        page.next_cursor = None  # type: ignore[misc]


def test_counts_are_not_shared():
    """Each result counts for itself."""
    assert Applied().counts is not Applied().counts
