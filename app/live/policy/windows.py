"""What passes between a stream and its caller: a window to ask about, and what changed for the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.core.pcm import SAMPLE_RATE_HZ
from app.live.policy.agreement import Reason
from app.live.policy.segmenting import Segment

WindowReason = Literal["step", "pause", "idle", "backlog", "end"]


@dataclass(frozen=True, slots=True)
class LiveWindow:
    """Audio for one request: samples [start, end) as little-endian 16-bit bytes.

    Attributes:
        why: what made it due. But for a "step", nothing that was being said is cut off by its end,
            so all that is heard in it is final.
        language: the hint to send; None lets the service detect.
    """

    number: int
    start: int
    end: int
    pcm: bytes
    why: WindowReason
    prompt: str
    language: str | None

    @property
    def closed(self) -> bool:
        """Is everything heard in it final?"""
        return self.why != "step"

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class Update:
    """What changed for the client.

    Attributes:
        completed: new final segments, oldest first.
        partial: what is being said now; None when nothing is.
        language: (code, probability), once per stream, when the client asked to detect it.
        reason: the rule that committed.
        commit_latency_s: for each newly committed word, how long after its last sample arrived.
    """

    completed: tuple[Segment, ...] = ()
    partial: Segment | None = None
    language: tuple[str, float] | None = None
    reason: Reason = "nothing"
    commit_latency_s: tuple[float, ...] = ()
