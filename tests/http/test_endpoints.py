from __future__ import annotations

from typing import get_args

import pytest

from app.http.endpoints import EXPECTED, endpoint_of
from app.http.request_record import Outcome


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/audio/transcriptions", "transcriptions"),
        ("/v1/v1/audio/transcriptions", "transcriptions"),
        ("/v1/audio/translations", "translations"),
        ("/v1/models/secret/model", "models"),
        ("/health/ready", "health"),
        ("/metrics", "metrics"),
        ("/v1/audio/transcriptions/../secret", "other"),
        ("/" + "x" * 10_000, "other"),
    ],
)
def test_endpoints_are_a_few_names(path: str, endpoint: str):
    """A scanner cannot fill the memory with its paths."""
    assert endpoint_of(path) == endpoint
    assert endpoint in EXPECTED


def test_every_outcome_is_expected_somewhere():
    """A new outcome gets its statuses here, so that its counter exists before it first occurs."""
    assert {outcome for outcomes in EXPECTED.values() for outcome in outcomes} == set(get_args(Outcome))
