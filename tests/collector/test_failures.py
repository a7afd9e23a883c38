from __future__ import annotations

from app.collector.failures import describe


def fail() -> None:
    """Raise an error whose message, and whose cause's, quote somebody."""
    try:
        dict[str, int]()["secret words"]
    except KeyError as cause:
        raise RuntimeError("secret words") from cause


def test_description_has_no_message():
    """Type, cause and place are there; the message, which may quote what was said, is not."""
    try:
        fail()
    except RuntimeError as error:
        found = describe(error)
    assert found["error"] == "RuntimeError"
    assert found["cause"] == "KeyError"
    assert found["at"].startswith("test_failures.py:")
    assert "secret" not in str(found)
