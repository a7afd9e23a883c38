import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.commands.streaming import serve, stream_policy
from app.core.errors import StartupError
from app.live.policy.stream_policy import StreamPolicy
from app.ops.addresses import is_loopback
from app.settings.gateway import GatewaySettings, load_gateway_settings
from app.settings.worker import load_settings

DOCS = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
GATEWAY_KEYS = ["REMOTE_TRANSCRIBER_API_KEY", "TRANSCRIBER_API_KEY", "STREAMING_API_KEYS", "WHISPERLIVE_API_KEY"]


def test_defaults_are_the_policy():
    """Without any setting the commit policy has its documented defaults."""
    policy = stream_policy(GatewaySettings())
    assert policy == StreamPolicy(full_s=policy.full_s)
    assert policy.full_s == pytest.approx(StreamPolicy().full_s, abs=0.5)


def test_names_of_both_generations(monkeypatch):
    """Vexa's names work; the short one wins."""
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


def test_keys_of_the_service_protect_the_gateway_too(monkeypatch):
    """With one environment for both, API_KEYS protects the gateway too, unless STREAMING_API_KEYS is set."""
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
    """Compose passes unset variables as empty strings."""
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
        ("MAX_STREAMS_PER_KEY", "-1"),
        ("MAX_STREAMS_PER_ADDRESS", "many"),
        ("FORWARDED_ALLOW_IPS", "nginx"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_bad_value_stops_the_start(monkeypatch, capsys, name, value):
    """A value out of bounds is one line that names the variable, and status 2."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        GatewaySettings()
    assert serve() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name}={value!r} is not allowed: " in line


@pytest.mark.parametrize("name", [*GATEWAY_KEYS, "API_KEYS", "API_TOKEN"])
@pytest.mark.parametrize("key", ["schlüssel", "a\x07b", "a\nb"])
def test_key_that_no_header_carries_stops_the_start(monkeypatch, capsys, name, key):
    """One line that names the variable and what is allowed, not the key."""
    monkeypatch.setenv(name, key)
    assert serve() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert name in line
    assert "ASCII" in line
    assert key not in line


@pytest.mark.parametrize("name", ["API_KEYS", "API_TOKEN"])
def test_worker_and_gateway_refuse_the_same_keys(monkeypatch, name):
    """One rule for both: a key that no header carries stops the start of either."""
    monkeypatch.setenv(name, "sk-good, schlüssel")
    for read in (load_settings, load_gateway_settings):
        with pytest.raises(StartupError, match=rf"^{name}=\(hidden\) is not allowed: a key must consist of") as refused:
            read()
        assert "schl" not in str(refused.value)


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({}, 50),
        ({"MAX_CLIENTS": "1"}, 1),
        ({"MAX_STREAMS_PER_ADDRESS": "7"}, 7),
        ({"STREAMING_API_KEYS": "one"}, 0),
        ({"API_KEYS": "one", "STREAMING_API_KEYS": "open"}, 50),
        ({"STREAMING_API_KEYS": "one", "MAX_STREAMS_PER_ADDRESS": "7"}, 7),
    ],
)
def test_one_address_gets_half_of_an_open_gateway(monkeypatch, environment, limit):
    """Without keys one stranger cannot take every place; with keys a fleet behind one address may have all."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert GatewaySettings().streams_per_address == limit


def test_it_listens_on_this_machine_only_unless_set(monkeypatch):
    """Like the worker; an address that others can reach is a decision."""
    assert is_loopback(GatewaySettings().streaming_host)
    assert is_loopback("::1")
    assert is_loopback("localhost")
    for host in ("0.0.0.0", "::", "192.168.1.2", "gateway.example"):  # noqa: S104  compared, not bound
        assert not is_loopback(host)


def test_origins(monkeypatch):
    """As browsers send them: lower case, without a slash at the end."""
    monkeypatch.setenv("STREAMING_ORIGINS", " https://App.example/ ,chrome-extension://abc,")
    assert GatewaySettings().origins == ("https://app.example", "chrome-extension://abc")
    monkeypatch.delenv("STREAMING_ORIGINS")
    assert GatewaySettings().origins == ()


def test_every_field_has_a_description():
    """Each is a sentence."""
    incomplete = [
        name for name, info in GatewaySettings.model_fields.items() if not (info.description or "").endswith(".")
    ]
    assert incomplete == []


def test_white_space_around_keys_and_address_is_no_part_of_them(monkeypatch):
    """A value read from a file ends in a line break."""
    monkeypatch.setenv("REMOTE_TRANSCRIBER_API_KEY", " k\r\n")
    monkeypatch.setenv("REMOTE_TRANSCRIBER_URL", "http://[::1]:8000/v1\n")
    assert GatewaySettings().remote_key == "k"
    assert GatewaySettings().remote_transcriber_url == "http://[::1]:8000/v1"


def test_every_setting_is_documented():
    """docs/settings.md has a row for each variable of the gateway, and no other."""
    table = DOCS.read_text(encoding="utf-8").partition("\n## Live gateway\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert named == {name.upper() for name in GatewaySettings.model_fields}
