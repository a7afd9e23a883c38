"""Whether a run was good: every reason why it was not. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tests.chaos.outcome import Outcome
from tests.chaos.slopes import growth_of

# Connections and threads that are kept for later use; a leak of one for each request is far beyond.
MORE_DESCRIPTORS = 16
MORE_THREADS = 8
MOST_MB_PER_1000 = 5.0
MOST_MB = 48.0  # above the idle cluster, which has transcribed every kind of request by then
SHORTEST_LIFE_S = 60.0


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
    """Judge each process by its slope; with too few requests for one, against the same kind of process before."""
    for track in outcome.observed.tracks.values():
        growth = growth_of(track.readings)
        process = f"{track.name} (pid {track.pid})"
        if growth.is_judged_by_slope:
            if growth.mb_per_1000 >= MOST_MB_PER_1000:
                yield f"{process} grew by {growth.mb_per_1000:.1f} MB per 1000 requests, {growth.requests} requests"
            continue
        role = role_of(track.name)
        before = [rss_mb for name, rss_mb in outcome.before.rss_mb.items() if role_of(name) == role]
        if before and growth.life_s >= SHORTEST_LIFE_S and growth.end_mb >= max(before) + MOST_MB:
            yield f"{process} has {growth.end_mb:.0f} MB; before the load such a process had {max(before):.0f} MB"


def role_of(name: str) -> str:
    """Return what a process is, by its name: worker-2 is a worker."""
    return name.rpartition("-")[0] or name


def _end(outcome: Outcome) -> Iterator[str]:
    if outcome.exit_code != 0:
        yield f"the cluster ended with code {outcome.exit_code}"
    for line in outcome.log_problems:
        yield f"log: {line}"
