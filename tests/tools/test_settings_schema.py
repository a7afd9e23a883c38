from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings
from tools.kube.settings_schema import FIXED, settings_schema


def accepts(model: type[BaseSettings], **settings: Any) -> bool:
    """Whether the schema takes these settings."""
    return not list(jsonschema.Draft202012Validator(settings_schema(model)).iter_errors(settings))


@pytest.mark.parametrize("model", [WorkerSettings, GatewaySettings, CollectorSettings])
def test_each_setting_is_allowed_unless_it_is_secret_or_the_charts_own(model):
    """The names are those of the variables; secrets and what the chart sets itself are missing."""
    expected = {
        name.upper()
        for name, field in model.model_fields.items()
        if name not in FIXED[model] and field.annotation is not SecretStr
    }
    assert set(settings_schema(model)["properties"]) == expected
    assert not expected & {"API_KEYS", "API_TOKEN", "DATABASE_URL", "REDIS_URL", "HOST", "PORT", "DEVICE"}


@pytest.mark.parametrize(
    "settings",
    [
        {"BEAM_SIZE": 5, "STALL_LIMIT_S": 0.5, "VAD_FILTER": False, "LOG_LEVEL": "debug", "MODEL_SIZE": "small"},
        {"BEAM_SIZE": "5", "STALL_LIMIT_S": "0.5", "VAD_FILTER": "false"},
        {"BEAM_SIZE": "", "STALL_LIMIT_S": "", "VAD_FILTER": "", "LOG_LEVEL": "", "MODEL_SIZE": ""},
    ],
    ids=["as YAML", "as text", "empty"],
)
def test_a_setting_may_be_written_as_yaml_or_as_text(settings):
    """What the environment could hold is accepted; empty means the default."""
    assert accepts(WorkerSettings, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"MODEL_SIZ": "small"},
        {"BEAM_SIZE": 99},
        {"BEAM_SIZE": "five"},
        {"LOG_LEVEL": "loud"},
        {"VAD_FILTER": "perhaps"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_a_setting_that_the_program_would_refuse_is_refused(settings):
    """Unknown names, numbers out of bounds and unknown words never reach a cluster."""
    assert not accepts(WorkerSettings, **settings)


def test_a_pattern_of_the_program_also_allows_the_default():
    """LOG_LEVEL of the gateway is a pattern in any case of letters, or empty."""
    assert accepts(GatewaySettings, LOG_LEVEL="INFO")
    assert accepts(GatewaySettings, LOG_LEVEL="")
    assert not accepts(GatewaySettings, LOG_LEVEL="loud")
