"""Who may import whom: the floors of the house, read from the syntax trees.

The engine knows nothing of HTTP, the edge nothing of the model, settings are read in one place, and
no import runs in a circle. docs/architecture.md says why.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "app").rglob("*.py"))
NATIVE = {"ctranslate2", "faster_whisper", "av", "onnxruntime", "tokenizers"}
WEB = {"fastapi", "starlette", "uvicorn", "httpx"}
MAY_READ_SETTINGS = {
    "app.application",
    "app.loading",
    "app.server",
    "app.cli",
    "app.__main__",
    "app.start",
    "app.doctor",
    "app.fetch_model",
    "app.cluster.__main__",
}
# One loads it, the other calls it.
MAY_NAME_CTRANSLATE2 = {"app.engine.calls", "app.engine.model"}
# One changes the environment of the process before it starts, one reports it, the cluster hands its own on to
# its workers, and a container's check knows nothing but PORT.
MAY_NAME_THE_ENVIRONMENT = {"app.tuning", "app.doctor", "app.cluster.__main__", "app.healthcheck"}
# A cluster runs the workers and gateways of its own checkout, reads the settings of both and counts the same cores; a
# gateway shares nothing.
SHARED_WITH_THE_WORKER = {
    "app.streaming": ("app.contracts",),
    "app.cluster": ("app.settings", "app.streaming.settings", "app.errors", "app.engine.parallelism"),
}
MAY_AWAIT_IN_ENGINE = {"app.engine.engine", "app.engine.fake"}
# Each is a process and an image of its own: it meets the worker in app.contracts and on the wire.
OTHER_PROCESSES = ("app.streaming", "app.cluster")


def module_of(path: Path) -> str:
    """The dotted name of a file; a package is named like its `__init__`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module a syntax tree imports, wherever in the file; `from app import x` gives app.x."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            nested = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in nested)


IMPORTS = {module: set(imports(tree)) for module, tree in MODULES.items()}


def under(name: str, *packages: str) -> bool:
    """Is the name one of the packages, or inside one?"""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def importers(target: str) -> set[str]:
    """The modules that import a module or anything inside it."""
    return {module for module, names in IMPORTS.items() if any(under(name, target) for name in names)}


def offenders(floor: tuple[str, ...], forbidden: set[str]) -> list[tuple[str, str]]:
    """The imports that a floor must not have."""
    return [
        (module, name)
        for module, names in sorted(IMPORTS.items())
        if under(module, *floor)
        for name in sorted(names)
        if under(name, *forbidden)
    ]


def test_the_walk_sees_the_house():
    """A rule over nothing would hold: the walk finds modules and known imports."""
    assert len(MODULES) > 20
    assert "app.engine.engine" in IMPORTS["app.application"]
    assert "app.languages" in IMPORTS["app.api.forms"]
    assert importers("ctranslate2")


def test_engine_and_audio_know_nothing_of_the_edge():
    """No web framework, no routes, no wire below the API."""
    floor = ("app.engine", "app.audio", "app.wav", "app.ffmpeg")
    assert offenders(floor, WEB | {"app.api", "app.contracts"}) == []


def test_edge_knows_nothing_of_the_model():
    """No model library, no arrays and no threads in the routes."""
    assert offenders(("app.api",), NATIVE | {"numpy", "threading", "concurrent"}) == []


def test_asyncio_in_the_engine_has_one_door():
    """The bridge and its fake await; everything else in the engine is plain blocking code."""
    assert {module for module in importers("asyncio") if under(module, "app.engine")} <= MAY_AWAIT_IN_ENGINE
    coroutines = {
        module for module, tree in MODULES.items()
        if under(module, "app.engine") and any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree))
    }  # fmt: skip
    assert coroutines <= MAY_AWAIT_IN_ENGINE


def test_settings_are_read_in_one_place():
    """Everything below the doors receives plain values, and nobody else asks the environment."""
    assert importers("app.settings") <= MAY_READ_SETTINGS
    readers = [
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    ]
    assert set(readers) <= MAY_NAME_THE_ENVIRONMENT


def test_ctranslate2_is_named_in_two_files():
    """One file loads the model's runtime and one calls it."""
    assert importers("ctranslate2") <= MAY_NAME_CTRANSLATE2


def test_pure_ground_floor():
    """Values, errors and options import nothing that runs: no framework, no numbers, no loop."""
    ground = (
        "app.errors",
        "app.options",
        "app.transcript",
        "app.languages",
        "app.formats",
        "app.events",
        "app.backlog",
        "app.api.fields",
        "app.api.chunking",
        "app.api.forms",
    )
    assert offenders(ground, WEB | NATIVE | {"numpy", "asyncio", "threading", "time", "os", "app.settings"}) == []


def test_formats_knows_one_thing_of_the_edge():
    """The renderer writes OpenAI's bodies and knows no route."""
    assert offenders(("app.formats", "app.events"), {"app.api", "app.engine"}) == []
    assert {name for name in IMPORTS["app.formats"] if under(name, "app.contracts")} == {"app.contracts.openai"}


def test_contracts_stand_alone():
    """What crosses a process boundary depends on nothing of the process."""
    assert [pair for pair in offenders(("app.contracts",), {"app"}) if not under(pair[1], "app.contracts")] == []


def test_other_processes_meet_the_worker_in_contracts_only():
    """A gateway's image holds no engine; the worker imports no gateway."""
    for package in OTHER_PROCESSES:
        theirs = offenders((package,), {"app"})
        assert [pair for pair in theirs if not under(pair[1], package, *SHARED_WITH_THE_WORKER[package])] == []
        # `python -m app` opens their doors and enters no further.
        outside = [module for module in importers(package) if not under(module, package)]
        reads = {"app.cluster.__main__"} if package == "app.streaming" else set()
        assert set(outside) <= {"app.__main__"} | reads
        opened = {name for name in IMPORTS["app.__main__"] if under(name, package)}
        assert opened <= {f"{package}.__main__", f"{package}.listen"}


def test_live_policy_is_pure():
    """What a stream decides needs no loop, no clock, no socket and no library of either."""
    names = "stream planning window buffer activity dead arrivals commit overlap context sentences language"
    floor = tuple(f"app.streaming.{name}" for name in f"{names} hypothesis policy protocol captions wav".split())
    assert offenders(floor, WEB | {"asyncio", "time", "websockets", "prometheus_client", "threading", "random"}) == []
    assert all(module in MODULES for module in floor)


def test_websocket_library_has_two_doors():
    """One for the gateway, one for the live client; sessions see a protocol of four methods."""
    assert importers("websockets") <= {"app.streaming.server", "app.streaming.client"}
    assert importers("app.streaming.settings") <= {
        "app.streaming.__main__", "app.streaming.listen", "app.cluster.__main__"
    }  # fmt: skip


@pytest.mark.parametrize("door", ["app.__main__", "main"])
def test_nothing_imports_a_door(door: str):
    """Doors are opened from outside."""
    assert {module for module, names in IMPORTS.items() if door in names} == set()


def test_no_import_circle():
    """Take away what imports nothing of the rest, again and again: nothing may remain."""
    waiting = {
        module: {name for name in names if name in MODULES and name != "app"} for module, names in IMPORTS.items()
    }
    while free := {module for module, names in waiting.items() if not names}:
        waiting = {module: names - free for module, names in waiting.items() if module not in free}
    assert sorted(waiting) == []
