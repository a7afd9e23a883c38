"""`python -m tools.dashboards`: write the dashboards' JSON; `--check` only compares it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from tools.dashboards.build import to_json
from tools.dashboards.live import LIVE
from tools.dashboards.panels import Board
from tools.dashboards.service import SERVICE

FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "monitoring" / "dashboards"
BOARDS: Final = (SERVICE, LIVE)


def file_of(board: Board) -> Path:
    """The file of a dashboard in the repository."""
    return FOLDER / f"{board.uid}.json"


def main() -> int:
    """Write or compare; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboards", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    check = parser.parse_args().check
    stale = [board for board in BOARDS if not file_of(board).exists() or file_of(board).read_text() != to_json(board)]
    for board in stale:
        if check:
            print(f"{file_of(board)} is not current: run `python -m tools.dashboards`", file=sys.stderr)
        else:
            FOLDER.mkdir(exist_ok=True)
            file_of(board).write_text(to_json(board))
            print(f"wrote {file_of(board)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
