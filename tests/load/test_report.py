from __future__ import annotations

import json

from tests.load.arithmetic import Sample, summarise
from tests.load.live import LiveStream, Window
from tests.load.plot import draw
from tests.load.report import Run, as_json, live_lines, scaling_lines, statuses, table, write_json


def run_of(workers: int, per_s: float, *, busy: int = 0) -> Run:
    """Return a run in which each worker would do `per_s` requests per second for ten seconds."""
    count = round(per_s * 10)
    samples = [Sample(n / per_s, n / per_s, (n + 1) / per_s, 200, 2.0) for n in range(count)]
    samples += [Sample(0.0, 0.0, 0.01, 503, 2.0) for _ in range(busy)]
    return Run(f"{workers} workers", workers, 2 * workers, summarise(samples), samples)


def test_the_table_has_a_line_per_run():
    """Each line has the counts, the rates, the latencies."""
    lines = table([run_of(1, 5.0), run_of(2, 10.0, busy=3)]).splitlines()
    assert len(lines) == 4
    assert lines[3].split()[:7] == ["2", "workers", "100", "3", "0", "10.00", "20.00"]


def test_statuses_are_spelled_out():
    """No answer is not a number."""
    samples = [Sample(0, 0, 1, status, 1.0) for status in (0, 200, 200, 503)]
    assert statuses(summarise(samples)) == "no answer: 1, 200: 2, 503: 1"


def test_perfect_scaling_is_called_so():
    """Three workers that do three times the work: 100 %."""
    lines = scaling_lines([run_of(1, 5.0), run_of(2, 10.0), run_of(3, 15.0)], cores=8)
    assert "3.00x" in lines[3]
    assert "100%" in lines[3]
    assert "The workers scale here." in lines[-1]


def test_too_few_cores_are_reported():
    """Three workers on two cores that do the work of one: the finding names the cores, not the balancer."""
    lines = scaling_lines([run_of(1, 5.0), run_of(2, 6.0), run_of(3, 6.0)], cores=2)
    assert "40%" in lines[3]
    assert "2 cores" in lines[-1]
    assert "the cores are the limit" in lines[-1]


def test_bad_scaling_with_cores_to_spare_points_elsewhere():
    """It is not blamed on cores that are idle."""
    assert "are not the limit" in scaling_lines([run_of(1, 5.0), run_of(3, 6.0)], cores=16)[-1]


def test_lost_speech_is_reported():
    """Live mode reports how many seconds were lost, and how old the text was."""
    stream = LiveStream()
    stream.served(Window(0.0, 6.0), now_s=8.0)
    stream.end(8.0)
    assert live_lines([stream]) == [
        "1 live streams: 6 s transcribed, 2.0 s lost (25.0%)",
        "age of the oldest audio at its transcript: p50 8.0 s, p95 8.0 s",
    ]


def test_everything_is_written_for_programs_and_drawn_for_people(tmp_path):
    """The JSON contains every request, and the PNG is an image."""
    runs = [run_of(1, 5.0), run_of(2, 8.0, busy=2)]
    write_json(tmp_path / "out" / "result.json", as_json(runs, settings={"mode": "closed"}))
    read = json.loads((tmp_path / "out" / "result.json").read_text())
    assert [len(run["requests"]) for run in read["runs"]] == [50, 82]
    assert read["runs"][1]["summary"]["counts"] == {"200": 80, "503": 2}
    draw(tmp_path / "out" / "result.png", runs)
    assert (tmp_path / "out" / "result.png").read_bytes().startswith(b"\x89PNG")
