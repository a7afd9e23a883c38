import json

import pytest

from bench.accuracy import report
from bench.accuracy.scores import summaries
from tests.bench.accuracy_run import run


@pytest.fixture
def found():
    """The summaries of the small run."""
    return summaries(run(), baseline="stock", reference="full")


def cells(line: str) -> list[str]:
    """The cells of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_has_a_row_for_each_setting(found):
    """Rates, difference with interval, speed, cost, invented text and changed recordings."""
    head, _, stock, full = map(cells, report.table(found).splitlines())
    assert len(head) == len(stock) == len(full)
    assert stock == ["stock", "0.0 %", "-", "37.5 %", "10.0", "2.0", "8", "0 of 4", "4", "85.7 %"]
    assert full[:2] == ["full", "37.5 %"]
    assert full[2].startswith("+37.5 (")


def test_the_second_table_has_a_row_for_each_kind(found):
    """Most words first, with the number of recordings."""
    head, _, *rows = map(cells, report.group_table(found, run()).splitlines())
    assert head == ["kind of speech", "recordings", "words", "stock", "full"]
    assert rows[0] == ["read speech", "1", "5", "0.0 %", "60.0 %"]
    assert [row[0] for row in rows] == ["read speech", "digits", "other languages"]


def test_the_result_holds_figures_and_no_texts(found, tmp_path):
    """JSON with a summary per setting and figures per recording; texts stay out, their licences differ."""
    path = tmp_path / "folder" / "result.json"
    report.write(path, report.content(found, run(), {"date": "today"}))
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["date"] == "today"
    assert [each["wer"] for each in written["settings"]] == [0.0, 0.375]
    assert written["recordings"][0]["settings"]["full"]["errors"] == 3
    assert "good" not in path.read_text(encoding="utf-8")


def test_the_worst_are_written_with_their_texts():
    """Reference, both texts and the wrong words of each."""
    text = report.worst(run(), baseline="stock", by_words=2)
    assert "## full: 1 recordings" in text
    assert "read.flac" in text
    assert "- full: One bad day." in text
    assert "good > bad" in text


def test_the_plot_is_a_picture(found, tmp_path):
    """One PNG, also if a setting's CPU time is not known."""
    path = tmp_path / "plot.png"
    report.plot(found, path, audio_s=10.0, title="a run")
    assert path.read_bytes().startswith(b"\x89PNG")
