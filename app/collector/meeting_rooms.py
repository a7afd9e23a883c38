"""Where people meet. Pure."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

_URLS: Final = {
    "google_meet": "https://meet.google.com/",
    "zoom": "https://zoom.us/j/",
    "teams": "https://teams.live.com/meet/",
}


def meeting_url(platform: str, native_id: str | None) -> str | None:
    """Return the address of a meeting, None if its platform has no address that follows from the id."""
    base = _URLS.get(platform)
    return f"{base}{quote(native_id, safe='')}" if base and native_id else None
