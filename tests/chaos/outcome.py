"""Everything that a run found. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.disturbances import Disturbances
from tests.chaos.finals import Comparison
from tests.chaos.heard import Heard
from tests.chaos.tally import Tally
from tests.chaos.tracks import Observed


@dataclass(frozen=True, slots=True)
class Idle:
    """The cluster when nobody uses it: before the load, or after it.

    Attributes:
        files: temporary files.
        descriptors, threads, rss_mb: by the name of the process.
        gauges: values of /metrics that must be 0 then, by process and name; empty before the load.
    """

    files: frozenset[str]
    descriptors: dict[str, int]
    threads: dict[str, int]
    rss_mb: dict[str, float]
    gauges: dict[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Attributes:
        minutes: of load; the idle times before and after it come on top.
        rate_per_s: of requests for files that were aimed at.
        busy: share of the machine's CPU time during the load, other programs included.
        drained_s: from the end of the load until nothing was in work; None: that did not happen.
        exit_code: of the cluster.
        log_problems: lines of the cluster's log that must not be there.
    """

    minutes: float
    seed: int
    model: str
    rate_per_s: float
    busy: float
    tally: Tally
    faults: Disturbances
    heard: Heard
    finals: Comparison
    observed: Observed
    before: Idle
    after: Idle
    drained_s: float | None
    exit_code: int
    log_problems: tuple[str, ...]
