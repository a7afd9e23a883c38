"""The file in the cluster's folder from which Prometheus learns what to scrape. Blocking, but quick."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from app.cluster.layout import Layout
from app.cluster.reconciler import Member
from app.cluster.targets import targets


class TargetsFile:
    """Keeps the file true. Without it the cluster serves on."""

    def __init__(self, layout: Layout, log: Callable[[str], None]) -> None:
        self._layout = layout
        self._log = log
        self._written = ""

    def update(self, members: Iterable[Member], mtail: str | None) -> None:
        """Replace the file if anything has changed; a reader sees the old text or the new one."""
        text = targets(self._layout, members, mtail)
        if text == self._written:
            return
        self._written = text
        path = self._layout.targets_file
        try:
            draft = path.with_suffix(".new")
            draft.write_text(text)
            draft.replace(path)
        except OSError as error:
            self._log(f"{path} could not be written: {error}")
