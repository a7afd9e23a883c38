from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from app.core.errors import StartupError
from app.settings.worker import WorkerSettings, load_settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` but the test's own."""
    monkeypatch.chdir(tmp_path)


def test_defaults_are_the_documented_ones():
    """An empty environment gives a local worker, open, that fails fast."""
    settings = load_settings()
    assert (settings.host, settings.port, settings.worker_id) == ("127.0.0.1", 8000, "1")
    assert (settings.model_size, settings.device, settings.compute_type) == ("auto", "auto", "int8")
    assert (settings.max_queue_size, settings.fail_fast_when_busy, settings.busy_retry_after_s) == (10, True, 1)
    assert settings.max_upload_bytes == 500 * 1024 * 1024
    assert settings.max_audio_seconds == 4 * 3600
    assert settings.keys == ()


def test_environment_wins_over_env_file_and_overrides_over_both(monkeypatch: pytest.MonkeyPatch):
    """Order: call, environment, `.env`, default."""
    Path(".env").write_text("PORT=1001\nWORKER_ID=from-file\nBEAM_SIZE=2\nSOMETHING_ELSE=1\n", encoding="utf-8")
    monkeypatch.setenv("PORT", "1002")
    monkeypatch.setenv("WORKER_ID", "from-environment")
    settings = load_settings(port=1003)
    assert (settings.port, settings.worker_id, settings.beam_size) == (1003, "from-environment", 2)


def test_empty_variable_is_the_default(monkeypatch: pytest.MonkeyPatch):
    """Compose files pass unset variables on as empty strings."""
    for name in WorkerSettings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert load_settings() == WorkerSettings(_env_file=None)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("PORT", "0", "greater than or equal to 1"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("DEVICE", "gpu", "'cuda' or 'cpu'"),
        ("COMPUTE_TYPE", "int9", "'int8_float16'"),
        ("CPU_THREADS", "-1", "greater than or equal to 0"),
        ("MAX_CONCURRENT_TRANSCRIPTIONS", "-1", "greater than or equal to 0"),
        ("MAX_QUEUE_SIZE", "1.5", "valid integer"),
        ("FAIL_FAST_WHEN_BUSY", "maybe", "valid boolean"),
        ("BUSY_RETRY_AFTER_S", "0", "greater than or equal to 1"),
        ("MAX_UPLOAD_BYTES", "10MB", "valid integer"),
        ("MAX_AUDIO_SECONDS", "nan", "less than or equal to"),
        ("MAX_AUDIO_SECONDS", "inf", "less than or equal to"),
        ("BEAM_SIZE", "0", "greater than or equal to 1"),
        ("VAD_FILTER", "2", "valid boolean"),
        ("VERBOSE_JSON_LANGUAGE", "iso", "'code' or 'name'"),
        ("LOG_LEVEL", "loud", "'warning' or 'error'"),
        ("LOG_FORMAT", "xml", "'json' or 'text'"),
        ("WORKER_ID", "w" * 65, "at most 64 characters"),
    ],
)
def test_bad_value_names_field_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
):
    """One line: the variable, what it was, what it may be."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartupError) as refused:
        load_settings()
    message = str(refused.value)
    assert message.startswith(f"{variable}={value!r} is not allowed: ")
    assert allowed in message
    assert "\n" not in message


def test_every_bad_field_is_named_at_once(monkeypatch: pytest.MonkeyPatch):
    """Several wrong settings are reported together, in one line."""
    monkeypatch.setenv("PORT", "x\ny\x1b[31m")
    monkeypatch.setenv("DEVICE", "tpu")
    with pytest.raises(StartupError) as refused:
        load_settings()
    message = str(refused.value)
    assert "PORT=" in message
    assert "DEVICE=" in message
    assert message.isprintable()


def test_env_file_that_is_not_text_is_one_line_too():
    """A `.env` in another encoding stops the start in words, not with a traceback."""
    Path(".env").write_bytes(b"API_KEYS=schl\xfcssel\n")
    with pytest.raises(StartupError, match=r"^\.env: cannot be read as UTF-8 text"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [("LOG_LEVEL", "INFO"), ("DEVICE", " CPU "), ("COMPUTE_TYPE", "Float16"), ("LOG_FORMAT", "JSON")],
)
def test_words_are_taken_in_any_case(monkeypatch: pytest.MonkeyPatch, variable: str, value: str):
    """LOG_LEVEL=INFO is how most people write it."""
    monkeypatch.setenv(variable, value)
    assert getattr(load_settings(), variable.lower()) == value.strip().lower()


def test_keys_of_both_names_are_one_list(monkeypatch: pytest.MonkeyPatch):
    """API_KEYS is a comma list, API_TOKEN an alias; blanks and repeats vanish."""
    monkeypatch.setenv("API_KEYS", " a, b ,,a")
    monkeypatch.setenv("API_TOKEN", "c")
    assert load_settings().keys == ("a", "b", "c")


def test_only_commas_are_no_keys():
    """A list of nothing leaves the server open, exactly as an empty one."""
    assert WorkerSettings(_env_file=None, api_keys=SecretStr(" , ,")).keys == ()


def test_keys_do_not_show_in_repr_or_json():
    """A settings object can be printed without giving a key away."""
    settings = WorkerSettings(_env_file=None, api_keys=SecretStr("sk-secret"), api_token=SecretStr("t0ken"))
    assert "sk-secret" not in f"{settings!r}{settings}{settings.model_dump_json()}"
    assert "t0ken" not in f"{settings!r}{settings}{settings.model_dump_json()}"


def test_settings_are_frozen():
    """Nobody turns a knob while the worker runs."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings().port = 1  # type: ignore[misc]


def test_every_field_says_what_it_does():
    """Each field has a description that is a sentence."""
    silent = [
        name for name, field in WorkerSettings.model_fields.items() if not (field.description or "").endswith(".")
    ]
    assert silent == []


def test_env_example_lists_every_setting_with_its_default():
    """`.env.example` names each variable once, none that does not exist, and copied it changes nothing."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    named = re.findall(r"(?m)^(?:# ?)?([A-Z_]+)=", example)
    others = ["COLLECTOR_HOST", "COLLECTOR_PORT"]  # or a collector that shares the file would take the worker's port
    assert sorted(named) == sorted([*others, *(name.upper() for name in WorkerSettings.model_fields)])
    Path(".env").write_text(example, encoding="utf-8")
    assert load_settings() == WorkerSettings(_env_file=None)


def test_origins_are_what_browsers_send():
    """Blanks and slashes at the end are people's habits; empty means none."""
    assert WorkerSettings(_env_file=None).origins == ()
    listed = WorkerSettings(_env_file=None, cors_origins=" https://a.example/ , app://obsidian.md,")
    assert listed.origins == ("https://a.example", "app://obsidian.md")
