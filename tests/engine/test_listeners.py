from __future__ import annotations

from app.engine.listeners import Listeners


def test_what_nobody_listens_to_is_ignored() -> None:
    """Each listener gets its own events; the others may be left out."""
    told: list[str] = []
    listeners = Listeners(suppressed=told.append)
    listeners.critical("lost")
    listeners.batch("generate", 4)
    listeners.skipped()
    listeners.suppressed("boilerplate")
    assert told == ["boilerplate"]
