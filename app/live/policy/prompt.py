"""The committed words that a window still contains, and the text before them, used as the prompt. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.live.policy.hypothesis import Word
from app.live.policy.stream_policy import StreamPolicy

KEEP_BACK_S = 1.0  # committed audio kept in a trimmed window, so that the repeated words can be found
SEARCH_BACK_S = 5.0  # a window is trimmed at the widest gap within this much audio


class CommittedContext:
    """Moves with the cut, before which the audio is no longer needed."""

    def __init__(self, *, initial_prompt: str, policy: StreamPolicy) -> None:
        self._initial_prompt = initial_prompt
        self._policy = policy
        self._before = ""
        self._tail: list[Word] = []
        self._end_s = 0.0

    @property
    def tail(self) -> Sequence[Word]:
        """Committed words after the cut, which the next hypothesis repeats."""
        return self._tail

    @property
    def end_s(self) -> float:
        """End of the last committed word."""
        return self._end_s

    def prompt(self, start_s: float) -> str:
        """The prompt for a window that starts at `start_s`: the client's own, and recent committed text."""
        if start_s - self._end_s > self._policy.context_s:
            self._before = ""  # the subject may be new, and a loop must not continue
        limit = self._policy.prompt_chars
        recent = self._before[-limit:] if limit else ""
        if len(self._before) > len(recent):
            recent = recent.partition(" ")[2]  # no partial word
        return f"{self._initial_prompt} {recent}".strip()

    def commit(self, words: Sequence[Word]) -> None:
        """Add words that are final."""
        self._tail += words
        if words:
            self._end_s = max(self._end_s, words[-1].end)

    def forget(self) -> None:
        """Drop the prompt, because the model began to repeat it."""
        self._before = ""

    def move_cut(self, cut_s: float) -> None:
        """Words that end before the cut leave the window and join the prompt."""
        kept = [word for word in self._tail if word.end > cut_s]
        self._before += "".join(word.text for word in self._tail if word.end <= cut_s)
        self._before = self._before[-4 * max(1, self._policy.prompt_chars) :]
        self._tail = kept

    def trim_point(self, start_s: float) -> float | None:
        """Where to trim a long window: at the widest gap, a second or more before the last word.

        Returns:
            Seconds of the stream; None if there is no committed word to cut after.
        """
        latest = self._end_s - KEEP_BACK_S
        pairs = [
            (after.start - before.end, before.end)
            for before, after in zip(self._tail, self._tail[1:], strict=False)
            if max(start_s, latest - SEARCH_BACK_S) < before.end <= latest
        ]
        return max(pairs)[1] if pairs else None
