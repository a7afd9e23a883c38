import pytest

from bench.arithmetic import Figures
from bench.report import CellResult, headlines, table


def cell(design: str, windows_per_s: float, cpu_s: float, *, clients: int = 8, x_stock=None) -> CellResult:
    """A cell of 30 s clips."""
    figures = Figures(
        n_answers=16,
        wall_s=10.0,
        windows_per_s=windows_per_s,
        audio_s_per_s=30 * windows_per_s,
        p50_s=1.0,
        p95_s=2.0,
        p99_s=3.0,
        busy_share=0.0,
        cpu_s_per_window=cpu_s,
        driver_cpu_share=0.0,
        others_cpu_share=0.01,
        peak_rss_mib=400.0,
    )
    stock = x_stock is None
    return CellResult(
        model="base",
        clip_s=30,
        clients=clients,
        design=design,
        figures=figures,
        x_stock=x_stock,
        x_stock_cpu=None if stock else 4.0 / cpu_s,
        same_text=None if stock else 1.0,
    )


CELLS = [cell("stock", 0.4, 4.0), cell("worker", 0.96, 2.0, x_stock=2.4), cell("engine", 1.0, 1.9, x_stock=2.5)]


def test_headlines_name_the_ratio_and_the_overhead():
    """The ratio by clock and by CPU time, and what the service costs over the engine, both ways."""
    found = headlines(CELLS)
    assert found["worker over stock, base, 30 s, 8 clients"] == 2.4
    assert found["CPU of stock over worker, base, 30 s, 8 clients"] == 2.0
    assert found["overhead of the service, base, 30 s, 8 clients"] == pytest.approx(0.04)
    assert found["overhead of the service in CPU time, base, 30 s, 8 clients"] == pytest.approx(0.05)


def test_no_overhead_without_the_engine():
    """A load at which the engine was not measured says nothing about the service's cost."""
    assert not any("overhead" in name for name in headlines(CELLS[:2]))


def test_table_has_a_line_for_each_cell():
    """Headings and one aligned line per cell; stock is not compared with itself."""
    heading, stock, worker, _ = table(CELLS).splitlines()
    assert len(heading) == len(stock) == len(worker)
    assert stock.split()[:6] == ["base", "30", "s", "8", "stock", "0.40"]
    assert "2.40" in worker
    assert "100%" in worker
