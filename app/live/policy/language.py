"""Which language a stream is in, learnt from what was heard rather than locked by its first second.

A client that names a language gets it. Otherwise every pass detects, committed passes vote with
their length and probability, and a clear majority over enough speech is passed on as a hint, which
keeps short windows stable. The hint is withheld once in a while, so a meeting may change language.
"""

from __future__ import annotations

from collections import deque

ENOUGH_S = 6.0  # speech before a hint is given
CLEAR_SHARE = 0.8
MEMORY_S = 30.0  # votes older than this much speech are forgotten
PROBE_EVERY_S = 15.0  # speech under a hint after which one pass detects again
SURE = 0.5  # WhisperLive tells the client a language above this probability


class LanguageVotes:
    """Collects (language, weight) of committed passes and gives a hint."""

    def __init__(self, fixed: str | None) -> None:
        self._fixed = fixed
        self._votes: deque[tuple[str, float, float]] = deque()  # language, seconds, probability
        self._hinted_s = 0.0

    def hint(self) -> str | None:
        """What to ask the service for; None lets it detect."""
        if self._fixed:
            return self._fixed
        total = sum(seconds * probability for _, seconds, probability in self._votes)
        if sum(seconds for _, seconds, _ in self._votes) < ENOUGH_S or self._hinted_s >= PROBE_EVERY_S:
            return None
        best = max(self._votes, key=lambda vote: self._weight(vote[0]))[0]
        return best if self._weight(best) >= CLEAR_SHARE * total else None

    def heard(self, language: str | None, probability: float, seconds: float, *, hinted: bool) -> None:
        """Count a committed pass: `seconds` of speech in `language`; an answer to a hint proves nothing."""
        if hinted:
            self._hinted_s += seconds
            return
        self._hinted_s = 0.0
        if language is None or seconds <= 0:
            return
        self._votes.append((language, seconds, max(probability, 0.01)))
        while sum(s for _, s, _ in self._votes) - self._votes[0][1] > MEMORY_S:
            self._votes.popleft()

    def _weight(self, language: str) -> float:
        return sum(seconds * probability for name, seconds, probability in self._votes if name == language)
