"""The tables of a run, as Markdown and as JSON. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from tests.chaos.heard import Heard
from tests.chaos.outcome import Outcome
from tests.chaos.slopes import growth_of
from tests.chaos.tally import Row
from tests.chaos.tracks import Track
from tests.load.arithmetic import percentile

COLUMNS = ("sent", "ok", "retried", "refused", "broken", "hung_up", "wrong", "unanswered")
FEWEST_READINGS = 5


def markdown(outcome: Outcome, failed: Sequence[str]) -> str:
    """Return the report as Markdown."""
    parts = (_summary(outcome, failed), _requests(outcome), _faults(outcome), _finals(outcome), _processes(outcome))
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def as_json(outcome: Outcome, failed: Sequence[str]) -> dict[str, Any]:
    """Return the numbers as JSON data."""
    return {
        "minutes": outcome.minutes,
        "seed": outcome.seed,
        "model": outcome.model,
        "rate_per_s": round(outcome.rate_per_s, 3),
        "busy": round(outcome.busy, 3),
        "failures": list(failed),
        "examples": outcome.tally.examples,
        "requests": {kind: asdict(row) for kind, row in outcome.tally.rows.items()},
        "faults": [{**asdict(each), "recovery_s": each.recovery_s} for each in outcome.faults.all],
        "finals": {
            "received": outcome.finals.received,
            "stored": outcome.finals.stored,
            "lost": [asdict(each) for each in outcome.finals.lost],
            "unpromised": outcome.finals.unpromised,
            "doubled": [asdict(each) for each in outcome.finals.doubled],
        },
        "live": _live(outcome.heard),
        "drained_s": outcome.drained_s,
        "temporary_files": {"most": outcome.observed.most_files, "left": _left_over(outcome)},
        "processes": [_life(track) for track in outcome.observed.tracks.values() if track.readings],
    }


def _live(heard: Heard) -> dict[str, int]:
    return {
        "sessions": len(heard.connections),
        "words": heard.words,
        "live_errors": heard.live_errors,
        "file_errors": heard.file_errors,
    }


def _life(track: Track) -> dict[str, Any]:
    return {
        "name": track.name,
        "pid": track.pid,
        **asdict(growth_of(track.readings)),
        "readings": [
            [round(each.at_s, 1), each.requests, round(each.rss_mb, 1), each.descriptors, each.threads]
            for each in track.readings[::10]
        ],
    }


def _summary(outcome: Outcome, failed: Sequence[str]) -> Iterator[str]:
    total = outcome.tally.total()
    drained = "not" if outcome.drained_s is None else f"within {outcome.drained_s:.0f} s"
    yield (
        f"{outcome.minutes:g} minutes, model {outcome.model}, seed {outcome.seed}: {total.sent} requests and live "
        f"streams ({outcome.rate_per_s:.1f} per second), {len(outcome.faults.all)} faults; the cores were busy for "
        f"{outcome.busy:.0%} of the time; idle again {drained}."
    )
    yield f"Result: {'passed' if not failed else 'FAILED'}."
    yield from (f"- {reason}" for reason in failed)


def _requests(outcome: Outcome) -> Iterator[str]:
    yield from _head("requests", *(name.replace("_", " ") for name in COLUMNS), "p50 / p95 s")
    rows = sorted(outcome.tally.rows.items(), key=lambda item: -item[1].sent)
    for kind, row in rows:
        yield _line(kind, *_counts(row), _latency(outcome.tally.latencies_s.get(kind, [])))
    yield _line("all", *_counts(outcome.tally.total()), "")


def _counts(row: Row) -> Iterator[int]:
    counts = asdict(row)
    return (counts[name] for name in COLUMNS)


def _latency(seconds: Sequence[float]) -> str:
    return f"{percentile(seconds, 0.5):.1f} / {percentile(seconds, 0.95):.1f}" if seconds else ""


def _faults(outcome: Outcome) -> Iterator[str]:
    yield from _head("faults", "times", "recovery median s", "max s")
    counts = Counter(each.name for each in outcome.faults.all)
    for name, count in sorted(counts.items()):
        times_s = [each.recovery_s for each in outcome.faults.all if each.name == name and each.recovery_s is not None]
        yield _line(
            name, count, f"{median(times_s):.1f}" if times_s else "-", f"{max(times_s):.1f}" if times_s else "-"
        )


def _finals(outcome: Outcome) -> Iterator[str]:
    finals, heard = outcome.finals, outcome.heard
    yield from _head(
        "finals",
        "received",
        "stored",
        "lost",
        "with a killed gateway",
        "doubled",
        "sessions",
        "word errors",
        "as files",
    )
    shares = [
        f"{errors / heard.words:.1%}" if heard.words else "-" for errors in (heard.live_errors, heard.file_errors)
    ]
    counts = (finals.received, finals.stored, len(finals.lost), finals.unpromised, len(finals.doubled))
    yield _line("live text", *counts, len(heard.connections), *shares)


def _processes(outcome: Outcome) -> Iterator[str]:
    """Of each name the process that lived longest; descriptors and threads are those of the idle cluster.

    The growth is that of the last two thirds of its life; per 1000 requests it is judged only from that number on.
    """
    yield from _head(
        "process", "started", "life s", "early MB", "end MB", "MB in requests", "MB per 1000", "descriptors", "threads"
    )
    before, after = outcome.before, outcome.after
    for name in sorted({track.name for track in outcome.observed.tracks.values()}):
        tracks = [each for each in outcome.observed.tracks.values() if each.name == name]
        growth = max((growth_of(each.readings) for each in tracks), key=lambda each: each.life_s)
        yield _line(
            name,
            len(tracks),
            f"{growth.life_s:.0f}",
            f"{growth.early_mb:.0f}",
            f"{growth.end_mb:.0f}",
            f"{growth.grown_mb:+.1f} in {growth.requests}",
            f"{growth.mb_per_1000:.1f}" if growth.is_judged_by_slope else "-",
            f"{before.descriptors.get(name, '-')} -> {after.descriptors.get(name, '-')}",
            f"{before.threads.get(name, '-')} -> {after.threads.get(name, '-')}",
        )
    yield ""
    yield f"Temporary files: {outcome.observed.most_files} at most, {len(_left_over(outcome))} left over."


def _left_over(outcome: Outcome) -> list[str]:
    return sorted(outcome.after.files - outcome.before.files)


def _head(*names: object) -> Iterator[str]:
    yield _line(*names)
    yield "|" + "---|" * len(names)


def _line(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
