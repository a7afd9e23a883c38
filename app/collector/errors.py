"""What the store refuses or cannot do."""

from __future__ import annotations


class DatabaseAway(Exception):
    """The database does not answer; the same call may be tried again."""


class NotOver(Exception):
    """The meeting is still active, so it cannot be deleted."""


class BadCursor(Exception):
    """A cursor that this server did not give out."""
