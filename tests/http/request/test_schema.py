from __future__ import annotations

import re

import pytest

from app.core import languages
from app.http.request.options import TranscriptionRequest
from app.http.request.schema import COMPONENTS, request_body
from app.http.response.formats import ResponseFormat


def test_both_bodies_have_every_field():
    """The fields of the model and the audio, in both encodings; lists have brackets in a form."""
    content = request_body("json")["content"]
    form = set(content["multipart/form-data"]["schema"]["properties"])
    in_json = set(content["application/json"]["schema"]["properties"])
    assert {name.removesuffix("[]") for name in form} - {"file"} == set(TranscriptionRequest.model_fields)
    assert in_json - {"input_audio"} == set(TranscriptionRequest.model_fields)
    assert {"timestamp_granularities[]", "include[]", "languages[]", "keywords[]"} <= form


def test_every_reference_has_its_component():
    """The bodies refer to nothing that the document does not hold."""
    names = re.findall(r"#/components/schemas/(\w+)", str(request_body("json")))
    assert names
    assert set(names) == set(COMPONENTS)


@pytest.mark.parametrize("default", ["json", "verbose_json"])
def test_default_format_is_documented(default: ResponseFormat):
    """Each route documents its own default: verbose_json for transcriptions, json for translations."""
    for content in request_body(default)["content"].values():
        assert content["schema"]["properties"]["response_format"]["default"] == default


def test_documented_languages_are_understood():
    """The parser accepts every value of the list, and a locale of every code."""
    language = request_body("json")["content"]["application/json"]["schema"]["properties"]["language"]
    listed, pattern = language["anyOf"]
    for value in listed["enum"]:
        languages.normalize(value)
    for code in languages.NAMES:
        assert re.fullmatch(pattern["pattern"], f"{code}-XX")
        assert languages.normalize(f"{code}-XX") == code
