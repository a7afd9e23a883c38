"""The line that says which model runs while MODEL_SIZE is not set. Pure."""

from __future__ import annotations


def describe(name: str, *, better: str) -> str:
    """Return one line for the user.

    Args:
        name: tiny.en, demo, or a size that was downloaded before.
        better: what to run, or to add to the command, for a better model.
    """
    match name:
        case "demo":
            what = f"the bundled demo model (synthetic voices only); for a real model: {better}"
        case "tiny.en":
            what = (
                f"tiny.en, a small model for English only (it takes all speech for English); for a better one: {better}"
            )
        case _:
            what = f"{name}, which was downloaded before"
    return f"MODEL_SIZE is not set: using {what}"
