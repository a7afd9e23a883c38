"""The values of the chart as its values.yaml writes them: the comment above a value is its description."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "deploy" / "helm" / "speech-to-text"
VALUES: Final = CHART / "values.yaml"


@dataclass(frozen=True, slots=True)
class Value:
    """One value that users set: `path` is its name with dots, `default` what YAML makes of it."""

    path: str
    default: Any
    description: str


def values(text: str) -> list[Value]:
    """Read each value that has a comment directly above it; what is indented below it belongs to it.

    Raises:
        ValueError: a value has no comment, and neither has anything around it.
    """
    defaults = yaml.safe_load(text)
    found = [Value(path, at(defaults, path), comment) for path, comment in _commented(text)]
    known = {value.path for value in found}
    if silent := sorted(path for path in _leaves(defaults) if not any(_inside(path, each) for each in known)):
        raise ValueError(f"values.yaml: no comment above {', '.join(silent)}; write one, it is the description")
    return found


def at(tree: Any, path: str) -> Any:
    """What a path such as `worker.gpu.count` leads to."""
    for key in path.split("."):
        tree = tree[key]
    return tree


def _commented(text: str) -> Iterator[tuple[str, str]]:
    """Path and comment of each key with a comment, in the order of the file."""
    open_keys: list[tuple[int, str]] = []  # (indentation, key) from the outermost to the current one
    comment: list[str] = []
    inside: int | None = None  # the indentation of the value that the lines belong to
    for line in text.splitlines():
        content = line.strip()
        indent = len(line) - len(line.lstrip())
        if not content:
            comment = []
        elif inside is not None and indent > inside:
            continue
        elif content.startswith("#"):
            comment.append(content.removeprefix("#").strip())
            inside = None
        else:
            key = content.partition(":")[0]
            open_keys = [(depth, name) for depth, name in open_keys if depth < indent] + [(indent, key)]
            inside = indent if comment else None
            if comment:
                yield ".".join(name for _, name in open_keys), " ".join(comment)
            comment = []


def _leaves(tree: Any, prefix: str = "") -> Iterator[str]:
    """The path of everything that is not a filled map."""
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}.")
        else:
            yield path


def _inside(path: str, value: str) -> bool:
    """Whether a path is a value or a part of it."""
    return path == value or path.startswith(f"{value}.")
