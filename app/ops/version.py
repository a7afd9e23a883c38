"""The version of the product, in this one place: the health routes, the metrics and the OpenAPI documents read it.

pyproject.toml and the Helm chart repeat it, and a test compares them.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
