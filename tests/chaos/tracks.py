"""The lives of the cluster's processes, as they were read. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """One process at one moment.

    Attributes:
        at_s: on the monotonic clock.
        requests: that the clients had got answers to by then.
        rss_mb: resident memory in megabytes (10^6 bytes).
    """

    at_s: float
    requests: int
    rss_mb: float
    descriptors: int
    threads: int


@dataclass(slots=True)
class Track:
    """The life of one process; its name outlives it, its id does not."""

    name: str
    pid: int
    readings: list[Reading] = field(default_factory=list)


@dataclass(slots=True)
class Observed:
    """Everything that was read.

    Attributes:
        tracks: by name and process id, in the order in which they were first seen.
        most_files: the largest number of temporary files at once.
    """

    tracks: dict[tuple[str, int], Track] = field(default_factory=dict)
    most_files: int = 0

    def last(self) -> dict[str, Track]:
        """Return the newest track by name."""
        return {track.name: track for track in self.tracks.values()}
