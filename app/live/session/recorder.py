"""What a session tells whoever stores its transcript; by default nobody does.

None of these calls may wait or fail: storing never delays a live client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from app.contracts.whisperlive import Handshake
from app.live.policy.windows import Update


class Recorder(Protocol):
    """Records one session."""

    def audio(self, n_samples: int) -> None:
        """The next samples have arrived."""

    def update(self, update: Update) -> None:
        """The transcript has changed."""

    def control(self, kind: str, payload: Mapping[str, Any]) -> None:
        """The client sent a control message."""

    def end(self, ending: str, *, unheard_s: float) -> None:
        """The session is over, for the reason `ending`; `unheard_s` of its audio were not transcribed."""


class Recording(Protocol):
    """Makes a recorder for each session."""

    def recorder(self, session_id: str, handshake: Handshake) -> Recorder:
        """The recorder of a new session."""

    def health(self) -> dict[str, Any]:
        """The state, for /health."""


class NotRecorded:
    """The recorder of a session that nobody stores."""

    def audio(self, n_samples: int) -> None:
        """Ignore it."""

    def update(self, update: Update) -> None:
        """Ignore it."""

    def control(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Ignore it."""

    def end(self, ending: str, *, unheard_s: float) -> None:
        """Ignore it."""
