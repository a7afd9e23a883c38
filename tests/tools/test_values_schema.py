from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
import yaml

from tools.kube import values_schema
from tools.kube.chart import VALUES

DEFAULTS = yaml.safe_load(VALUES.read_text(encoding="utf-8"))


def maps(schema: Any, path: str = "") -> dict[str, Any]:
    """Path -> schema of every map in a schema that names its keys."""
    found = {}
    if isinstance(schema, dict):
        if "properties" in schema:
            found[path] = schema
            for name, part in schema["properties"].items():
                found |= maps(part, f"{path}.{name}".lstrip("."))
        if "items" in schema:
            found |= maps(schema["items"], f"{path}[]")
    return found


def test_the_file_is_current(capsys):
    """values.schema.json is what the tool writes; otherwise a line says which command writes it."""
    assert values_schema.main(["--check"]) == 0, capsys.readouterr().err


def test_a_file_that_is_not_current_is_reported(monkeypatch, tmp_path, capsys):
    """--check fails with the command that helps, and --write makes it pass."""
    monkeypatch.setattr(values_schema, "SCHEMA", tmp_path / "values.schema.json")
    assert values_schema.main(["--check"]) == 1
    assert "run `python -m tools.kube.values_schema --write`" in capsys.readouterr().err
    assert values_schema.main(["--write"]) == 0
    assert values_schema.main(["--check"]) == 0


def test_the_schema_is_one():
    """The schema itself follows its standard, and the defaults follow the schema."""
    schema = json.loads(values_schema.text())
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(DEFAULTS)) == []


def test_no_map_takes_unknown_keys():
    """Each map that names its keys takes no others, so that a misspelt value is refused."""
    found = maps(json.loads(values_schema.text()))
    assert len(found) > 50
    assert [path for path, schema in found.items() if schema.get("additionalProperties") is not False] == []


def test_the_schema_knows_no_value_that_the_chart_lacks():
    """A key of the schema is in values.yaml, besides settings, foreign objects and Helm's own `global`."""
    schema = json.loads(values_schema.text())

    def lacking(part: Any, defaults: Any, path: str) -> list[str]:
        if not isinstance(defaults, dict) or not defaults or path.endswith(("settings", "resources")):
            return []
        missing = [f"{path}.{name}" for name in part.get("properties", {}) if name not in defaults]
        return missing + [
            each
            for name, inner in part.get("properties", {}).items()
            if name in defaults
            for each in lacking(inner, defaults[name], f"{path}.{name}")
        ]

    assert lacking(schema, DEFAULTS, "") == [".global"]


@pytest.mark.parametrize("path", ["worker", "settings", "gateway.settings", "balancer.image", "worker.gpu.count"])
def test_a_value_may_not_be_missing(path):
    """Helm deletes a default that a values file sets to null, and the templates rely on each."""
    given: Any = json.loads(json.dumps(DEFAULTS))
    *outer, last = path.split(".")
    place = given
    for key in outer:
        place = place[key]
    del place[last]
    (error,) = jsonschema.Draft202012Validator(json.loads(values_schema.text())).iter_errors(given)
    assert error.message == f"{last!r} is a required property"


@pytest.mark.parametrize("path", ["worker.nodeSelector", "gateway.nodeSelector", "apiKeys.key", "model.hfToken.key"])
def test_shared_parts_have_descriptions_of_their_own(path):
    """Two values of the same shape are described each by its own comment."""
    place = json.loads(values_schema.text())
    for key in path.split("."):
        place = place["properties"][key]
    expected = {
        "worker.nodeSelector": "Node labels that pods require.",
        "gateway.nodeSelector": "Node labels that pods require.",
        "apiKeys.key": "Key of that Secret with the comma-separated API keys.",
        "model.hfToken.key": "Key of that Secret.",
    }
    assert place["description"] == expected[path]
