"""Write values.schema.json of the chart, by which Helm refuses values that are misspelt or out of bounds.

python -m tools.kube.values_schema --write
python -m tools.kube.values_schema --check
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Final

from tools.kube.chart import CHART, VALUES, values
from tools.kube.chart_values import CHART_VALUES
from tools.kube.shapes import Schema

SCHEMA: Final = CHART / "values.schema.json"


def schema() -> Schema:
    """The schema of all values, with the descriptions of values.yaml."""
    # Through its text, so that no part is shared: each place gets a description of its own.
    made: Schema = json.loads(json.dumps(CHART_VALUES))
    for value in values(VALUES.read_text(encoding="utf-8")):
        place = made
        for key in value.path.split("."):
            # `worker:` with nothing below it is null, by which Helm deletes all of the chart's own values there.
            required = place.setdefault("required", [])
            if key not in required:
                required.append(key)
            place = place["properties"][key]
        place["description"] = value.description
    heading = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Values of the chart speech-to-text"}
    return heading | made


def text() -> str:
    """The file's content."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write or compare the file; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.kube.values_schema", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true", help="write the file")
    action.add_argument("--check", action="store_true", help="fail if the file is not what would be written")
    if parser.parse_args(argv).write:
        SCHEMA.write_text(text(), encoding="utf-8")
    elif not SCHEMA.is_file() or SCHEMA.read_text(encoding="utf-8") != text():
        sys.stderr.write(f"error: {SCHEMA} is not current; run `python -m tools.kube.values_schema --write`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
