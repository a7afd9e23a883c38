from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import SecretStr
from pydantic_settings import BaseSettings

from app.settings.collector import CollectorSettings
from app.settings.gateway import GatewaySettings
from app.settings.worker import WorkerSettings
from tests.deploy.test_compose import names_of
from tests.helm.chart import CI, Object, environment, rendered, rendering
from tools.kube.chart import CHART

COMPONENTS: dict[str, type[BaseSettings]] = {
    "worker": WorkerSettings,
    "gateway": GatewaySettings,
    "collector": CollectorSettings,
}
# Set by the chart itself, or from Secrets: never in the values of a component's settings.
BY_THE_CHART = {
    "worker": {"HOST", "PORT", "DEVICE", "WORKER_ID", "API_KEYS", "API_TOKEN", "API_KEYS_FILE", "REDIS_URL"},
    "gateway": {
        *(
            "API_KEYS",
            "API_KEYS_FILE",
            "API_TOKEN",
            "STREAMING_HOST",
            "STREAMING_PORT",
            "STREAMING_API_KEYS",
            "WHISPERLIVE_API_KEY",
        ),
        *("TRANSCRIBER_URL", "REMOTE_TRANSCRIBER_URL", "TRANSCRIBER_API_KEY", "REMOTE_TRANSCRIBER_API_KEY"),
        *("REDIS_URL", "REDIS_STREAM_URL"),
    },
    "collector": {
        *("HOST", "PORT", "COLLECTOR_HOST", "COLLECTOR_PORT", "COLLECTOR_API_KEYS", "DATABASE_URL"),
        *("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_PASSWORD"),
        *("INTERNAL_API_SECRET", "MEETING_TOKEN_SECRET", "ADMIN_TOKEN"),
    },
}
# The older of two names of one setting: the values take the newer one.
OLDER_NAMES = {"worker": set[str](), "gateway": set[str](), "collector": {"IMMUTABILITY_THRESHOLD"}}


def schema_of(component: str) -> dict[str, Any]:
    """Return the schema of a component's settings, by their names."""
    properties = json.loads((CHART / "values.schema.json").read_text())["properties"]
    part = properties if component == "worker" else properties[component]["properties"]
    assert part["settings"]["additionalProperties"] is False
    names: dict[str, Any] = part["settings"]["properties"]
    return names


def other(shown: dict[str, Any], default: Any) -> Any:
    """Return an allowed value that is not the default, near it where settings depend on each other."""
    if "enum" in shown:
        return next(choice for choice in shown["enum"] if choice not in {default, ""})
    if isinstance(default, bool):
        return not default
    if isinstance(default, int | float):
        step = 1 if isinstance(default, int) else 0.25
        return default - step if default + step > shown.get("maximum", float("inf")) else default + step
    if "pattern" in shown:
        return next(text for text in ("debug", "json") if text in shown["pattern"])
    return "192.0.2.1" if default == GatewaySettings.model_fields["forwarded_allow_ips"].default else "other"


def changed(component: str) -> dict[str, Any]:
    """Return a value for each setting of a component, none of them its default."""
    fields = COMPONENTS[component].model_fields
    return {
        name: other(shown, fields[name.lower()].default)
        for name, shown in schema_of(component).items()
    }  # fmt: skip


def with_settings(component: str, settings: dict[str, Any]) -> list[Object]:
    """Return the objects with these settings of one component; the collector runs, too."""
    return rendered(
        {"settings": settings} if component == "worker" else {component: {"settings": settings}}, "collector"
    )


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_values_know_every_setting(component):
    """The names in the schema are those of the code, but for what the chart sets itself and what is secret."""
    known = names_of(COMPONENTS[component])
    assert set(schema_of(component)) == known - BY_THE_CHART[component] - OLDER_NAMES[component]


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_setting_reaches_the_process_as_it_was_given(component, monkeypatch):
    """The process, started with the variables of its pod, has each value of the values file; numbers stay whole."""
    given = changed(component)
    variables = environment(with_settings(component, given), component)
    # What the Secrets hold; their names and keys are no addresses.
    held = {"REDIS_URL": "redis://redis:6379/0", "DATABASE_URL": "postgresql://postgres/stt"}
    variables |= {name: held[name] for name in held.keys() & variables}
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    read = COMPONENTS[component]()
    assert {name: getattr(read, name.lower()) for name in given} == given


