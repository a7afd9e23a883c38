import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.commands.streaming import serve
from app.live.policy.durations import StreamPolicy
from app.settings.gateway import GatewaySettings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"


def test_defaults_are_the_policy():
    """Without any setting the gateway decides as the documented policy does."""
    policy = GatewaySettings().policy()
    assert policy == StreamPolicy(full_s=policy.full_s)
    assert policy.full_s == pytest.approx(StreamPolicy().full_s, abs=0.5)


def test_names_of_both_generations(monkeypatch):
    """Vexa's names work, the short one first."""
    monkeypatch.setenv("REMOTE_TRANSCRIBER_URL", "http://a/v1")
    monkeypatch.setenv("REMOTE_TRANSCRIBER_API_KEY", "ka")
    assert GatewaySettings().remote_transcriber_url == "http://a/v1"
    assert GatewaySettings().remote_transcriber_api_key.get_secret_value() == "ka"
    monkeypatch.setenv("TRANSCRIBER_URL", "http://b/v1")
    assert GatewaySettings().remote_transcriber_url == "http://b/v1"


def test_keys(monkeypatch):
    """Several keys, spaces allowed, never shown."""
    monkeypatch.setenv("STREAMING_API_KEYS", "one, two,,")
    settings = GatewaySettings()
    assert settings.keys == ("one", "two")
    assert "one" not in repr(settings)


def test_keys_of_the_service_guard_the_gateway_too(monkeypatch):
    """One environment for both: the gateway is no open door beside a locked one, unless that is said."""
    monkeypatch.setenv("API_KEYS", "service, other")
    assert GatewaySettings().keys == ("service", "other")
    assert GatewaySettings().remote_key == "service"
    monkeypatch.setenv("STREAMING_API_KEYS", "own")
    monkeypatch.setenv("REMOTE_TRANSCRIBER_API_KEY", "remote")
    assert GatewaySettings().keys == ("own",)
    assert GatewaySettings().remote_key == "remote"
    monkeypatch.setenv("STREAMING_API_KEYS", "open")
    assert GatewaySettings().keys == ()


def test_empty_variables_are_absent(monkeypatch):
    """Compose passes what is not set as an empty string."""
    monkeypatch.setenv("MAX_CLIENTS", "")
    assert GatewaySettings().max_clients == 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_CLIENTS", "0"),
        ("STEP_S", "0"),
        ("REMOTE_TRANSCRIBER_URL", "ftp://x"),
        ("REMOTE_TRANSCRIBER_URL", "http://"),
        ("REMOTE_TRANSCRIBER_URL", "http:///v1/audio/transcriptions"),
        ("REMOTE_TRANSCRIBER_URL", "http://[bad"),
        ("REMOTE_TRANSCRIBER_URL", "http://ho st/v1"),
        ("REMOTE_TRANSCRIBER_URL", "http://host:99999/x"),
        ("REMOTE_TRANSCRIBER_URL", "http://host:0/x"),
        ("REMOTE_TRANSCRIBER_URL", "http://host:port/x"),
        ("BUFFER_MAX_S", "5"),
        ("MAX_WINDOW_S", "60"),
    ],
)
def test_bad_value_stops_the_start(monkeypatch, capsys, name, value):
    """A value out of bounds is one line that names the variable, and status 2."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        GatewaySettings()
    assert serve() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}={value!r}: " in line


@pytest.mark.parametrize("name", ["REMOTE_TRANSCRIBER_API_KEY", "TRANSCRIBER_API_KEY", "API_KEYS", "API_TOKEN"])
@pytest.mark.parametrize("key", ["schlüssel", "a\x07b", "a\nb"])
def test_key_that_no_header_carries_stops_the_start(monkeypatch, capsys, name, key):
    """One line that names the variable and what is allowed, not the key."""
    monkeypatch.setenv(name, key)
    assert serve() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert "ASCII" in line
    assert key not in line


def test_white_space_around_keys_and_address_is_no_part_of_them(monkeypatch):
    """A value read from a file ends in a new line."""
    monkeypatch.setenv("REMOTE_TRANSCRIBER_API_KEY", " k\r\n")
    monkeypatch.setenv("REMOTE_TRANSCRIBER_URL", "http://[::1]:8000/v1\n")
    assert GatewaySettings().remote_key == "k"
    assert GatewaySettings().remote_transcriber_url == "http://[::1]:8000/v1"


def test_every_setting_is_documented():
    """docs/settings.md has a row for each variable of the gateway, and no other."""
    table = DOCS.read_text(encoding="utf-8").partition("\n## Live gateway\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert named == {name.upper() for name in GatewaySettings.model_fields}
