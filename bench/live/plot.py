"""Plot latency and word error rate over the number of clients, as SVG, without a library."""

from __future__ import annotations

from typing import Any

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 360, 60, 50, 40
COLOURS = {"first text p50": "#7aa6d8", "final p50": "#2a6db0", "final p95": "#123a63", "end lag p95": "#c2711f"}


def svg(levels: list[dict[str, Any]]) -> str:
    """One line per measure over the levels of a ramp, or points for a single run."""
    series = {
        "first text p50": [_get(level, "first_partial", "median") for level in levels],
        "final p50": [_get(level, "latency", "median") for level in levels],
        "final p95": [_get(level, "latency", "p95") for level in levels],
        "end lag p95": [_get(level, "eos_lag", "p95") for level in levels],
    }
    clients: list[int] = [level["target_clients"] for level in levels]
    top_s = max([value for values in series.values() for value in values if value is not None], default=1.0) * 1.1
    most: int = max(clients)

    def x(count: float) -> float:
        return LEFT + (WIDTH - LEFT - 160) * (count / most)

    def y(seconds: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * (seconds / max(top_s, 1e-9))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">',
        "<style>text{font:12px sans-serif}</style>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15">Latency in seconds over clients</text>',
    ]
    for step in range(5):
        value = top_s * step / 4
        parts.append(f'<line x1="{LEFT}" x2="{x(most)}" y1="{y(value)}" y2="{y(value)}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4}" text-anchor="end">{value:.1f}</text>')
    for count, level in zip(clients, levels, strict=True):
        rate = f"{level['wer']:.0%}" if level["wer"] is not None else "-"
        parts.append(f'<text x="{x(count)}" y="{HEIGHT - 30}" text-anchor="middle">{count}</text>')
        parts.append(f'<text x="{x(count)}" y="{HEIGHT - 14}" text-anchor="middle" fill="#777">WER {rate}</text>')
    for row, (name, values) in enumerate(series.items()):
        points = [(x(count), y(value)) for count, value in zip(clients, values, strict=True) if value is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{COLOURS[name]}" stroke-width="2"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{COLOURS[name]}"/>' for px, py in points]
        parts.append(f'<rect x="{WIDTH - 150}" y="{TOP + 20 * row}" width="12" height="12" fill="{COLOURS[name]}"/>')
        parts.append(f'<text x="{WIDTH - 132}" y="{TOP + 11 + 20 * row}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _get(level: dict[str, Any], name: str, key: str) -> float | None:
    value: float | None = level[name].get(key)
    return value
