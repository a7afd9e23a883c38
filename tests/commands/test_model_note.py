from __future__ import annotations

import pytest

from app.commands.model_note import describe


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tiny.en", ["tiny.en", "English only", "MODEL_SIZE=small make run"]),
        ("demo", ["demo model", "synthetic voices only", "MODEL_SIZE=small make run"]),
        ("medium", ["medium", "downloaded before"]),
    ],
)
def test_one_line_says_what_runs_and_what_would_be_better(name: str, expected: list[str]) -> None:
    """It begins with the reason, names the model and its limits, and gives the command for a better one."""
    line = describe(name, better="MODEL_SIZE=small make run")
    assert line.startswith("MODEL_SIZE is not set: using ")
    assert all(words in line for words in expected)
    assert "\n" not in line
