from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.http.request.options import DOCUMENTED, ServerVad, TranscriptionRequest, tier_of
from app.http.request.parse import validate


def parse(sent: list[tuple[str, str]]) -> ServerVad | None:
    """The chunking strategy that these fields make."""
    return validate([("model", "m"), *sent]).chunking_strategy


def test_the_document_has_every_field_and_no_null():
    """The schema is made from the model: its fields, none of them nullable or titled."""
    assert set(DOCUMENTED["properties"]) == set(TranscriptionRequest.model_fields)
    assert DOCUMENTED["required"] == ["model"]
    assert "null" not in str(DOCUMENTED)
    for field in DOCUMENTED["properties"].values():
        assert "title" not in field


def test_unknown_tiers_are_standard():
    """A name that is not Vexa's never fails a request."""
    assert [tier_of(name) for name in (" RealTime ", "deferred", "turbo", "", None)] == [
        "realtime", "deferred", "standard", "standard", "standard",
    ]  # fmt: skip


@pytest.mark.parametrize("sent", ['"auto"', '" Auto "', '"null"'])
def test_auto_as_a_json_string(sent: str):
    """A client that sends the field as a JSON part quotes the word."""
    assert parse([("chunking_strategy", sent)]) is None


@pytest.mark.parametrize(
    "sent", [[], [("chunking_strategy", "")], [("chunking_strategy", "auto")], [("chunking_strategy", " AUTO ")],
             [("chunking_strategy", "null")], [("chunking_strategy[type]", "")]],
)  # fmt: skip
def test_auto_is_the_servers_default(sent: list[tuple[str, str]]):
    """Absent, blank, null and the word `auto` all leave the choice to the server."""
    assert parse(sent) is None


@pytest.mark.parametrize(
    "sent",
    [
        [("chunking_strategy", '{"type":"server_vad","threshold":0.3,"prefix_padding_ms":100}')],
        [("chunking_strategy", '{"type":"server_vad","threshold":"0.3","prefix_padding_ms":100.0}')],
        [
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.3"),
            ("chunking_strategy[prefix_padding_ms]", "100"),
            ("chunking_strategy[silence_duration_ms]", ""),
        ],
    ],
)
def test_object_in_both_encodings(sent: list[tuple[str, str]]):
    """One JSON part (dotnet) or bracketed parts (Python, Node, Java, Go); OpenAI's default for the rest."""
    expected = ServerVad(type="server_vad", threshold=0.3, prefix_padding_ms=100.0, silence_duration_ms=200.0)
    assert parse(sent) == expected


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ([("chunking_strategy", "manual")], "chunking_strategy"),
        ([("chunking_strategy", "{")], "chunking_strategy"),
        ([("chunking_strategy", "[]")], "chunking_strategy"),
        ([("chunking_strategy", "{}")], "chunking_strategy[type]"),
        ([("chunking_strategy", '"manual"')], "chunking_strategy"),
        ([("chunking_strategy", "[" * 100_000)], "chunking_strategy"),
        ([("chunking_strategy", '{"type":"semantic_vad"}')], "chunking_strategy[type]"),
        ([("chunking_strategy", '{"type":["server_vad"]}')], "chunking_strategy[type]"),
        ([("chunking_strategy", '{"type":"server_vad","x":1}')], "chunking_strategy"),
        ([("chunking_strategy", '{"type":"server_vad","threshold":2}')], "chunking_strategy[threshold]"),
        ([("chunking_strategy", '{"type":"server_vad","threshold":true}')], "chunking_strategy[threshold]"),
        ([("chunking_strategy", '{"type":"server_vad","threshold":NaN}')], "chunking_strategy[threshold]"),
        ([("chunking_strategy[threshold]", "0.5")], "chunking_strategy[type]"),
        ([("chunking_strategy[type]", "auto")], "chunking_strategy[type]"),
        (
            [("chunking_strategy[type]", "server_vad"), ("chunking_strategy[prefix_padding_ms]", "-1")],
            "chunking_strategy[prefix_padding_ms]",
        ),
        (
            [("chunking_strategy[type]", "server_vad"), ("chunking_strategy[silence_duration_ms]", "1e9")],
            "chunking_strategy[silence_duration_ms]",
        ),
        ([("chunking_strategy[type]", "server_vad"), ("chunking_strategy[mode]", "x")], "chunking_strategy"),
    ],
)
def test_bad_strategies_name_the_key(sent: list[tuple[str, str]], param: str):
    """Wrong values and broken JSON are a 400 that names the key, never a crash."""
    with pytest.raises(InvalidRequest) as refused:
        parse(sent)
    assert refused.value.param == param
    assert len(refused.value.message) < 300
