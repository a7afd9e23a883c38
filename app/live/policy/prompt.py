"""The committed words a window still contains, and the text before it that serves as the prompt."""

from __future__ import annotations

from collections.abc import Sequence

from app.live.policy.durations import StreamPolicy
from app.live.policy.hypothesis import Word

KEEP_BACK_S = 1.0  # committed audio left in front of a trimmed window, so that the seam can be aligned
SEARCH_BACK_S = 5.0  # the widest gap within this much is where a window is trimmed


class CommittedContext:
    """Moves with the cut: the point before which the audio is done with."""

    def __init__(self, *, preface: str, policy: StreamPolicy) -> None:
        self._preface = preface
        self._policy = policy
        self._before = ""
        self._tail: list[Word] = []
        self._end_s = 0.0

    @property
    def tail(self) -> Sequence[Word]:
        """Committed words behind the cut, which the next pass hears again."""
        return self._tail

    @property
    def end_s(self) -> float:
        """End of the last committed word."""
        return self._end_s

    def prompt(self, start_s: float) -> str:
        """What to tell the model in front of a window that starts at `start_s`."""
        if start_s - self._end_s > self._policy.context_s:
            self._before = ""  # a new subject; and a loop must not be fed on
        limit = self._policy.prompt_chars
        recent = self._before[-limit:] if limit else ""
        if len(self._before) > len(recent):
            recent = recent.partition(" ")[2]  # not half a word
        return f"{self._preface} {recent}".strip()

    def commit(self, words: Sequence[Word]) -> None:
        """More words are final."""
        self._tail += words
        if words:
            self._end_s = max(self._end_s, words[-1].end)

    def forget(self) -> None:
        """Drop the prompt: the model began to loop on it."""
        self._before = ""

    def move_cut(self, cut_s: float) -> None:
        """Words that end before the cut leave the window and join the prompt."""
        kept = [word for word in self._tail if word.end > cut_s]
        self._before += "".join(word.text for word in self._tail if word.end <= cut_s)
        self._before = self._before[-4 * max(1, self._policy.prompt_chars) :]
        self._tail = kept

    def trim_point(self, start_s: float) -> float | None:
        """Where to cut a window that has become long: the widest gap a second or more before the last word.

        Returns:
            Seconds of the stream; None while there is no committed word to cut behind.
        """
        latest = self._end_s - KEEP_BACK_S
        pairs = [
            (after.start - before.end, before.end)
            for before, after in zip(self._tail, self._tail[1:], strict=False)
            if max(start_s, latest - SEARCH_BACK_S) < before.end <= latest
        ]
        return max(pairs)[1] if pairs else None
