"""The version stands in one place; everything that repeats it is compared with that place here."""

from __future__ import annotations

import tomllib
from pathlib import Path

import yaml

from app.ops.version import VERSION
from tests.clients import Worker

ROOT = Path(__file__).resolve().parents[2]


def test_pyproject_has_the_version_of_the_code():
    """The package's metadata say what the process reports."""
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_the_chart_has_the_version_of_the_code():
    """The chart is released with the images: its version and its appVersion are the code's."""
    chart = yaml.safe_load((ROOT / "deploy/helm/speech-to-text/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


async def test_health_and_openapi_report_the_version(open_worker: Worker):
    """GET /health and the OpenAPI document name the version that runs."""
    health = (await open_worker.client.get("/health")).json()
    document = (await open_worker.client.get("/openapi.json")).json()
    assert (health["version"], document["info"]["version"]) == (VERSION, VERSION)
