"""`python -m app healthcheck [PATH]`: exit 0 if the local server answers 200 there, else 1. For containers.

Standard library only, so that a check every ten seconds costs next to nothing; slim images have no curl.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping, Sequence

DEFAULT_PATH = "/health/live"
DEFAULT_PORT = "8000"
TIMEOUT_S = 3.0


def main(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Ask `127.0.0.1:PORT`; return the exit code."""
    path = words[0] if words else DEFAULT_PATH
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(environment.get("PORT") or DEFAULT_PORT), timeout=TIMEOUT_S
    )
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == http.client.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()
