from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.errors import StartupError
from app.settings.explain import explain, load


class Example(BaseSettings):
    """Settings with a number, a value of two names, and a secret."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, populate_by_name=True)

    example_count: int = Field(default=1, ge=1, description="How many.")
    example_url: int = Field(default=0, validation_alias=AliasChoices("EXAMPLE_URL", "OLD_URL"))
    example_key: SecretStr = Field(default=SecretStr(""), description="A key.")

    @field_validator("example_key")
    @classmethod
    def _short(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) > 3:
            raise ValueError("must be short")
        return value


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` but the test's own."""
    monkeypatch.chdir(tmp_path)


def test_a_bad_value_is_one_line(monkeypatch: pytest.MonkeyPatch):
    """The variable, the value, what is allowed, and what the setting means."""
    monkeypatch.setenv("EXAMPLE_COUNT", "0")
    with pytest.raises(StartupError) as refused:
        load(Example)
    assert (
        str(refused.value) == "EXAMPLE_COUNT='0' is not allowed: input should be greater than or equal to 1 [How many.]"
    )


@pytest.mark.parametrize("name", ["EXAMPLE_URL", "OLD_URL"])
def test_a_setting_with_two_names_shows_both(monkeypatch: pytest.MonkeyPatch, name: str):
    """The operator may have set either of them."""
    monkeypatch.setenv(name, "x")
    with pytest.raises(StartupError, match=r"^EXAMPLE_URL or OLD_URL='x' is not allowed: "):
        load(Example)


def test_a_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    """The line names the variable and the rule, not the value."""
    monkeypatch.setenv("EXAMPLE_KEY", "hunter2")
    with pytest.raises(StartupError) as refused:
        load(Example)
    assert str(refused.value) == "EXAMPLE_KEY=(hidden) is not allowed: must be short [A key.]"


def test_every_bad_setting_has_its_line(monkeypatch: pytest.MonkeyPatch):
    """All are reported at once."""
    monkeypatch.setenv("EXAMPLE_COUNT", "x" * 1000)
    monkeypatch.setenv("OLD_URL", "y")
    with pytest.raises(ValidationError) as invalid:
        Example()
    count, url = explain(invalid.value, Example)
    assert count.startswith("EXAMPLE_COUNT='xxx")
    assert len(count) < 250
    assert url.startswith("EXAMPLE_URL or OLD_URL='y'")


def test_overrides_win(monkeypatch: pytest.MonkeyPatch):
    """The order is: call, environment, `.env`, default."""
    Path(".env").write_text("EXAMPLE_COUNT=2\nEXAMPLE_URL=5\n", encoding="utf-8")
    monkeypatch.setenv("EXAMPLE_COUNT", "3")
    assert (load(Example).example_count, load(Example).example_url) == (3, 5)
    assert load(Example, example_count=4).example_count == 4


def test_env_file_that_is_not_text_is_one_line():
    """A `.env` in another encoding stops the start with a sentence, not with a traceback."""
    Path(".env").write_bytes(b"EXAMPLE_KEY=schl\xfcssel\n")
    with pytest.raises(StartupError, match=r"^\.env: cannot be read as UTF-8 text"):
        load(Example)
