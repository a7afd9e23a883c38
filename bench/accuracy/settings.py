"""Names of settings -> designs and environments: `stock+vad`, `full`, `auto+beam1`, `full+NAME=value`. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Design = Literal["stock", "engine", "server"]

# The first word: which design, and what it starts from. faster-whisper leaves the VAD off unless asked.
BEAM_5 = {"BEAM_SIZE": "5"}
STARTS: Mapping[str, tuple[Design, Mapping[str, str]]] = {
    "stock": ("stock", {**BEAM_5, "VAD_FILTER": "false"}),
    "full": ("engine", {**BEAM_5, "VAD_FILTER": "true", "AUDIO_CONTEXT": "full"}),
    "auto": ("engine", {**BEAM_5, "VAD_FILTER": "true", "AUDIO_CONTEXT": "auto"}),
    "server": ("server", {}),
}
CHANGES: Mapping[str, Mapping[str, str]] = {
    "vad": {"VAD_FILTER": "true"},
    "novad": {"VAD_FILTER": "false"},
    "beam1": {"BEAM_SIZE": "1"},
    "beam5": BEAM_5,
}
# A running server reads these from a request; the rest is set where it starts.
REQUEST_FIELDS = {"VAD_FILTER": "vad_filter", "BEAM_SIZE": "beam_size"}
BASELINE = "stock"
REFERENCE = "full"
STOCK_NAMES = ("stock", "stock+vad")
ENGINE_NAMES = ("full", "auto", "full+novad", "full+beam1")
SERVER_NAMES = ("server",)


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of the comparison.

    Attributes:
        name: as it was given.
        environment: what its process is configured with; for a server, request fields come from it.
    """

    name: str
    design: Design
    environment: Mapping[str, str]

    @property
    def fields(self) -> dict[str, str]:
        """What a request to a server says beside its audio."""
        return {REQUEST_FIELDS[name]: value for name, value in self.environment.items()}


def settings_of(names: Sequence[str]) -> list[Setting]:
    """The settings with these names, without repetitions.

    Raises:
        ValueError: a name is unknown, with those that are known.
    """
    return [_setting(name) for name in dict.fromkeys(names)]


def default_names(*, engine: bool, server: bool) -> tuple[str, ...]:
    """Stock faster-whisper, and the designs that were asked for."""
    return (*STOCK_NAMES, *(ENGINE_NAMES if engine else ()), *(SERVER_NAMES if server else ()))


def reference_of(names: Sequence[str]) -> str | None:
    """The setting whose texts the others are compared with: `full`, else the first that is not stock."""
    ours = [name for name in names if name.split("+")[0] != "stock"]
    return REFERENCE if REFERENCE in ours else next(iter(ours), None)


def _setting(name: str) -> Setting:
    start, *changes = name.split("+")
    if start not in STARTS:
        raise ValueError(f"--settings {name}: begin with one of {', '.join(STARTS)}")
    design, start_environment = STARTS[start]
    environment = dict(start_environment)
    for change in changes:
        variable, equals, value = change.partition("=")
        if not equals and change not in CHANGES:
            raise ValueError(f"--settings {name}: after + comes one of {', '.join(CHANGES)}, or NAME=value")
        environment |= {variable: value} if equals else CHANGES[change]
    fixed = [variable for variable in environment if design == "server" and variable not in REQUEST_FIELDS]
    if fixed:
        raise ValueError(f"--settings {name}: start the server with {', '.join(fixed)}; a request cannot change it")
    return Setting(name, design, environment)
