from __future__ import annotations

from pathlib import Path

from app.settings.worker import WorkerSettings

ROOT = Path(__file__).resolve().parents[1]


def test_every_setting_is_documented() -> None:
    """README and .env.example name each variable."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name in WorkerSettings.model_fields:
        assert f"| `{name.upper()}` |" in readme, name
        assert f"\n{name.upper()}=" in example, name


def test_the_example_configuration_is_valid() -> None:
    """Copying .env.example to .env changes nothing."""
    example = WorkerSettings(_env_file=ROOT / ".env.example")
    assert WorkerSettings(_env_file=None) == example
