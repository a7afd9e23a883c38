"""What the engine tells the process around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

ErrorKind = Literal["oom", "cuda", "stall", "decode", "other"]
FallbackReason = Literal["temperature", "repetition", "silence"]


def ignore(*_: object) -> None:
    """For what nobody listens to."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Each is called from any thread.

    Attributes:
        critical: with the reason, when this process can serve no more; at once if that is so already.
        batch: with the kind and the rows of every call of the model.
        skipped: for each window of silence or steady sound, which is not decoded.
        suppressed: with the reason for each segment that is not given out.
        waited: with the seconds that the oldest row of each call of the model waited for it.
        busy: with the number of the replica and the seconds, after it has run a batch, also one that failed.
        decoded: with the seconds that decoding an upload took, also if it failed or its caller left.
        transcribed: with the seconds from the decoded audio to the end of the work, also if it failed.
        speech: with the seconds of speech in an upload that was transcribed completely.
        fallback: with the reason, when a window is tried again (`repetition`: its text was too repetitive;
            `temperature`: too unlikely), or not, because unlikely text means that nobody speaks (`silence`).
        failed: with the kind of each failure that is not the caller's: the device has no memory (`oom`) or is
            lost (`cuda`), a call hangs (`stall`), the audio decoder fails (`decode`), anything else (`other`).
    """

    critical: Callable[[str], None] = ignore
    batch: Callable[[str, int], None] = ignore
    skipped: Callable[[], None] = ignore
    suppressed: Callable[[str], None] = ignore
    waited: Callable[[float], None] = ignore
    busy: Callable[[int, float], None] = ignore
    decoded: Callable[[float], None] = ignore
    transcribed: Callable[[float], None] = ignore
    speech: Callable[[float], None] = ignore
    fallback: Callable[[FallbackReason], None] = ignore
    failed: Callable[[ErrorKind], None] = ignore
