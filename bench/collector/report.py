"""The results as a table beside their targets. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

Results = Mapping[str, Mapping[str, Any]]
DATABASES: Final = ("sqlite", "postgresql")
# What is shown, its targets on SQLite and PostgreSQL, the part that measures it, and where its number stands.
LINES: Final[tuple[tuple[str, str, str, str, Callable[[Any], Any]], ...]] = (
    ("new finals/s", "≥ 2000", "≥ 1500", "throughput", lambda r: r["new"]["entries_per_s"]),
    ("CPU s for 1000 new finals", "", "", "throughput", lambda r: r["new"]["cpu_s_per_1000"]),
    ("repeated finals/s", "≥ 8000", "≥ 6000", "throughput", lambda r: r["same"]["entries_per_s"]),
    ("XADD to REST at 60/s, p50 ms", "≤ 50", "≤ 50", "steady", lambda r: r["xadd_to_rest"]["p50_ms"]),
    ("XADD to REST at 60/s, p99 ms", "≤ 250", "≤ 250", "steady", lambda r: r["xadd_to_rest"]["p99_ms"]),
    ("CPU at 60/s, share of a core", "≤ 0.15", "≤ 0.20", "cpu", lambda r: r["cpu_share_of_a_core"]),
    ("memory at the start, MiB", "", "", "steady", lambda r: r["memory_mib"]["start"]),
    ("memory in the middle, MiB", "", "", "steady", lambda r: r["memory_mib"]["middle"]),
    ("memory at the end, MiB", "≤ 150", "≤ 150", "steady", lambda r: r["memory_mib"]["end"]),
    ("its slope in the second half, MiB/h", "0", "0", "steady", lambda r: r["memory_mib"]["slope_per_hour"]),
    ("database away for 60 s: caught up after s", "≤ 5", "≤ 5", "outage", lambda r: r["caught_up_s"]),
    ("GET of 3000 segments, p95 ms", "≤ 80", "≤ 80", "reading", lambda r: r["whole"]["p95_ms"]),
    ("the same unchanged (304), p95 ms", "≤ 5", "≤ 5", "reading", lambda r: r["unchanged"]["p95_ms"]),
    ("search in 1 M segments: rare word, p95 ms", "≤ 200", "≤ 150", "reading", lambda r: r["search_rare"]["p95_ms"]),
    ("frequent word, p95 ms", "≤ 200", "≤ 150", "reading", lambda r: r["search_frequent"]["p95_ms"]),
    ("two words, p95 ms", "≤ 200", "≤ 150", "reading", lambda r: r["search_two"]["p95_ms"]),
    ("phrase, p95 ms", "≤ 200", "≤ 150", "reading", lambda r: r["search_phrase"]["p95_ms"]),
    ("beginning of a word, p95 ms", "≤ 200", "≤ 150", "reading", lambda r: r["search_prefix"]["p95_ms"]),
    (
        "500 WebSocket clients: commit to client, p95 ms",
        "≤ 300",
        "≤ 300",
        "push",
        lambda r: r["after_commit"]["p95_ms"],
    ),
    ("XADD to client, p95 ms", "", "", "push", lambda r: r["after_xadd"]["p95_ms"]),
)


def table(results: Results) -> str:
    """The results in Markdown; what was not measured is left empty."""
    lines = ["| what | target SQLite | SQLite | target PostgreSQL | PostgreSQL |", "|---|---|---|---|---|"]
    for name, *targets, part, number in LINES:
        cells = [name]
        for database, target in zip(DATABASES, targets, strict=True):
            measured = results.get(part, {}).get(database)
            cells += [str(target), "" if measured is None else str(number(measured))]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
