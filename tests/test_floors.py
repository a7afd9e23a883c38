"""Who may import whom, read from the syntax trees.

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
# The rooms of app/, and the rooms that each may import: itself and those below it, nothing else.
ROOMS = {
    "core": set[str](),
    "contracts": {"core"},
    "ops": {"core"},
    "audio": {"core", "ops"},
    "settings": {"core", "ops"},
    "engine": {"core", "ops", "audio", "settings"},
    "http": {"core", "ops", "contracts", "settings", "engine"},
    "live": {"core", "ops", "contracts"},
    "collector": {"core", "ops", "contracts"},
    "cluster": {"core", "ops"},
    "commands": {"core", "ops", "audio", "settings", "engine", "http", "live", "collector", "cluster", "contracts"},
}
MAY_READ_SETTINGS = ("app.commands", "app.engine.build", "app.http.app", "app.http.server")
# One changes the environment of the process before it starts, one reports it, the cluster hands its own on to
# its workers, a container's check knows nothing but PORT, tests tell the collector where to die, and OpenTelemetry's
# variables are the same for every program.
MAY_NAME_THE_ENVIRONMENT = {
    "app.ops.tuning",
    "app.commands.doctor",
    "app.commands.cluster",
    "app.commands.healthcheck",
    "app.commands.collect",
    "app.ops.tracing_setup",
}
MAY_AWAIT_IN_ENGINE = {"app.engine.engine", "app.engine.fake", "app.engine.idle_memory"}


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


def test_the_walk_sees_the_code():
    """A rule over nothing would hold: the walk finds modules and known imports."""
    assert len(MODULES) > 20
    assert "app.engine.engine" in IMPORTS["app.http.app"]
    assert "app.core.languages" in IMPORTS["app.http.request.options"]
    assert importers("ctranslate2")


def test_every_file_is_in_a_room():
    """Nothing lies loose in app/ but the command line."""
    assert {module.split(".")[1] for module in MODULES if "." in module} == {*ROOMS, "__main__"}
    assert [path.name for path in (ROOT / "app").glob("*.py")] == ["__init__.py", "__main__.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_imports_only_go_down(room: str):
    """A room imports itself and the rooms below it."""
    allowed = {f"app.{name}" for name in (*ROOMS[room], room)}
    assert [pair for pair in offenders((f"app.{room}",), {"app"}) if not under(pair[1], *allowed)] == []


def test_the_command_line_imports_commands_only():
    """`python -m app` parses arguments; what a command does stands in app/commands."""
    inside = {name for name in IMPORTS["app.__main__"] if under(name, "app")}
    assert inside <= {name for name in MODULES if under(name, "app.commands")} | {"app.ops.process"}


def test_engine_and_audio_know_nothing_of_http():
    """No web framework below the HTTP room."""
    assert offenders(("app.core", "app.ops", "app.audio", "app.engine"), WEB) == []


def test_http_knows_nothing_of_the_model():
    """No model library, no arrays and no threads where requests are read and answered."""
    floor = ("app.http.request", "app.http.response", "app.http.routes", "app.http.middleware", "app.http.state")
    assert offenders(floor, NATIVE | {"numpy", "threading", "concurrent"}) == []


def test_asyncio_in_the_engine_has_one_file():
    """The bridge, its timer and its fake await; everything else in the engine is plain blocking code."""
    assert {module for module in importers("asyncio") if under(module, "app.engine")} <= MAY_AWAIT_IN_ENGINE
    coroutines = {
        module for module, tree in MODULES.items()
        if under(module, "app.engine") and any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(tree))
    }  # fmt: skip
    assert coroutines <= MAY_AWAIT_IN_ENGINE


def test_settings_are_read_in_one_place():
    """Everything below the commands receives plain values, and nobody else asks the environment."""
    readers = {module for module in importers("app.settings") if not under(module, "app.settings")}
    assert [module for module in readers if not under(module, *MAY_READ_SETTINGS)] == []
    askers = {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv", "environb"}
    }
    assert askers <= MAY_NAME_THE_ENVIRONMENT


def test_opentelemetry_is_named_in_one_file():
    """It is optional, and everything else knows spans of our own; that file is reached at run time only."""
    assert importers("opentelemetry") == {"app.ops.tracing_otel"}
    assert importers("app.ops.tracing_otel") == {"app.ops.tracing_setup"}


def test_ctranslate2_is_named_by_its_model_family_only():
    """Other model families stand beside it; nothing outside names the library."""
    assert [module for module in importers("ctranslate2") if not under(module, "app.engine.whisper")] == []


def test_core_is_pure():
    """Values, errors and options import nothing that runs: no framework, no loop, no clock, no files."""
    runs = WEB | NATIVE | {"asyncio", "threading", "time", "os", "pathlib", "logging"}
    pure = ("app.core", "app.http.request.fields", "app.http.request.options", "app.http.request.parse")
    assert (
        offenders((*pure, "app.http.response.formats", "app.http.response.events", "app.http.retry_after"), runs) == []
    )


def test_other_processes_start_without_the_engine():
    """A gateway's image holds no engine: what starts it imports none, however far away."""
    for command in (
        "app.commands.streaming",
        "app.commands.collect",
        "app.commands.cluster",
        "app.commands.monitor",
        "app.commands.healthcheck",
    ):
        reached, waiting = set[str](), [command]
        while waiting:
            module = waiting.pop()
            if module not in reached:
                reached.add(module)
                waiting += [name for name in IMPORTS[module] if name in MODULES]
        assert [name for name in sorted(reached) if under(name, "app.engine", "app.http", "app.audio")] == []


