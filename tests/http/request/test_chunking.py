from __future__ import annotations

import pytest

from app.core.errors import InvalidRequest
from app.http.request.chunking import ServerVad, parse


@pytest.mark.parametrize(
    "sent", [[], [("chunking_strategy", "")], [("chunking_strategy", "auto")], [("chunking_strategy", " AUTO ")],
             [("chunking_strategy", "null")], [("chunking_strategy[type]", "")]],
)  # fmt: skip
def test_auto_is_the_servers_own_way(sent: list[tuple[str, str]]):
    """Absent, blank, null and the word."""
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
    assert parse(sent) == ServerVad(threshold=0.3, prefix_padding_ms=100.0, silence_duration_ms=200.0)


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ([("chunking_strategy", "manual")], "chunking_strategy"),
        ([("chunking_strategy", "{")], "chunking_strategy"),
        ([("chunking_strategy", "[]")], "chunking_strategy"),
        ([("chunking_strategy", "{}")], "chunking_strategy[type]"),
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
    """400, never a crash, whatever JSON or half of it."""
    with pytest.raises(InvalidRequest) as refused:
        parse(sent)
    assert refused.value.param == param
    assert len(refused.value.message) < 300
