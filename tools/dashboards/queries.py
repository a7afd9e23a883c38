"""The queries of a board as Prometheus takes them: Grafana's variables replaced by values."""

from __future__ import annotations

from collections.abc import Mapping

from tools.dashboards.panels import Board, Panel, Query


def resolved(query: Query, *, window: str = "1m", span: str = "5m") -> str:
    """The expression with every cluster and instance chosen.

    Args:
        query: as the board has it.
        window: what Grafana would put for $__rate_interval.
        span: the chosen time, $__range.
    """
    values: Mapping[str, str] = {
        "$__rate_interval": window,
        "$__range": span,
        "$cluster": ".*",
        "$instance": ".*",
    }
    expr = query.expr
    for name, value in values.items():
        expr = expr.replace(name, value)
    return expr


def queries_of(board: Board) -> list[tuple[Panel, Query]]:
    """Every query of a board with its panel, in order."""
    return [(panel, query) for panel in board.panels for query in panel.queries]
