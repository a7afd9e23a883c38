from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.core import languages
from app.http.request.schema import request_body

SOURCE = Path(__file__).resolve().parents[3] / "app" / "http" / "request" / "forms.py"


def test_every_field_that_is_read_is_documented():
    """The names in the parser and the names in the document are the same, in both encodings."""
    source = SOURCE.read_text(encoding="utf-8")
    read = set(re.findall(r'read\.(?:text|number|boolean|items)\(fields, "(\w+)"', source))
    read |= {"timestamp_granularities", "chunking_strategy"}
    content = request_body("json")["content"]
    form = set(content["multipart/form-data"]["schema"]["properties"])
    in_json = set(content["application/json"]["schema"]["properties"])
    assert {name.removesuffix("[]") for name in form} - {"file"} == read
    assert in_json - {"input_audio"} == read


@pytest.mark.parametrize("default", ["json", "verbose_json"])
def test_default_format_is_told(default: str):
    """verbose_json serves Vexa and OpenAI at once; translations answer json as OpenAI's do."""
    for content in request_body(default)["content"].values():
        assert content["schema"]["properties"]["response_format"]["default"] == default


def test_documented_languages_are_understood():
    """Every value of the list, and locales of every code, are what the parser takes."""
    language = request_body("json")["content"]["application/json"]["schema"]["properties"]["language"]
    listed, pattern = language["anyOf"]
    for value in listed["enum"]:
        languages.normalize(value)
    for code in languages.NAMES:
        assert re.fullmatch(pattern["pattern"], f"{code}-XX")
        assert languages.normalize(f"{code}-XX") == code
