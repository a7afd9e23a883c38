"""`python -m app healthcheck [PATH]`: exit with 0 if the local server answers 200 to GET PATH, else with 1.

For containers: slim images have no curl. It uses only the standard library, so that a check every ten seconds is cheap.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Mapping, Sequence

DEFAULT_PATH = "/health/live"
DEFAULT_PORT = "8000"
TIMEOUT_S = 3.0


def main(arguments: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Send the request to `127.0.0.1:PORT`; return the exit code."""
    path = arguments[0] if arguments else DEFAULT_PATH
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
