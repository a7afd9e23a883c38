"""Entries of a stream as Redis holds them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.contracts.collector import PAYLOAD_FIELD


@dataclass(frozen=True, slots=True)
class RawEntry:
    """An entry as it was read.

    Attributes:
        fields: names and values; bytes that are not UTF-8 are lone surrogates.
    """

    stream: str
    id: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An entry that could not be used, wholly or in part.

    Attributes:
        error: why, for people.
        deliveries: how often it was tried.
    """

    entry: RawEntry
    error: str
    deliveries: int = 1

    def fields(self) -> dict[str, str | int]:
        """The fields of its entry in the stream of dead letters."""
        payload = self.entry.fields.get(PAYLOAD_FIELD)
        if payload is None:
            payload = json.dumps(self.entry.fields)
        return {"payload": payload, "id": self.entry.id, "error": self.error, "deliveries": self.deliveries}
