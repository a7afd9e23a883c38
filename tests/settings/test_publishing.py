from typing import get_args

import pytest

from app.contracts.collector import SEGMENTS_STREAM, SPEAKER_EVENTS_STREAM
from app.core.errors import StartupError
from app.live.publish.dialects import DIALECTS
from app.settings.gateway import GatewaySettings, load_gateway_settings
from app.settings.publishing import PublishingSettings


def test_nothing_is_published_by_default():
    """Without REDIS_URL there is no Redis."""
    assert GatewaySettings().redis_url.get_secret_value() == ""


def test_names_of_vexa(monkeypatch):
    """REDIS_STREAM_URL is another name for REDIS_URL, which wins."""
    monkeypatch.setenv("REDIS_STREAM_URL", "redis://a:6379/0/transcription_segments")
    assert GatewaySettings().redis_url.get_secret_value() == "redis://a:6379/0/transcription_segments"
    monkeypatch.setenv("REDIS_URL", "redis://b:6379/0\n")
    assert GatewaySettings().redis_url.get_secret_value() == "redis://b:6379/0"


def test_defaults_are_those_of_the_contract():
    """The streams that the collector reads, and every dialect that there is."""
    settings = GatewaySettings()
    assert settings.redis_stream_key == SEGMENTS_STREAM
    assert settings.redis_speaker_events_relative_stream_key == SPEAKER_EVENTS_STREAM
    assert get_args(PublishingSettings.model_fields["redis_dialect"].annotation) == tuple(DIALECTS)


@pytest.mark.parametrize(
    "url", ["redis:6379", "http://redis:6379", "redis://", "redis://h:port", "redis://h:0", "unix://"]
)
def test_an_address_of_no_redis_stops_the_start(monkeypatch, url):
    """With one line that names the variables and not the value, which may contain a password."""
    monkeypatch.setenv("REDIS_URL", url)
    with pytest.raises(StartupError, match=r"REDIS_URL or REDIS_STREAM_URL=\(hidden\) is not allowed"):
        load_gateway_settings()


@pytest.mark.parametrize("url", ["redis://h", "rediss://u:p@h:1/3", "redis://[::1]:6379/0", "unix:///run/redis.sock"])
def test_addresses(monkeypatch, url):
    """With and without password, port and database."""
    monkeypatch.setenv("REDIS_URL", url)
    assert GatewaySettings().redis_url.get_secret_value() == url
    assert url not in repr(GatewaySettings())
