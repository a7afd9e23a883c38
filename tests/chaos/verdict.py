"""Whether a run was good: every reason why it was not. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.outcome import Outcome
from tests.chaos.slopes import MOST_MB, MOST_MB_PER_1000, growth_of

# Connections and threads that are kept for later use; a leak of one for each request is far beyond.
MORE_DESCRIPTORS = 16
MORE_THREADS = 8
SHORT_LIVED = ("nginx-worker",)  # of a killed nginx worker the next one has the number


def failures(outcome: Outcome) -> list[str]:
    """Return what was wrong; empty if nothing was."""
    return [*_requests(outcome), *_faults(outcome), *_live(outcome), *_idle(outcome), *_memory(outcome), *_end(outcome)]


def _requests(outcome: Outcome) -> Iterator[str]:
    for kind, row in outcome.tally.rows.items():
        if row.wrong:
            yield f"{kind}: {row.wrong} wrong answers"
        if row.unanswered:
            yield f"{kind}: {row.unanswered} unanswered"
        ended = row.ok + row.hung_up + row.wrong + row.unanswered
        if ended < row.sent:
            yield f"{kind}: {row.sent} sent, but only {ended} ended"
    if not outcome.tally.total().ok:
        yield "nothing was answered"


def _faults(outcome: Outcome) -> Iterator[str]:
    if not outcome.faults.all:
        yield "no fault was injected: the run was too short"
    for fault in outcome.faults.all:
        if fault.recovered_s is None:
            yield f"{fault.name} ({fault.victim}): not recovered"


def _live(outcome: Outcome) -> Iterator[str]:
    finals = outcome.finals
    if not finals.received:
        yield "no live client received a final"
    if finals.lost:
        yield f"finals: {len(finals.lost)} lost, for example {finals.lost[:3]}"
    if finals.doubled:
        yield f"finals: {len(finals.doubled)} doubled, for example {finals.doubled[:3]}"
    if outcome.heard.warnings:
        yield f"live: audio was lost: {outcome.heard.warnings[:3]}"


def _idle(outcome: Outcome) -> Iterator[str]:
    before, after = outcome.before, outcome.after
    if outcome.drained_s is None:
        yield "the backlog did not drain"
    for name, value in after.gauges.items():
        if value:
            yield f"{name} is {value:g} when idle, must be 0"
    if left := after.files - before.files:
        yield f"{len(left)} temporary files are left: {sorted(left)[:5]}"
    for name in before.descriptors.keys() & after.descriptors.keys():
        if after.descriptors[name] > before.descriptors[name] + MORE_DESCRIPTORS:
            yield f"{name}: {before.descriptors[name]} descriptors before, {after.descriptors[name]} after"
        if after.threads[name] > before.threads[name] + MORE_THREADS:
            yield f"{name}: {before.threads[name]} threads before, {after.threads[name]} after"


def _memory(outcome: Outcome) -> Iterator[str]:
    for track in outcome.observed.tracks.values():
        growth = growth_of(track.readings)
        if growth.is_leak and not track.name.startswith(SHORT_LIVED):
            yield (
                f"{track.name} (pid {track.pid}) grew by {growth.grown_mb:.1f} MB in {growth.requests} requests, "
                f"{growth.mb_per_1000:.1f} MB per 1000; the limits are {MOST_MB_PER_1000:g} MB per 1000, and "
                f"{MOST_MB:g} MB where there were fewer"
            )


def _end(outcome: Outcome) -> Iterator[str]:
    if outcome.exit_code != 0:
        yield f"the cluster ended with code {outcome.exit_code}"
    for line in outcome.log_problems:
        yield f"log: {line}"
