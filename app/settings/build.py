"""The one setting that all three servers share: which build they are."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings


class BuildSettings(BaseSettings):
    """A part of each server's settings."""

    build_revision: str = Field(
        default="",
        max_length=64,
        description="Commit that an image was built from, shown in the metrics; image builds set it.",
    )
