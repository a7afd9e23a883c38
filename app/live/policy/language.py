"""The language of a stream, learnt from its words rather than fixed by its first second. Pure.

A client that names a language gets it. Otherwise every request detects. Committed words vote with
their duration and probability, and a clear majority over enough speech is sent as a hint, which
keeps short windows stable. The hint is withheld now and then, so a meeting may change its language.
"""

from __future__ import annotations

from collections import deque

from app.live.policy.hypothesis import Hypothesis

ENOUGH_S = 6.0  # speech before a hint is given
CLEAR_SHARE = 0.8
MEMORY_S = 30.0  # votes older than this much speech are dropped
PROBE_EVERY_S = 15.0  # after this much speech with a hint, one request detects again
SURE = 0.5  # WhisperLive reports a language above this probability


class LanguageVotes:
    """Collects the detected languages of one stream."""

    def __init__(self, fixed: str | None) -> None:
        self._fixed = fixed
        self._votes: deque[tuple[str, float, float]] = deque()  # language, seconds, probability
        self._hinted_s = 0.0
        self._reported = fixed is not None

    @property
    def reported(self) -> bool:
        """The client knows the language: it named it, or it was reported."""
        return self._reported

    def hint(self) -> str | None:
        """The language to send; None lets the service detect it."""
        if self._fixed:
            return self._fixed
        total = sum(seconds * probability for _, seconds, probability in self._votes)
        if sum(seconds for _, seconds, _ in self._votes) < ENOUGH_S or self._hinted_s >= PROBE_EVERY_S:
            return None
        best = max(self._votes, key=lambda vote: self._weight(vote[0]))[0]
        return best if self._weight(best) >= CLEAR_SHARE * total else None

    def add(self, language: str | None, probability: float, seconds: float, *, hinted: bool) -> None:
        """Count `seconds` of committed speech in `language`; with a hint it is no detection, so no vote."""
        if hinted:
            self._hinted_s += seconds
            return
        self._hinted_s = 0.0
        if language is None or seconds <= 0:
            return
        self._votes.append((language, seconds, max(probability, 0.01)))
        while sum(s for _, s, _ in self._votes) - self._votes[0][1] > MEMORY_S:
            self._votes.popleft()

    def report(self, hypothesis: Hypothesis, *, committed: bool) -> tuple[str, float] | None:
        """The language and its probability, once: when it is likely enough, or when words are committed."""
        if self._reported or hypothesis.language is None or not hypothesis.words:
            return None
        if hypothesis.language_probability <= SURE and not committed:
            return None
        self._reported = True
        return hypothesis.language, hypothesis.language_probability

    def forget(self) -> None:
        """The service does not know the language: detect from now on."""
        self._fixed = None
        self._votes.clear()
        self._hinted_s = 0.0

    def _weight(self, language: str) -> float:
        return sum(seconds * probability for name, seconds, probability in self._votes if name == language)
