"""A run as Markdown tables, as JSON and as a plot of word error rate against CPU time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.accuracy.scores import Run, Scored, Summary, compared, worse
from bench.accuracy.words import changes

COLUMNS = (
    "setting", "WER", "against stock (95 % interval)", "plain WER", "RTFx", "CPU s", "letters on non-speech",
    "windows with fallback", "recordings with another text", "other words",
)  # fmt: skip
NO_VALUE = "-"


def table(summaries: Sequence[Summary]) -> str:
    """One row for each setting."""
    return _markdown([COLUMNS, *(_row(each) for each in summaries)])


def group_table(summaries: Sequence[Summary], run: Run) -> str:
    """Word error rate by kind of speech, a row for each kind and a column for each setting."""
    recordings = [each.recording for each in next(iter(run.values()))]
    head = ("kind of speech", "recordings", "words", *(each.setting for each in summaries))
    groups = sorted(summaries[0].by_group.items(), key=lambda item: -item[1].words)
    rows = [
        (
            group,
            str(sum(each.group == group for each in recordings)),
            str(count.words),
            *(percent(each.by_group[group].rate) for each in summaries),
        )
        for group, count in groups
    ]
    return _markdown([head, *rows])


def content(summaries: Sequence[Summary], run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The result as JSON: facts, summaries and figures of each recording, without any text."""
    names = list(run)
    recordings = [
        {
            "file": each[0].recording.path.name,
            "group": each[0].recording.group,
            "duration_s": each[0].recording.duration_s,
            "words": each[0].errors.words,
            "plain_words": each[0].plain_errors.words,
            "settings": {name: _figures(scored) for name, scored in zip(names, each, strict=True)},
        }
        for each in zip(*run.values(), strict=True)
    ]
    shown = [
        asdict(each) | {"wer": rounded(each.errors.rate), "plain_wer": rounded(each.plain_errors.rate)}
        for each in summaries
    ]
    return {**facts, "settings": shown, "recordings": recordings}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write the JSON, its folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, allow_nan=False, default=str) + "\n", encoding="utf-8")


def worst(run: Run, *, baseline: str, by_words: int) -> str:
    """Recordings of which a setting gets more words wrong than the baseline, with the texts, as Markdown."""
    return "\n".join(
        line
        for setting in run
        if setting != baseline
        for line in _worst_of(setting, worse(run, setting=setting, baseline=baseline, by_words=by_words), baseline)
    )


def plot(summaries: Sequence[Summary], path: Path, *, audio_s: float, title: str) -> None:
    """Word error rate against CPU time for each setting, English speech."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only a plot needs

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    points = sorted(
        (each.cpu_s / audio_s * 60, each.errors.rate * 100, each.setting)
        for each in summaries
        if each.cpu_s is not None and each.errors.rate is not None
    )
    figure, axes = plt.subplots(figsize=(8, 5))
    for number, (x, y, name) in enumerate(points):
        axes.plot(x, y, "o", markersize=9, color="C1" if name.startswith("stock") else "C0")
        above = number % 2 == 0  # by turns, so that the names of neighbours do not cover each other
        axes.annotate(name, (x, y), xytext=(0, 9 if above else -18), textcoords="offset points", ha="center")
    axes.set(xlabel="CPU seconds per minute of audio", ylabel="word error rate, %")
    axes.set_xlim(0, 1.15 * max((x for x, _, _ in points), default=1.0))
    axes.margins(y=0.2)
    axes.grid(alpha=0.3)
    axes.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def percent(rate: float | None) -> str:
    """A rate as a reader expects it: 12.3 %."""
    return NO_VALUE if rate is None else f"{rate:.1%}".replace("%", " %")


def rounded(value: float | None) -> float | None:
    """Four digits behind the point."""
    return None if value is None else round(value, 4)


def _row(summary: Summary) -> tuple[str, ...]:
    against = NO_VALUE
    if summary.difference is not None and summary.interval is not None:
        low, high = summary.interval
        against = f"{100 * summary.difference:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    return (
        summary.setting,
        percent(summary.errors.rate),
        against,
        percent(summary.plain_errors.rate),
        f"{summary.rtfx:.1f}",
        NO_VALUE if summary.cpu_s is None else f"{summary.cpu_s:.1f}",
        str(summary.non_speech_letters),
        f"{summary.n_fallbacks} of {summary.n_windows}",
        NO_VALUE if summary.n_different is None else str(summary.n_different),
        percent(summary.different_words),
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


def _figures(scored: Scored) -> dict[str, Any]:
    made = scored.transcription
    return {
        "errors": scored.errors.errors,
        "plain_errors": scored.plain_errors.errors,
        "wall_s": rounded(made.wall_s),
        "cpu_s": rounded(made.cpu_s),
        "windows": made.n_windows,
        "fallbacks": made.n_fallbacks,
    }


def _worst_of(setting: str, pairs: Sequence[tuple[Scored, Scored]], baseline: str) -> Iterator[str]:
    yield f"## {setting}: {len(pairs)} recordings\n"
    for ours, theirs in pairs:
        recording = ours.recording
        yield f"### {recording.path.name} ({recording.group}, {recording.duration_s:g} s)\n"
        wrong = f"{setting} {ours.errors.errors}, {baseline} {theirs.errors.errors}"
        yield f"Wrong words: {wrong}, of {ours.errors.words}.\n"
        yield f"- reference: {recording.text or '(no speech)'}"
        for name, scored in ((setting, ours), (baseline, theirs)):
            text = scored.transcription.text
            wrong_words = changes(compared(recording.text, recording), compared(text, recording))
            yield f"- {name}: {text or '(no text)'}"
            yield f"  - wrong: {'; '.join(wrong_words) or 'nothing'}"
        yield ""
