from __future__ import annotations

import pytest

from tools.kube import values_table
from tools.kube.chart import Value
from tools.kube.values_table import BEGIN, END, rewritten


def test_the_table_is_current(capsys):
    """README.md of the chart has the table that the tool writes."""
    assert values_table.main(["--check"]) == 0, capsys.readouterr().err


def test_only_the_text_between_the_marks_changes():
    """A row has the path, the default as JSON and the description."""
    readme = f"before\n{BEGIN}old\n{END}after\n"
    rows = '| `a.b` | `{"c": [1]}` | What it is. |\n'
    expected = f"before\n{BEGIN}| value | default | what it is |\n|---|---|---|\n{rows}{END}after\n"
    assert rewritten(readme, [Value("a.b", {"c": [1]}, "What it is.")]) == expected


@pytest.mark.parametrize("readme", ["", BEGIN, END])
def test_a_missing_mark_is_reported(readme):
    """Without both marks nothing is written."""
    with pytest.raises(ValueError, match=r"the marks .* are missing"):
        rewritten(readme, [])


def test_a_table_that_is_not_current_is_reported(monkeypatch, tmp_path, capsys):
    """--check fails with the command that helps, and --write makes it pass."""
    readme = tmp_path / "README.md"
    readme.write_text(f"{BEGIN}{END}", encoding="utf-8")
    monkeypatch.setattr(values_table, "README", readme)
    assert values_table.main(["--check"]) == 1
    assert "run `python -m tools.kube.values_table --write`" in capsys.readouterr().err
    assert values_table.main(["--write"]) == 0
    assert values_table.main(["--check"]) == 0
