"""Write the table of values in the chart's README.md from the comments of its values.yaml.

python -m tools.kube.values_table --write
python -m tools.kube.values_table --check
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Final

from tools.kube.chart import CHART, VALUES, Value, values

README: Final = CHART / "README.md"
BEGIN: Final = "<!-- values: written by `python -m tools.kube.values_table --write` -->\n"
END: Final = "<!-- end of values -->\n"


def row(value: Value) -> str:
    """One line of the table."""
    default = json.dumps(value.default, ensure_ascii=False)
    return f"| `{value.path}` | `{default}` | {value.description} |\n"


def table(found: Sequence[Value]) -> str:
    """The whole table."""
    return "| value | default | what it is |\n|---|---|---|\n" + "".join(row(value) for value in found)


def rewritten(readme: str, found: Sequence[Value]) -> str:
    """The document with a new table between its marks.

    Raises:
        ValueError: a mark is missing.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README}: the marks {BEGIN.strip()} and {END.strip()} are missing; write them on own lines")
    return before + begin + table(found) + end + after


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.kube.values_table", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the table")
    action.add_argument("--check", action="store_true", help="fail if the table is not what would be written")
    writes = parser.parse_args(argv).write
    readme = README.read_text(encoding="utf-8")
    new = rewritten(readme, values(VALUES.read_text(encoding="utf-8")))
    if writes:
        README.write_text(new, encoding="utf-8")
    elif new != readme:
        sys.stderr.write(f"error: {README} is not current; run `python -m tools.kube.values_table --write`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
