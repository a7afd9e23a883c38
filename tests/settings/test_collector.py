from __future__ import annotations

import pytest

from app.core.errors import StartupError
from app.settings.collector import CollectorSettings, load_collector_settings


def test_defaults_serve_one_machine():
    """Loopback, an embedded database and the local Redis."""
    settings = CollectorSettings()
    assert (settings.collector_host, settings.collector_port) == ("127.0.0.1", 8001)
    assert settings.database_url.get_secret_value() == "sqlite:///collector.db"
    assert settings.redis_address == "redis://127.0.0.1:6379/0"
    assert settings.keys == ()


def test_short_names_of_the_address_yield(monkeypatch: pytest.MonkeyPatch):
    """HOST and PORT work, but the worker may share the environment: the longer names win."""
    monkeypatch.setenv("HOST", "10.0.0.1")
    monkeypatch.setenv("PORT", "8000")
    assert (CollectorSettings().collector_host, CollectorSettings().collector_port) == ("10.0.0.1", 8000)
    monkeypatch.setenv("COLLECTOR_PORT", "8123")
    assert CollectorSettings().collector_port == 8123


def test_names_of_vexa(monkeypatch: pytest.MonkeyPatch):
    """An environment of Vexa's collector works."""
    monkeypatch.setenv("REDIS_HOST", "redis")
    monkeypatch.setenv("REDIS_PORT", "6380")
    monkeypatch.setenv("REDIS_PASSWORD", "p@ss/")
    monkeypatch.setenv("ADMIN_TOKEN", "secret")
    monkeypatch.setenv("IMMUTABILITY_THRESHOLD", "12")
    monkeypatch.setenv("DATABASE_URL", "postgres://u:p@db/x")
    settings = CollectorSettings()
    assert settings.redis_address == "redis://:p%40ss%2F@redis:6380/0"
    assert settings.meeting_token_secret.get_secret_value() == "secret"
    assert settings.draft_promote_s == 12
    assert settings.database_url.get_secret_value() == "postgresql://u:p@db/x"
    monkeypatch.setenv("REDIS_URL", "redis://other/1")
    assert CollectorSettings().redis_address == "redis://other/1"
    monkeypatch.setenv("REDIS_URL", "unix:///run/redis.sock")
    assert CollectorSettings().redis_address == "unix:///run/redis.sock"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "http://redis"),
        ("REDIS_URL", "redis://:0"),
        ("REDIS_URL", "redis://h:99999"),
        ("DATABASE_URL", "mysql://db/x"),
        ("COLLECTOR_PORT", "70000"),
        ("RETENTION_DAYS", "-1"),
        ("COLLECTOR_API_KEYS", "schlüssel"),
        ("COLLECTOR_MIGRATE", "maybe"),
    ],
)
def test_unusable_values_stop_the_start(monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    """One line that names the variable; a secret value is not shown."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError, match=f"{name}.*is not allowed") as refused:
        load_collector_settings()
    secret = name in {"REDIS_URL", "DATABASE_URL", "COLLECTOR_API_KEYS"}
    assert (value in str(refused.value)) is not secret


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch):
    """Keys, passwords and addresses that may hold one."""
    for name in ("COLLECTOR_API_KEYS", "INTERNAL_API_SECRET", "MEETING_TOKEN_SECRET", "REDIS_PASSWORD"):
        monkeypatch.setenv(name, "hidden-value")
    monkeypatch.setenv("REDIS_URL", "redis://:hidden-value@h/0")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:hidden-value@h/x")
    assert "hidden-value" not in repr(CollectorSettings())
