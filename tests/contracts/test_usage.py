from __future__ import annotations

from pydantic import TypeAdapter

from app.contracts.usage import UsageBody


def test_the_example_is_a_body():
    """The documented example has every key and fits the types."""
    schema = TypeAdapter(UsageBody).json_schema()
    (example,) = schema["examples"]
    assert set(example) == set(schema["required"]) == set(schema["properties"])
    assert TypeAdapter(UsageBody).validate_python(example, strict=True) == example
