from __future__ import annotations

import pytest

from app.settings.collector import load_collector_settings
from app.settings.gateway import load_gateway_settings
from app.settings.worker import load_settings


@pytest.mark.parametrize("load", [load_settings, load_gateway_settings, load_collector_settings])
def test_every_server_reads_the_revision_of_its_image(monkeypatch, load):
    """BUILD_REVISION is empty unless the image sets it."""
    monkeypatch.delenv("BUILD_REVISION", raising=False)
    assert load().build_revision == ""
    monkeypatch.setenv("BUILD_REVISION", "71c68e3")
    assert load().build_revision == "71c68e3"
