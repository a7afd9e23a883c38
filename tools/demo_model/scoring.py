"""Score hypotheses: word errors, sentence times, and how the numbers are printed. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Span:
    """A sentence or segment in time, in seconds."""

    start_s: float
    end_s: float


def words(text: str) -> list[str]:
    """Lower-case words; case, marks and apostrophes do not count as errors."""
    return re.findall(r"\w+", text.lower().replace("'", ""))


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Least number of words to replace, insert or delete."""
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, got in enumerate(hypothesis, 1):
            replaced = diagonal + (wanted != got)
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, replaced)
    return row[-1]


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Errors over reference words, of all (reference, hypothesis) texts together.

    Raises:
        ValueError: the references hold no word.
    """
    errors = n_words = 0
    for reference, hypothesis in pairs:
        wanted = words(reference)
        errors += word_errors(wanted, words(hypothesis))
        n_words += len(wanted)
    if not n_words:
        raise ValueError("no reference words: nothing to score")
    return errors / n_words


def boundary_errors_s(reference: Sequence[Span], hypothesis: Sequence[Span]) -> list[float]:
    """How far the nearest segment start and end are from each sentence's own.

    Two errors per sentence; none when there is no segment at all.
    """
    if not hypothesis:
        return []
    errors = []
    for sentence in reference:
        errors.append(min(abs(segment.start_s - sentence.start_s) for segment in hypothesis))
        errors.append(min(abs(segment.end_s - sentence.end_s) for segment in hypothesis))
    return errors


def median_or_none(values: Sequence[float]) -> float | None:
    """Median, or None of nothing."""
    return median(values) if values else None


def percent(share: float | None) -> str:
    """0.123 as "12.3 %"."""
    return "-" if share is None else f"{100 * share:.1f} %"


def in_seconds(value_s: float | None) -> str:
    """0.25 as "0.25 s"."""
    return "-" if value_s is None else f"{value_s:.2f} s"


def table(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A Markdown table; each row is its name and one cell per column."""
    lines = ["| measure | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(cells) + " |" for name, cells in rows]
    return "\n".join(lines)