@pytest.mark.parametrize("ci", CI)
def test_the_chart_sets_no_variable_that_nobody_reads(ci):
    """Each variable of a pod is a setting of its process, or one that the values add."""
    found = rendering(ci)
    for component, settings_type in COMPONENTS.items():
        if component != "collector" or ci.startswith("collector"):
            read = names_of(settings_type) | BY_THE_CHART[component]
            added = {name for name in environment(found, component) if name.startswith("OTEL_")}
            assert set(environment(found, component)) - added <= read, component


def test_gateways_believe_nginx():
    """Only nginx reaches them, so the client's address that it passes on is the true one; the values may differ."""
    assert environment(rendering("cpu"), "gateway")["FORWARDED_ALLOW_IPS"] == "*"
    given = {"gateway": {"settings": {"FORWARDED_ALLOW_IPS": "10.0.0.0/8"}}}
    assert environment(rendered(given), "gateway")["FORWARDED_ALLOW_IPS"] == "10.0.0.0/8"


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_empty_setting_is_the_default(component, monkeypatch):
    """Values files of several deployments may leave settings empty, as with the other ways to run it."""
    fields = COMPONENTS[component].model_fields
    names = [name for name, shown in schema_of(component).items() if "enum" in shown]
    for name, text in environment(with_settings(component, dict.fromkeys(names, "")), component).items():
        if name in names:
            monkeypatch.setenv(name, text)
    read = COMPONENTS[component]()
    assert {name: getattr(read, name.lower()) for name in names} == {
        name: fields[name.lower()].default for name in names
    }


def test_a_changed_setting_restarts_the_pods():
    """The annotation with the settings' checksum changes with them, and with nothing else."""

    def checksum(settings: dict[str, Any]) -> str:
        (worker,) = [
            each
            for each in with_settings("worker", settings)
            if (each["kind"], each["metadata"]["name"]) == ("Deployment", "stt-worker")
        ]
        found: str = worker["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
        return found

    assert checksum({"BEAM_SIZE": 2}) == checksum({"BEAM_SIZE": 2}) != checksum({"BEAM_SIZE": 3})


@pytest.mark.parametrize("component", COMPONENTS)
def test_secrets_are_references(component):
    """A variable that holds a secret comes from a Secret by its name: no value of the chart has its text."""
    found = rendered(
        {"apiKeys": {"existingSecret": "keys"}, "gateway": {"clientKeys": {"existingSecret": "live"}}}, "collector"
    )
    variables = environment(found, component)
    secret = {
        alias
        for name, field in COMPONENTS[component].model_fields.items()
        if field.annotation is SecretStr
        for alias in (names_of(COMPONENTS[component]) & {name.upper()})
    }
    expected = {
        "worker": {"API_KEYS": "keys/API_KEYS"},
        "gateway": {
            "API_KEYS": "keys/API_KEYS",
            "STREAMING_API_KEYS": "live/STREAMING_API_KEYS",
            "REDIS_URL": "stt-redis/REDIS_URL",
        },
        "collector": {
            "COLLECTOR_API_KEYS": "stt-collector/COLLECTOR_API_KEYS",
            "DATABASE_URL": "stt-postgres/DATABASE_URL",
            "REDIS_URL": "stt-redis/REDIS_URL",
        },
    }
    assert {name: variables[name] for name in secret & set(variables)} == expected[component]


def test_every_process_listens_where_its_service_looks():
    """On all addresses of its pod: the default of worker, gateway and collector is loopback."""
    found = rendered({}, "collector")
    worker = environment(found, "worker")
    assert (worker["HOST"], worker["PORT"], worker["WORKER_ID"]) == ("0.0.0.0", "8000", "metadata.name")  # noqa: S104
    for each in found:
        if each["kind"] == "Deployment" and each["metadata"]["name"] in {"stt-gateway", "stt-collector"}:
            command = " ".join(each["spec"]["template"]["spec"]["containers"][0]["command"])
            assert "--host 0.0.0.0 --port" in command
