"""What the application holds, for the request or socket that came to it."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from app.collector.live.service import Live
from app.collector.services import Services


def services_of(connection: HTTPConnection) -> Services:
    """What `create_app` was given."""
    services: Services = connection.app.state.services
    return services


def live_of(connection: HTTPConnection) -> Live:
    """The live push of this application."""
    live: Live = connection.app.state.live
    return live
