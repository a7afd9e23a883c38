"""Tests follow the source: app/engine/batcher.py -> tests/engine/test_batcher.py."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted(path.relative_to(ROOT / "app") for path in (ROOT / "app").rglob("*.py") if path.name != "__init__.py")
TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
# Source -> the test that covers it instead, because it only runs as a whole process or holds only values.
ELSEWHERE = {
    "cluster/__main__.py": "tests/cluster/test_cluster_life.py",  # starts, failures and stops, as a user sees them
    "cluster/balancer.py": "tests/cluster/test_cluster_life.py",  # there is no nginx but the real one
    "cluster/supervisor.py": "tests/cluster/test_cluster.py",  # its decisions are plan's; the rest is real processes
    "__main__.py": "tests/e2e/test_process.py",  # the command line, run as people run it
    "start.py": "tests/e2e/test_process.py",  # ports, first steps and exit codes need a process
    "server.py": "tests/e2e/test_process.py",  # binding, signals and exit codes need a process
    "errors.py": "tests/api/test_errors.py",  # classes without behaviour; their table is what matters
    "options.py": "tests/api/test_forms.py",  # a value type; forms make it
    "streaming/__main__.py": "tests/e2e/test_gateway_process.py",  # signals and exit codes need a process
    "streaming/policy.py": "tests/streaming/test_commit.py",  # a value type; every policy reads it
    "streaming/window.py": "tests/streaming/test_stream.py",  # value types; the stream makes and takes them
    "transcript.py": "tests/test_formats.py",  # value types; rendering reads every field
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
