from pathlib import Path

import pytest

from app.core.errors import StartupError
from bench import gpu


def test_every_command_line_is_well_formed():
    """Both compute types at five batch sizes, each accepted by the parser and by the worker's settings."""
    lines = gpu.commands(Path("model"))
    assert len(lines) == 10
    for line in lines:
        gpu.check(line)


def test_the_check_finds_what_is_wrong():
    """An unknown option ends the program; a value the worker refuses is named."""
    with pytest.raises(SystemExit):
        gpu.check(["--model", "model", "--batch", "4"])
    with pytest.raises(StartupError, match="COMPUTE_TYPE"):
        gpu.check(["--model", "model", "--device", "cuda", "--compute-type", "float7"])
