"""The services of the application that a request came to."""

from __future__ import annotations

from fastapi import Request

from app.collector.services import Services


def services_of(request: Request) -> Services:
    """What `create_app` was given."""
    services: Services = request.app.state.services
    return services