def test_live_policy_is_pure():
    """What a stream decides needs no loop, no clock, no socket and no library of either."""
    floor = ("app.live.policy", "app.live.protocols")
    assert offenders(floor, WEB | {"asyncio", "time", "websockets", "prometheus_client", "threading", "random"}) == []


def test_publishing_decides_without_a_loop():
    """What is written to Redis needs no loop, no clock and no socket; the publisher and its link have them."""
    names = ("backlog", "clock", "dialects", "payloads", "recorder", "speaker_events")
    pure = tuple(f"app.live.publish.{name}" for name in names)
    assert offenders(pure, WEB | {"asyncio", "time", "redis", "prometheus_client", "threading", "random", "os"}) == []


def test_redis_is_named_in_one_file_of_the_gateway_and_of_the_worker():
    """Without REDIS_URL nothing imports it: both reach that file at run time only."""
    assert {module for module in importers("redis") if not under(module, "app.collector")} == {
        "app.http.key_limits.redis_counters",
        "app.live.publish.link",
    }


def test_websocket_library_is_used_in_two_files():
    """One for the gateway, one for the live client; sessions see a protocol of four methods."""
    assert importers("websockets") <= {"app.live.server", "app.live.client.client"}


def test_redis_is_named_where_it_is_used():
    """One package of the collector, one of the gateway and one of the worker; others get clients and values."""
    named_in = ("app.collector.redis_io", "app.http.key_limits", "app.live.publish")
    assert [module for module in importers("redis") if not under(module, *named_in)] == []


def test_counting_has_its_package():
    """Only the limits of keys name the library that counts; how periods and headers are made is pure."""
    assert importers("limits")
    assert [module for module in importers("limits") if not under(module, "app.http.key_limits")] == []
    pure = ("app.http.key_limits.periods", "app.ops.keys", "app.ops.keys_format")
    assert offenders(pure, WEB | {"asyncio", "time", "limits", "redis", "os", "pathlib", "logging"}) == []


def test_the_database_library_is_named_by_the_store_only():
    """The rest of the collector sees a store; another database library would change one package."""
    for library in ("sqlalchemy", "alembic"):
        assert importers(library)
        assert [module for module in importers(library) if not under(module, "app.collector.store")] == []


def test_what_the_store_decides_is_pure():
    """Merging, placing and searching words know no database, no loop and no clock."""
    names = ("merge", "places", "tombstones", "remap", "search_words", "snippets", "cursors")
    floor = tuple(f"app.collector.store.{name}" for name in names)
    assert set(floor) <= set(MODULES)
    assert offenders(floor, WEB | {"sqlalchemy", "asyncio", "time", "app.collector.store.state"}) == []


@pytest.mark.parametrize("entry", ["app.__main__", "main"])
def test_nothing_imports_an_entry_point(entry: str):
    """They are run from outside."""
    assert {module for module, names in IMPORTS.items() if entry in names} == set()


def test_no_import_circle():
    """Take away what imports nothing of the rest, again and again: nothing may remain."""
    waiting = {
        module: {name for name in names if name in MODULES and name != "app"} for module, names in IMPORTS.items()
    }
    while free := {module for module, names in waiting.items() if not names}:
        waiting = {module: names - free for module, names in waiting.items() if module not in free}
    assert sorted(waiting) == []


def test_what_the_collector_reads_and_renders_is_pure():
    """No clock, no event loop, no database and no socket where entries are read and answers are written."""
    pure = ("wire", "render", "tokens", "speakers", "overlap", "facts", "rows")
    floor = tuple(f"app.collector.{name}" for name in pure)
    assert offenders(floor, {"asyncio", "time", "socket", "threading", "sqlalchemy", "alembic", "redis"} | WEB) == []


def test_rules_of_the_live_push_are_pure():
    """Gaps, queues and drafts are decided without a loop, a clock, a socket or Redis."""
    names = ("gaps", "queue", "draft_board", "draft_message", "view", "socket_protocol", "sse")
    floor = tuple(f"app.collector.live.{name}" for name in names)
    assert offenders(floor, WEB | {"asyncio", "time", "redis", "app.collector.redis_io", "app.collector.store"}) == []
    assert offenders(("app.collector.live",), {"redis", "sqlalchemy", "fastapi", "starlette"}) == []
