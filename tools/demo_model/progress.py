"""Losses while training: summed over the workers, written as CSV."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from tools.demo_model.optimizer import shared_zeros

# Cross-entropy of text in short and in full windows, of phones; CTC per letter; attention's supervision.
MEASURES = ("clip", "long", "phones", "ctc", "guidance")


class Sums:
    """Sums and counts of the losses, by worker, in shared memory."""

    def __init__(self, workers: int) -> None:
        self.values = shared_zeros(torch.zeros(workers, len(MEASURES), 2, dtype=torch.float64))

    def add(self, worker: int, measure: str, value: float) -> None:
        """Note one value."""
        self.values[worker, MEASURES.index(measure)] += torch.tensor([value, 1.0])

    def take(self) -> list[float]:
        """Means since the last call; NaN where nothing was noted."""
        totals = self.values.sum(0)
        self.values.zero_()
        return [float(total / count) for total, count in totals]


class Log:
    """The loss curve as CSV, one line per 20 steps."""

    def __init__(self, path: Path, step_s: float, step: int) -> None:
        self._path = path
        self._step_s = step_s
        self._last = (time.monotonic(), step)

    def _append(self, row: Sequence[object]) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(row)

    def write(self, step: int, rate: float, means: Sequence[float]) -> None:
        """Append a line, the first one under a header."""
        if not self._path.exists():
            self._append(["step", "seconds_per_step", "audio_hours", "rate", *MEASURES])
        now, (before, last) = time.monotonic(), self._last
        self._last = (now, step)
        per_step = (now - before) / (step - last)
        hours = step * self._step_s / 3600
        row = [f"{value:.4f}" for value in (per_step, hours, rate, *means)]
        self._append([step, *row])
