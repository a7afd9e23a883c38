"""Tests follow the source: app/engine/vad.py -> tests/engine/test_vad.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import SLOW

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path.relative_to(ROOT / "app") for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py")
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
# Source -> the test that covers it instead, because it only runs as a whole process or holds only values.
ELSEWHERE = {
    "__main__.py": "tests/e2e/test_process.py",  # the command line, run as people run it
    "cluster/balancer.py": "tests/cluster/test_cluster_life.py",  # there is no nginx but the real one
    "collector/wire/errors.py": "tests/collector/wire/test_segments_entry.py",  # raised there, reason by reason
    "collector/api/app.py": "tests/collector/api/routes/test_health.py",  # wiring; every test of a route runs it
    "collector/api/state.py": "tests/collector/api/routes/test_health.py",  # one line that every route runs
    "collector/live/drafts.py": "tests/collector/live/test_service.py",  # sessions and channels of a real Redis
    "collector/live/feed.py": "tests/collector/live/test_service.py",  # passes messages on; readers show it
    "collector/live/subscription.py": "tests/collector/live/test_service.py",  # what a client gets, slow or not
    "collector/errors.py": "tests/collector/test_fakes.py",  # classes without behaviour
    "collector/services.py": "tests/collector/api/routes/test_health.py",  # value types
    "collector/storage.py": "tests/collector/test_fakes.py",  # signatures
    "commands/collect.py": "tests/e2e/test_collector_process.py",  # signals and exit codes need a process
    "commands/serve.py": "tests/e2e/test_process.py",  # ports, first steps and exit codes need a process
    "commands/streaming.py": "tests/e2e/test_gateway_process.py",  # signals and exit codes need a process
    "collector/store/bulk.py": "tests/collector/store/test_apply.py",  # statements; what they write is read there
    "collector/store/complete.py": "tests/collector/store/test_apply.py",  # as above
    "collector/store/migrations/env.py": "tests/collector/store/test_migrate.py",  # Alembic runs it
    "collector/store/migrations/versions/revision_0001.py": "tests/collector/store/test_migrate.py",  # as above
    "collector/store/repeats.py": "tests/collector/store/test_apply.py",  # what is hidden shows after a batch
    "collector/store/rooms.py": "tests/collector/store/test_apply.py",  # its decisions: test_places.py
    "collector/store/save.py": "tests/collector/store/test_apply.py",  # statements; what they write is read there
    "collector/store/speakers.py": "tests/collector/store/test_apply.py",  # the names show after a batch
    "collector/store/state.py": "tests/collector/store/test_apply.py",  # statements; what they read is merged there
    "collector/store/tables.py": "tests/collector/store/test_migrate.py",  # compared with the migrated database
    "core/errors.py": "tests/http/response/test_errors.py",  # classes without behaviour; their table is what matters
    "core/options.py": "tests/http/request/test_parse.py",  # a value type; parse makes it
    "core/transcript.py": "tests/http/response/test_formats.py",  # value types; rendering reads every field
    "http/server.py": "tests/e2e/test_process.py",  # binding, signals and exit codes need a process
    "ops/process.py": "tests/e2e/test_process.py",  # ending a process needs one
    "live/policy/stream_policy.py": "tests/live/policy/test_agreement.py",  # a value type; every policy reads it
}


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_source_has_its_test(source: Path):
    """A file is tested by the file of its name, or the exception says where and why."""
    mirrored = Path("tests") / source.parent / f"test_{source.name}"
    expected = ROOT / ELSEWHERE.get(str(source), mirrored)
    assert expected.is_file(), f"app/{source} has no {expected.relative_to(ROOT)}"


def test_exceptions_are_needed():
    """Who is listed exists and has no test of its own."""
    for source in ELSEWHERE:
        assert (ROOT / "app" / source).is_file()
        assert not (ROOT / "tests" / Path(source).parent / f"test_{Path(source).name}").is_file()


@pytest.mark.parametrize("test", TESTS, ids=str)
def test_every_test_says_what_is_expected(test: Path):
    """Each test function has a docstring."""
    tree = ast.parse((ROOT / test).read_text(encoding="utf-8"))
    silent = [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_packages_hold_no_code():
    """`__init__.py` files are empty, so importing a package runs nothing."""
    assert [str(path) for path in (ROOT / "app").rglob("__init__.py") if path.read_text(encoding="utf-8").strip()] == []


def test_slow_tests_exist():
    """Each path that is marked as slow is there."""
    assert [path for path in SLOW if not (ROOT / "tests" / path).exists()] == []
