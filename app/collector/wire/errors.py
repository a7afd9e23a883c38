"""Errors of the readers of stream entries.

ValueError
|-- Unusable      nothing of an entry can be used
`-- BadValue      one value cannot be used; the rest of the entry may be
"""

from __future__ import annotations


class Unusable(ValueError):
    """Nothing of an entry can be used; it belongs into the dead letters.

    The reason names fields and sizes, never what was said or by whom.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadValue(ValueError):
    """A value that does not fit its field; the message continues the field's name: `is not a number`."""
